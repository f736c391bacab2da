//! vega-datasets: data as people have it. Each file is read by the reader of its format and compared with a parser of
//! the whole.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use oxbatch_core::ItemError;
use oxbatch_formats::{CsvReader, JsonArrayReader};
use serde_json::Value;

use super::{Outcomes, read_all};

pub(super) fn run(suite: &Path) -> Result<(), Box<dyn Error>> {
    let mut outcomes = Outcomes::default();
    for entry in fs::read_dir(suite.join("data"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => json(&path, &name, &mut outcomes)?,
            Some("csv") => csv(&path, &name, b',', &mut outcomes)?,
            Some("tsv") => csv(&path, &name, b'\t', &mut outcomes)?,
            _ => {}
        }
    }
    outcomes.print("vega-datasets");
    Ok(())
}

fn json(path: &Path, name: &str, outcomes: &mut Outcomes) -> Result<(), Box<dyn Error>> {
    let document: Value = serde_json::from_slice(&fs::read(path)?)?;
    let arrays: Vec<(String, &Vec<Value>)> = match &document {
        Value::Array(rows) => vec![(String::new(), rows)],
        Value::Object(members) => {
            let named =
                |(name, value): (&String, _)| Some((format!("/{}", name.replace('~', "~0").replace('/', "~1")), value));
            members.iter().filter_map(|(name, value)| named((name, value.as_array()?))).collect()
        }
        _ => Vec::new(),
    };
    if arrays.is_empty() {
        outcomes.add("JSON without an array of its own", name);
    }
    for (pointer, expected) in arrays {
        let kind = if pointer.is_empty() { "JSON array" } else { "array within JSON, by its pointer" };
        judge(
            outcomes,
            kind,
            &format!("{name}{pointer}"),
            read_all(JsonArrayReader::<Value>::new(path).at(pointer)),
            expected,
        );
    }
    Ok(())
}

fn csv(path: &Path, name: &str, delimiter: u8, outcomes: &mut Outcomes) -> Result<(), Box<dyn Error>> {
    type Row = BTreeMap<String, String>;
    let mut parser = csv::ReaderBuilder::new().delimiter(delimiter).from_path(path)?;
    let expected: Vec<Row> = parser.deserialize().collect::<Result<_, _>>()?;
    judge(outcomes, "CSV", name, read_all(CsvReader::<Row>::new(path).delimiter(delimiter)), &expected);
    Ok(())
}

fn judge<T: PartialEq>(
    outcomes: &mut Outcomes,
    kind: &str,
    name: &str,
    read: Result<Vec<T>, ItemError>,
    expected: &[T],
) {
    match read {
        Ok(rows) if rows == expected => outcomes.add(format!("{kind}: the same as a parser of the whole finds"), name),
        Ok(rows) => {
            outcomes.add(format!("WRONG: {kind}: other rows"), format!("{name}: {} for {}", rows.len(), expected.len()))
        }
        Err(error) if error.cause_text().contains("more digits") => {
            outcomes.add(format!("{kind}: refused, for a number would lose digits"), name)
        }
        Err(error) => outcomes.add(format!("WRONG: {kind}: refused"), format!("{name}: {error}")),
    }
}
