//! The kinds of output, and what must stand in them: written by hand, not by the writers under test.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;

/// Items of a file of a sequence.
pub(crate) const ROLL_ITEMS: usize = 7_000;

/// The key by which rows are equal where each is to come once: every fourth row comes after one with its key, at all
/// distances.
pub(crate) fn key(id: u64) -> u64 {
    if id % 4 == 3 { key(id / 2) } else { id }
}

/// Where the rows of an import go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Table,
    /// A table of PostgreSQL, in the transaction of the repository that is there too.
    PostgresTable,
    Csv,
    /// CSV of the rows of a table of PostgreSQL, where the repository is too.
    CsvOfPostgres,
    /// CSV as well, all rounds in one file.
    Appended,
    FixedWidth,
    JsonLines,
    JsonArray,
    Xml,
    /// CSV as well, of the first row of each key.
    Distinct,
    /// CSV as well, and a file of the rows that cannot be read or are refused.
    Rejects,
}

/// The phase in which a row of the input is rejected, where rows are.
pub(crate) fn rejected_in(id: u64) -> Option<&'static str> {
    match id % 50 {
        7 => Some("PROCESS"),
        8 => Some("READ"),
        _ => None,
    }
}

/// The way in which a round's files are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variant {
    /// None, gzip, zstd.
    pub(crate) compression: usize,
    pub(crate) rolls: bool,
}

impl Variant {
    pub(crate) const COUNT: u64 = 6;

    /// Six rounds go through all of them.
    pub(crate) fn of(round: u64) -> Self {
        let number = usize::try_from(round % Self::COUNT).unwrap_or(0);
        Self { compression: number % 3, rolls: number >= 3 }
    }

    fn ending(self) -> &'static str {
        ["", ".gz", ".zst"][self.compression]
    }

    fn read(self, path: &Path) -> Result<String, String> {
        let fault = |error: std::io::Error| format!("{}: {error}", path.display());
        let file = std::fs::File::open(path).map_err(fault)?;
        let mut reader: Box<dyn Read> = match self.compression {
            0 => Box::new(file),
            1 => Box::new(flate2::read::MultiGzDecoder::new(file)),
            _ => Box::new(zstd::Decoder::new(file).map_err(fault)?),
        };
        let mut text = String::new();
        reader.read_to_string(&mut text).map_err(fault)?;
        Ok(text)
    }
}

impl Output {
    pub(crate) const ALL: [Self; 11] = [
        Self::Table,
        Self::PostgresTable,
        Self::Csv,
        Self::CsvOfPostgres,
        Self::Appended,
        Self::FixedWidth,
        Self::JsonLines,
        Self::JsonArray,
        Self::Xml,
        Self::Distinct,
        Self::Rejects,
    ];

    pub(crate) fn is_on_postgres(self) -> bool {
        matches!(self, Self::PostgresTable | Self::CsvOfPostgres)
    }

    pub(crate) fn is_table(self) -> bool {
        matches!(self, Self::Table | Self::PostgresTable)
    }

