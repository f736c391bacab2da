//! The JSON parsing test suite: what must be read, must be refused, and may be either.

use std::error::Error;
use std::fs;
use std::path::Path;

use oxbatch_core::ItemError;
use oxbatch_formats::{JsonArrayReader, JsonLinesReader};
use serde::Deserialize;
use serde_json::Value;

use super::{Outcomes, read_all};

#[derive(Deserialize)]
struct Case {
    name: String,
    input: String,
}

pub(super) fn run(suite: &Path) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("case");
    let (mut arrays, mut lines) = (Outcomes::default(), Outcomes::default());
    for file in ["parsing", "transform"] {
        let module = fs::read_to_string(suite.join(format!("data/{file}.js")))?;
        let list = module.find("export default").and_then(|at| Some(&module[at + module[at..].find('[')?..]));
        for Case { name, input } in
            serde_json::from_str::<Vec<Case>>(list.ok_or("no list of cases")?.trim_end().trim_end_matches(';'))?
        {
            fs::write(&path, &input)?;
            judge(&mut arrays, &name, &input, read_all(JsonArrayReader::<Value>::new(&path)).map(Value::Array));
            if !input.trim().contains('\n') && !input.trim().is_empty() {
                let values = read_all(JsonLinesReader::<Value>::new(&path));
                match values.map(|mut values| values.pop()).transpose() {
                    Some(value) => judge(&mut lines, &name, &input, value),
                    None => lines.add("passed over as a blank line", name),
                }
            }
        }
    }
    arrays.print("JSON parsing suite, as a file of an array");
    lines.print("JSON parsing suite, as a line of JSON Lines");
    Ok(())
}

fn judge(outcomes: &mut Outcomes, name: &str, input: &str, read: Result<Value, ItemError>) {
    let told = match &read {
        Ok(value) => format!("{name}: {input} is read as {value}"),
        Err(error) => format!("{name}: {input}: {}", error.cause_text()),
    };
    let outcome = match (name.split_once('_').map(|(kind, _)| kind), &read) {
        (Some("y"), Ok(value)) if serde_json::from_str::<Value>(input).is_ok_and(|parsed| parsed == *value) => {
            "must be read: read"
        }
        (Some("y"), Err(error)) if error.cause_text().contains("more digits") => {
            "must be read: refused, for a number would lose digits"
        }
        (Some("y"), Err(error)) if error.cause_text().contains("an array must begin") => {
            "must be read: refused, for it is no array"
        }
        (Some("y"), _) => "WRONG: must be read",
        (Some("n"), Err(_)) => "must be refused: refused",
        (Some("n"), Ok(_)) => "WRONG: must be refused",
        (_, Ok(_)) => "may be either: read",
        (_, Err(_)) => "may be either: refused",
    };
    outcomes.add(outcome, told);
}
