//! The conformance suite of the W3C: documents that are well-formed and such that are not. Each is read as one record,
//! its root element.

use std::error::Error;
use std::fs;
use std::path::Path;

use oxbatch_core::ItemError;
use oxbatch_formats::XmlReader;
use quick_xml::events::Event;
use serde::Deserialize;
use serde_json::Value;

use super::{Outcomes, read_all};

/// The catalogue, which is read by the reader that it is about.
#[derive(Deserialize)]
struct Cases {
    #[serde(rename = "@xml:base", default)]
    base: String,
    #[serde(rename = "TEST", default)]
    tests: Vec<Test>,
    #[serde(rename = "TESTCASES", default)]
    cases: Vec<Cases>,
}

#[derive(Deserialize)]
struct Test {
    #[serde(rename = "@ID")]
    id: String,
    #[serde(rename = "@TYPE")]
    kind: String,
    #[serde(rename = "@URI")]
    uri: String,
    #[serde(rename = "@SECTIONS", default)]
    sections: String,
    #[serde(rename = "@RECOMMENDATION", default)]
    recommendation: String,
}

pub(super) fn run(suite: &Path) -> Result<(), Box<dyn Error>> {
    let catalogue = XmlReader::<Cases>::new(suite.join("cleaned/xmlconf-flattened.xml"), "TESTCASES");
    let mut outcomes = Outcomes::default();
    for cases in read_all(catalogue.max_element_bytes(16 * 1024 * 1024)).map_err(|error| error.to_string())? {
        judge_all(&cases, &suite.join("xmlconf"), &mut outcomes)?;
    }
    outcomes.print("W3C XML conformance suite");
    Ok(())
}

fn judge_all(cases: &Cases, folder: &Path, outcomes: &mut Outcomes) -> Result<(), Box<dyn Error>> {
    let folder = folder.join(&cases.base);
    for test in &cases.tests {
        let path = folder.join(&test.uri);
        let text = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let root = root_of(&text).unwrap_or_else(|| "root".to_owned());
        let outcome = outcome(test, &text, read_all(XmlReader::<Value>::new(&path, root)).map(|roots| roots.len()));
        outcomes.add(outcome, format!("{} ({}, {})", test.id, test.uri, test.sections));
    }
    cases.cases.iter().try_for_each(|inner| judge_all(inner, &folder, outcomes))
}

fn root_of(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let mut reader = quick_xml::Reader::from_str(&text);
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => return Some(tag.name().0.to_owned()),
            Ok(Event::Eof) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

fn outcome(test: &Test, text: &[u8], read: Result<usize, ItemError>) -> String {
    let kind = test.kind.as_str();
    let problem = read.as_ref().err().map(ItemError::cause_text).unwrap_or_default();
    let has = |part: &str| text.windows(part.len()).any(|window| window == part.as_bytes());
    match (kind, read) {
        ("valid" | "invalid", Ok(1)) => "well-formed: read".to_owned(),
        ("valid" | "invalid", Ok(records)) => format!("WRONG: well-formed, but read as {records} records"),
        ("valid" | "invalid", Err(_)) => match problem {
            _ if problem.contains("unrecognized entity") => {
                "well-formed: refused, for it uses an entity of its own".to_owned()
            }
            _ if problem.contains("is not read; convert")
                || problem.contains("is UTF-16")
                || problem.contains("not UTF-8") =>
            {
                "well-formed: refused, for it is not UTF-8".to_owned()
            }
            _ if test.recommendation.contains("1.1") => "well-formed by XML 1.1 or its namespaces: refused".to_owned(),
            _ => format!("WRONG: well-formed, but refused: {problem}"),
        },
        ("not-wf", Err(_)) => "not well-formed: refused".to_owned(),
        ("not-wf", Ok(_)) if has("<!DOCTYPE") => "not well-formed: read, in its declarations or by them".to_owned(),
        ("not-wf", Ok(_)) => {
            format!("not well-formed: read; section {}", test.sections.split_whitespace().next().unwrap_or("?"))
        }
        (_, Ok(_)) => format!("{kind}: read"),
        (_, Err(_)) => format!("{kind}: refused"),
    }
}
