//! csv-spectrum: CSV files, each with the JSON that it stands for.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use oxbatch_formats::CsvReader;

use super::{Outcomes, read_all};

type Row = BTreeMap<String, String>;

pub(super) fn run(suite: &Path) -> Result<(), Box<dyn Error>> {
    let mut outcomes = Outcomes::default();
    for entry in fs::read_dir(suite.join("csvs"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut rows = read_all(CsvReader::<Row>::new(&path));
        if name == "location_coordinates" && rows.is_err() {
            // Seconds of arc are written with a quote in fields that have none around them.
            rows = read_all(CsvReader::<Row>::new(&path).lenient_quotes());
        }
        let Ok(json) = String::from_utf8(fs::read(suite.join("json").join(format!("{name}.json")))?) else {
            let outcome = match rows {
                Err(_) => "refused: the file is not UTF-8",
                Ok(_) => "WRONG: read, though the file is not UTF-8",
            };
            outcomes.add(outcome, name);
            continue;
        };
        // One of them is an object in the place of an array of one.
        let expected: Vec<Row> =
            serde_json::from_str(&json).or_else(|_| serde_json::from_str(&json).map(|row| vec![row]))?;
        match rows {
            Ok(rows) if rows == expected => outcomes.add("read as its JSON", name),
            // The suite's JSON has another telephone number than its CSV.
            Ok(rows) if name == "location_coordinates" && rows.len() == 1 => {
                outcomes.add("read by `lenient_quotes`, its JSON is of other data", name)
            }
            Ok(rows) => outcomes.add("WRONG: read as something else", format!("{name}: {rows:?}")),
            Err(error) => outcomes.add("WRONG: refused", format!("{name}: {error}")),
        }
    }
    outcomes.print("csv-spectrum");
    Ok(())
}
