//! Runs the programs of a row in turn and compares what came out.

use std::fs;
use std::path::Path;
use std::process::Command;

use peer_trades::{Answer, BoxError, generate};

use crate::check::Output;
use crate::kernel::{self, Usage};
use crate::rows::{Program, Row};
use crate::server::Server;

/// One run of one program.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) answer: Answer,
    pub(crate) usage: Usage,
    /// Processor time of the database's server, where there is one.
    pub(crate) server_cpu: Option<f64>,
}

/// All runs of a program, one a round.
pub(crate) struct Runs {
    pub(crate) program: Program,
    pub(crate) runs: Vec<Run>,
}

/// Runs all programs of a row `rounds` times in turn; where it is cheap, once more first, which is not counted.
pub(crate) fn take(row: &Row, programs: Vec<Program>, items: u64, rounds: usize) -> Result<Vec<Runs>, BoxError> {
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("trades.csv");
    if row.reads_trades {
        generate(items, &input)?;
    }
    let mut server = if row.on_postgres { Some(Server::from_environment()?) } else { None };
    if row.on_postgres && row.reads_trades {
        ready_file(&input, &folder.path().join("ready.csv"))?;
    }
    let task = [row.work.to_owned(), items.to_string(), row.chunk.to_string(), folder.path().display().to_string()];
    let mut expected: Option<Output> = None;
    let mut all: Vec<Runs> = programs.into_iter().map(|program| Runs { program, runs: Vec::new() }).collect();
    let unmeasured = usize::from(items <= 2_000_000 || !row.on_postgres);
    for round in 0..rounds + unmeasured {
        for Runs { program, runs } in &mut all {
            clean(folder.path())?;
            if let Some(server) = &mut server {
                server.prepare()?;
            }
            // What the last run has left to write is not in the time of this one.
            Command::new("sync").status()?;
            let before = server.as_ref().map(Server::cpu_seconds).transpose()?;
            let (answer, usage) = kernel::run(program, &task, folder.path())?;
            let after = server.as_ref().map(Server::cpu_seconds).transpose()?;
            let output = (row.output)(program, &answer, folder.path(), server.as_mut())?;
            eprintln!(
                "{} round {round} of {rounds}: {} {:.2} s, {:.2} CPU s, {} rows, {}",
                row.name, program.name, answer.seconds, usage.cpu_seconds, output.rows, output.checksum
            );
            match &expected {
                Some(expected) if !output.agrees_with(expected) => {
                    return Err(format!("{}: {output:?}, but before it {expected:?}", program.name).into());
                }
                Some(_) => {}
                None => expected = Some(output),
            }
            if round >= unmeasured {
                let server_cpu = before.zip(after).map(|(before, after)| after - before);
                runs.push(Run { answer, usage, server_cpu });
            }
        }
    }
    Ok(all)
}

/// Removes what the last program left, so that each finds the same folder.
fn clean(folder: &Path) -> Result<(), BoxError> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() != "trades.csv" && entry.file_name() != "ready.csv" {
            let path = entry.path();
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
    }
    Ok(())
}

/// The rows of the public benchmark's first table as a file, for the server's own COPY.
fn ready_file(input: &Path, ready: &Path) -> Result<(), BoxError> {
    let mut reader = csv::Reader::from_path(input)?;
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_path(ready)?;
    for trade in reader.deserialize::<peer_trades::Trade>() {
        let trade = trade?;
        let euros = peer_trades::euros(trade.amount, &trade.currency);
        let status = peer_trades::settled(trade.status.clone());
        writer.serialize((
            trade.transaction_id,
            trade.amount,
            trade.currency,
            trade.timestamp,
            trade.account_from,
            trade.account_to,
            status,
            euros,
        ))?;
    }
    Ok(writer.flush()?)
}
