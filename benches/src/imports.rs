//! Imports that run one after the other in the real service, as something else is measured.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::BoxError;
use crate::service::Service;

/// The records of the sample's file stand so often in the file of an import.
const REPEATED: usize = 20;
/// Rows in one transaction of an import: few, so that it commits all the time.
const CHUNK: u32 = 5;
const RECORDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/birdstrikes.csv");

/// The result of a row of imports.
#[derive(Default)]
pub(crate) struct Imports {
    /// Those that ended COMPLETED.
    pub(crate) made: usize,
    pub(crate) problems: Vec<String>,
}

/// Writes the file of the imports: the same records several times.
pub(crate) fn prepare(folder: &Path) -> Result<(), BoxError> {
    let records = std::fs::read_to_string(RECORDS)?;
    let (header, records) = records.split_once('\n').ok_or("the records have no header")?;
    let records = format!("{}\n", records.trim_end()).repeat(REPEATED);
    std::fs::write(folder.join("input.csv"), format!("{header}\n{records}"))?;
    Ok(())
}

/// Runs one import after the other, until it is told to end: each under a name of its own.
pub(crate) fn run(service: &Service, place: usize, folder: &Path, ends: &AtomicBool) -> Imports {
    let mut work = Imports::default();
    let output = folder.join(format!("output-{place}"));
    for number in 0.. {
        let input = folder.join(format!("input-{place}-{number}.csv"));
        let made = std::fs::create_dir_all(&output).and_then(|()| std::fs::hard_link(folder.join("input.csv"), &input));
        if let Err(error) = made {
            work.problems.push(format!("the input of an import: {error}"));
            break;
        }
        let body = serde_json::json!({ "input": input, "output": output, "chunk_size": CHUNK }).to_string();
        match service.launch("WildlifeStrikes", &body).and_then(|id| service.ended(id, ends)) {
            Ok(Some(status)) if status == "COMPLETED" => work.made += 1,
            Ok(Some(status)) => {
                // Another would end in the same way.
                work.problems.push(format!("an import ended {status}"));
                break;
            }
            // It was still running when it was told to end.
            Ok(None) => break,
            Err(error) => work.problems.push(format!("an import: {error}")),
        }
        let _ = std::fs::remove_file(&input);
        if ends.load(Ordering::Relaxed) {
            break;
        }
    }
    work
}