    pub(crate) fn job(self) -> &'static str {
        match self {
            Self::Table => "CrashTable",
            Self::PostgresTable => "CrashPostgresTable",
            Self::Csv => "CrashCsv",
            Self::CsvOfPostgres => "CrashCsvOfPostgres",
            Self::Appended => "CrashAppended",
            Self::FixedWidth => "CrashFixedWidth",
            Self::JsonLines => "CrashJsonLines",
            Self::JsonArray => "CrashJsonArray",
            Self::Xml => "CrashXml",
            Self::Distinct => "CrashDistinct",
            Self::Rejects => "CrashRejects",
        }
    }

    /// The rows that an import writes.
    pub(crate) fn ids(self) -> Vec<u64> {
        let mut keys = HashSet::new();
        let is_written = |id: &u64| match self {
            Self::Distinct => keys.insert(key(*id)),
            Self::Rejects => rejected_in(*id).is_none(),
            _ => true,
        };
        (0..crate::ROWS).filter(is_written).collect()
    }

    /// The number of rows that an import reads.
    pub(crate) fn reads(self) -> usize {
        let is_read = |id: &u64| self != Self::Rejects || rejected_in(*id) != Some("READ");
        (0..crate::ROWS).filter(is_read).count()
    }

    /// The file of the rejects of a round.
    pub(crate) fn path_of_rejects(self, round: u64) -> String {
        format!("{}.rejects", self.stem(round))
    }

    /// The rejects of an import, each with its line: the header is the first, and the rows begin with 0.
    fn rejects() -> String {
        let rejects = (0..crate::ROWS).filter_map(|id| Some(format!("{},{}\n", rejected_in(id)?, id + 2)));
        ["phase,line\n".to_owned()].into_iter().chain(rejects).collect()
    }

    pub(crate) fn variant(self, round: u64) -> Variant {
        if self == Self::Appended { Variant { compression: 0, rolls: false } } else { Variant::of(round) }
    }

    /// Where the keys of a round are kept.
    pub(crate) fn path_of_keys(self, round: u64) -> String {
        format!("{}.keys", self.stem(round))
    }

    fn stem(self, round: u64) -> String {
        if self == Self::Appended { self.job().to_owned() } else { format!("{}-{round}", self.job()) }
    }

    pub(crate) fn path(self, round: u64) -> String {
        format!("{}.out{}", self.stem(round), self.variant(round).ending())
    }

    /// A row's text.
    fn row(self, id: u64, out: &mut String) -> std::fmt::Result {
        let name = format!("Müller, {}", id % 977);
        let cents = (id % 10_007).cast_signed() * 37 - 100_000;
        match self {
            Self::Table | Self::PostgresTable => Ok(()),
            Self::Csv | Self::CsvOfPostgres | Self::Appended | Self::Distinct | Self::Rejects => {
                writeln!(out, "{id},\"{name}\",{cents}")
            }
            Self::FixedWidth => writeln!(out, "{id:>8}{name:<14}{cents:>8}"),
            Self::JsonLines => writeln!(out, "{{\"id\":{id},\"name\":\"{name}\",\"cents\":{cents}}}"),
            Self::JsonArray => write!(out, "\n{{\"id\":{id},\"name\":\"{name}\",\"cents\":{cents}}}"),
            Self::Xml => writeln!(out, "<item><id>{id}</id><name>{name}</name><cents>{cents}</cents></item>"),
        }
    }

    /// A whole file of rows.
    pub(crate) fn text(self, ids: &[u64]) -> String {
        let (start, end) = match self {
            Self::Csv | Self::CsvOfPostgres | Self::Appended | Self::Distinct | Self::Rejects => {
                ("id,name,cents\n", "")
            }
            Self::JsonArray => ("[", "\n]\n"),
            Self::Xml => ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<items>\n", "</items>\n"),
            Self::Table | Self::PostgresTable | Self::FixedWidth | Self::JsonLines => ("", ""),
        };
        let mut out = start.to_owned();
        for (number, id) in ids.iter().enumerate() {
            if self == Self::JsonArray && number > 0 {
                out.push(',');
            }
            // A String takes everything.
            let _ = self.row(*id, &mut out);
        }
        out + end
    }

    /// The text that all rounds so far have appended to one file: the header of the first, and the rows of each.
    fn appended(self, rounds: u64) -> String {
        let mut out = self.text(&[]);
        for id in (0..rounds).flat_map(|_| 0..crate::ROWS) {
            // A String takes everything.
            let _ = self.row(id, &mut out);
        }
        out
    }

    /// Compares the files of a round, byte by byte after decompression, and removes those that no later round goes on
    /// with.
    pub(crate) fn verify_files(self, folder: &Path, round: u64) -> Result<(), String> {
        let variant = self.variant(round);
        let ids = self.ids();
        let expected: Vec<(String, &[u64])> = if variant.rolls {
            let name = |file| format!("{}-{file:04}.out{}", self.stem(round), variant.ending());
            ids.chunks(ROLL_ITEMS).enumerate().map(|(file, ids)| (name(file + 1), ids)).collect()
        } else {
            vec![(self.path(round), &ids)]
        };
        for (name, ids) in expected {
            let path = folder.join(&name);
            let appends = self == Self::Appended;
            let expected = if appends { self.appended(round + 1) } else { self.text(ids) };
            if variant.read(&path)? != expected {
                return Err(format!("the file '{name}' is not what an import without kills makes"));
            }
            if !appends {
                std::fs::remove_file(&path).map_err(|error| error.to_string())?;
            }
        }
        if self == Self::Rejects {
            let path = folder.join(self.path_of_rejects(round));
            let rejects = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            if rejects != Self::rejects() {
                return Err("the file of rejects is not what an import without kills makes".to_owned());
            }
            std::fs::remove_file(&path).map_err(|error| error.to_string())?;
        }
        let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
        let left: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with("Crash") && *name != Self::Appended.path(0))
            .collect();
        if left.is_empty() { Ok(()) } else { Err(format!("files are left: {left:?}")) }
    }
}
