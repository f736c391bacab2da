//! Measures Oxbatch as ratios: the same work by the engine and by hand, as processes in turn, A B A B.
//!
//! ```text
//! cargo run --release -p oxbatch-benches -- all            # every row, 5 pairs each
//! cargo run --release -p oxbatch-benches -- csv --pairs 9 --rows 2000000
//! ```
//!
//! The numbers of the rows are those of docs/PERFORMANCE.md.
#![expect(clippy::print_stdout, reason = "a program whose output is its purpose")]

mod http;
mod imports;
mod measure;
mod migrate;
mod ours;
mod pages;
mod purge;
mod rows;
mod schedules;
mod service;
mod trades;

use std::path::PathBuf;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    if let Some(code) = rows::log::program() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            println!("failed: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), BoxError> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        // One side of a pair, in a process of its own.
        ["side", row, side, rows, folder] => {
            let row = rows::find(row)?;
            let outcome = (row.side)(side.parse()?, rows.parse()?, &PathBuf::from(folder))?;
            println!("{}", measure::report(outcome)?);
            Ok(())
        }
        [which, options @ ..] => {
            let (mut pairs, mut items) = (5, None);
            for option in options.chunks(2) {
                match option {
                    ["--pairs", number] => pairs = number.parse()?,
                    ["--rows", number] => items = Some(number.parse()?),
                    _ => return Err(usage()),
                }
            }
            for row in rows::ALL.iter().filter(|row| *which == "all" || row.name == *which) {
                if row.name.starts_with("postgres") && *which == "all" && rows::server::url().is_err() {
                    println!("\nrow 4 is left out: it needs scripts/postgres run …");
                    continue;
                }
                measure::pairs(row, pairs, items.unwrap_or(row.items))?;
            }
            if ["all", "start"].contains(which) {
                rows::start::measure(pairs)?;
            }
            if ["all", "memory"].contains(which) {
                rows::memory::measure(pairs, items)?;
            }
            if ["all", "history"].contains(which) {
                rows::history::measure(pairs, items)?;
            }
            match *which {
                "all" | "start" | "memory" | "history" => Ok(()),
                "copies" => rows::copies::measure(pairs),
                "forms" => rows::forms::measure(pairs),
                "migrate" => migrate::measure(items),
                "pages" => pages::measure(items),
                "purge" => purge::measure(items),
                "schedules" => schedules::measure(items),
                "unreadable" => rows::unreadable::measure(items),
                which => rows::find(which).map(|_| ()),
            }
        }
        [] => Err(usage()),
    }
}

fn usage() -> BoxError {
    let names: Vec<_> = rows::ALL.iter().map(|row| row.name).collect();
    format!(
        "usage: oxbatch-benches (all|start|memory|history|copies|forms|migrate|pages|purge|schedules|unreadable|{}) [--pairs N] [--rows N]",
        names.join("|")
    )
    .into()
}
