//! The outcome of a job on the disk and in the databases, to be compared with that under steady power.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use super::jobs::{ROWS, SQLITE, TARGET};
use super::store::Store;

const ROWS_OF_TABLE: &str =
    "SELECT CAST(number AS TEXT) || ',' || name || ',' || CAST(cents AS TEXT) FROM power_row ORDER BY number";
/// The name of what the repository has counted, among the outputs.
const REPOSITORY: &str = "the repository";
/// Checkpoints, of which none may be left when all is complete.
const CHECKPOINTS: &str = "SELECT job_name || ' ' || step_name FROM oxbatch_checkpoint";
/// The counters of all attempts together, how often the step has completed, and what still runs.
const LEDGER: &str = "SELECT 'read ' || CAST(sum(read_count) AS TEXT) || ', written ' || CAST(sum(write_count) AS TEXT)
     || ', filtered ' || CAST(sum(filter_count) AS TEXT)
     || ', completed ' || CAST(sum(CASE WHEN status = 'COMPLETED' THEN 1 ELSE 0 END) AS TEXT)
     || ', running ' || CAST((SELECT count(*) FROM oxbatch_job_execution WHERE end_time IS NULL) AS TEXT)
     FROM oxbatch_step_execution WHERE step_name = 'Write'";
/// The begin of a row in bytes, with the digits of its number behind it.
const MARK: &[u8] = b"row-";
const DIGITS: usize = 5;

/// The outputs by their names: files with their bytes, uncompressed, and tables with their rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    outputs: BTreeMap<String, Vec<u8>>,
}

impl Outcome {
    /// Collects what is there.
    pub(crate) fn of(disk: &Path, postgres: Option<&str>) -> Result<Self, String> {
        let mut outcome = Self::default();
        for folder in ["out", "work"] {
            outcome.add_files(disk, &disk.join(folder))?;
        }
        for name in [SQLITE, TARGET] {
            let path = disk.join(name);
            if path.exists() {
                outcome.add_tables(name, &Store::sqlite(&path)?)?;
            }
        }
        if let Some(url) = postgres {
            outcome.add_tables("PostgreSQL", &Store::postgres(url)?)?;
        }
        Ok(outcome)
    }

    /// Collects what the repository has counted.
    pub(crate) fn with_ledger(mut self, repository: &Store) -> Result<Self, String> {
        self.outputs.insert(REPOSITORY.to_owned(), repository.lines(LEDGER)?.join("\n").into_bytes());
        Ok(self)
    }

    /// The same with each row of a table once: what is written at least once may be there again.
    pub(crate) fn without_repeats(mut self) -> Self {
        for (_, lines) in self.outputs.iter_mut().filter(|(name, _)| name.ends_with("power_row")) {
            let mut rows: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').collect();
            rows.dedup();
            *lines = rows.join(&b'\n');
        }
        self
    }

    fn add_files(&mut self, disk: &Path, folder: &Path) -> Result<(), String> {
        let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
        for entry in entries {
            let path = entry.map_err(|error| error.to_string())?.path();
            if path.is_dir() {
                self.add_files(disk, &path)?;
                continue;
            }
            let name = path.strip_prefix(disk).unwrap_or(&path).display().to_string();
            let bytes = read(&path).map_err(|error| format!("{name}: {error}"))?;
            self.outputs.insert(name, bytes);
        }
        Ok(())
    }

    fn add_tables(&mut self, name: &str, store: &Store) -> Result<(), String> {
        for (table, sql) in [("power_row", ROWS_OF_TABLE), ("oxbatch_checkpoint", CHECKPOINTS)] {
            let lines = if store.has_table(table)? { store.lines(sql)? } else { Vec::new() };
            if !lines.is_empty() {
                self.outputs.insert(format!("{name}: {table}"), lines.join("\n").into_bytes());
            }
        }
        Ok(())
    }

    /// Checks that each row is there as often as there are outputs.
    pub(crate) fn check_rows(&self, outputs: usize) -> Result<(), String> {
        let mut rows = BTreeMap::new();
        self.outputs.values().for_each(|bytes| count(bytes, &mut rows));
        let wrong: Vec<String> = (0..ROWS)
            .map(|row| (row, rows.get(&row).copied().unwrap_or(0)))
            .filter(|(_, times)| *times != outputs)
            .map(|(row, times)| format!("row {row} {times} times"))
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(format!("instead of {outputs} times: {}", wrong.join(", "))) }
    }

    /// The differences from the expected outcome, as sentences.
    pub(crate) fn differences(&self, expected: &Self) -> Vec<String> {
        let names = self.outputs.keys().chain(expected.outputs.keys().filter(|name| !self.outputs.contains_key(*name)));
        names
            .filter_map(|name| match (self.outputs.get(name), expected.outputs.get(name)) {
                (Some(found), Some(expected)) if found == expected => None,
                (Some(found), Some(expected)) if name == REPOSITORY => {
                    let (found, expected) = (String::from_utf8_lossy(found), String::from_utf8_lossy(expected));
                    Some(format!("{name}: {found} instead of {expected}"))
                }
                (Some(found), Some(expected)) => Some(format!("{name}: {}", difference(found, expected))),
                (Some(found), None) => Some(format!("{name} is left, with {} bytes", found.len())),
                (None, _) => Some(format!("{name} is missing")),
            })
            .collect()
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let bytes = fs::read(path)?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            let mut text = Vec::new();
            flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut text)?;
            Ok(text)
        }
        Some("zst") => zstd::decode_all(bytes.as_slice()),
        _ => Ok(bytes),
    }
}

/// Counts the rows that stand in bytes.
fn count(bytes: &[u8], rows: &mut BTreeMap<u64, usize>) {
    for window in bytes.windows(MARK.len() + DIGITS).filter(|window| window.starts_with(MARK)) {
        let number = std::str::from_utf8(&window[MARK.len()..]).ok().and_then(|digits| digits.parse().ok());
        if let Some(number) = number {
            *rows.entry(number).or_insert(0) += 1;
        }
    }
}

/// The difference of an output, in rows where it is rows that differ.
fn difference(found: &[u8], expected: &[u8]) -> String {
    let (mut rows, mut right) = (BTreeMap::new(), BTreeMap::new());
    count(found, &mut rows);
    count(expected, &mut right);
    let times = |rows: &BTreeMap<u64, usize>, row: &u64| rows.get(row).copied().unwrap_or(0);
    let missing = right.keys().filter(|row| times(&rows, row) < times(&right, row)).count();
    let doubled = rows.keys().filter(|row| times(&rows, row) > times(&right, row)).count();
    let zeros = found.iter().filter(|byte| **byte == 0).count();
    let at = found.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(found.len().min(expected.len()));
    format!(
        "{missing} rows are missing, {doubled} too often, {zeros} zero bytes; {} bytes instead of {}, different from byte {at} on",
        found.len(),
        expected.len()
    )
}
