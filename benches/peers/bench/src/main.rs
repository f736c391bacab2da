//! Runs the same work by Oxbatch, by hand and by its peers in turn, A B C A B C, and prints the ratios as Markdown.
//!
//! `scripts/bench-peers` builds everything and calls this program; the rows are those of docs/PERFORMANCE.md.

mod chart;
mod check;
mod growth;
mod hand;
mod kernel;
mod launches;
mod ours;
mod rows;
mod server;
mod table;
mod turns;

use std::path::PathBuf;
use std::process::ExitCode;

use peer_trades::{Answer, BoxError, Task};

use crate::rows::Size;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("oxbatch-peers: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode, BoxError> {
    match arguments {
        // One program of a round, in a process of its own.
        [side, name, task @ ..] if side == "side" => {
            let task = Task::from_arguments(task)?;
            let answer: Answer = match name.as_str() {
                "oxbatch" => ours::run(&task)?,
                "hand" => hand::run(&task)?,
                "psql" => hand::psql(&task)?,
                _ => return Err(format!("no program '{name}'").into()),
            };
            println!("{}", answer.line()?);
            Ok(ExitCode::SUCCESS)
        }
        // A process of its own that has one child, so that the kernel's sums over children are that child's.
        [time, command @ ..] if time == "time" => kernel::run_and_report(command),
        [size, options @ ..] => {
            let size = match size.as_str() {
                "quick" => Size::Quick,
                "full" => Size::Full,
                _ => return Err(usage()),
            };
            let (mut rounds, mut rows, mut names, mut chart) = (5, None, Vec::new(), None);
            for option in options.chunks(2) {
                match option {
                    [name, number] if name == "--rounds" => rounds = number.parse()?,
                    [name, number] if name == "--rows" => rows = Some(number.parse()?),
                    [name, path] if name == "--chart" => chart = Some(PathBuf::from(path)),
                    [name, list] if name == "--only" => names = list.split(',').map(str::to_owned).collect(),
                    _ => return Err(usage()),
                }
            }
            let drawn = rows::measure(&names, size, rows, rounds)?;
            if let Some(path) = chart {
                drawn.write(&path)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        [] => Err(usage()),
    }
}

fn usage() -> BoxError {
    let names: Vec<_> = rows::ALL.iter().map(|row| row.name).chain([growth::NAME, launches::NAME]).collect();
    format!("usage: bench-peers quick|full [--only {}] [--rounds N] [--rows N] [--chart FILE]", names.join(",")).into()
}
