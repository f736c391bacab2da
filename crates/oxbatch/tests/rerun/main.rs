//! Kills a real service with SIGKILL while it runs skipped items again, and counts every row afterwards.
//!
//! As the crash test, it is its own service: started with arguments it is an ordinary `oxbatch` binary with one more
//! job.
#![expect(clippy::print_stdout, reason = "a test program without a harness reports by itself")]

mod jobs;
#[path = "../logs/own_service.rs"]
mod own_service;
mod service;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use oxbatch::BoxError;
use service::{Service, text};

/// Kills in the middle of re-runs.
const KILLS: u64 = 12;
/// Calls that resume a re-run; more would mean that it makes no progress.
const MOST_ROUNDS: u64 = 200;

fn main() -> ExitCode {
    own_service::main(
        || Ok::<_, BoxError>(jobs::registry()),
        || {
            let name = "every_skipped_row_is_there_exactly_once_after_every_kill";
            vec![(name.to_owned(), Box::new(every_skipped_row_is_there_exactly_once_after_every_kill))]
        },
    )
}

/// Runs a command of this very binary. Its exit code, and what it said on both outputs.
fn command(folder: &Path, arguments: &[&str]) -> Result<(i32, String), String> {
    let binary = std::env::current_exe().map_err(text)?;
    let output = Command::new(binary).args(arguments).current_dir(folder).output().map_err(text)?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned()))
}

fn every_skipped_row_is_there_exactly_once_after_every_kill() -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(text)?;
    let folder = folder.path();
    jobs::generate(&folder.join("input.csv")).map_err(text)?;
    let (code, said) = command(folder, &["run", "Orders"])?;
    if code != 0 || rows(folder)?.0 != jobs::ROWS - jobs::SKIPPED {
        return Err(format!("the first run: {code} {said}"));
    }
    std::fs::write(folder.join("fixed"), "").map_err(text)?;
    let (mut killed, mut within, mut rounds) = (0, 0, 0);
    loop {
        rounds += 1;
        if rounds > MOST_ROUNDS {
            return Err("the re-run makes no progress".to_owned());
        }
        let service = Service::start(folder)?;
        let newest = service.newest_rerun()?;
        match newest.as_deref() {
            Some("COMPLETED") => {
                service.terminate()?;
                break;
            }
            // Another call resumes it, or is reported that a recovery has begun it.
            None | Some("FAILED" | "STOPPED") => service.rerun()?,
            Some(_) => {}
        }
        if killed < KILLS {
            // A little more each time: from the start of the service on to the middle of its work.
            std::thread::sleep(Duration::from_millis(7 * (rounds % 16)));
            service.kill()?;
            killed += 1;
            let there = rows(folder)?.0;
            within += u64::from(there > jobs::ROWS - jobs::SKIPPED && there < jobs::ROWS);
        } else {
            service.wait_for_the_end()?;
            service.terminate()?;
        }
    }
    verify(folder)?;
    Ok(format!("{killed} kills, {within} of them in the middle of the table, {rounds} starts"))
}

/// Rows in the table, and how many different ones.
fn rows(folder: &Path) -> Result<(u64, u64), String> {
    let database = rusqlite::Connection::open(folder.join("oxbatch.db")).map_err(text)?;
    let sql = "SELECT count(*), count(DISTINCT id) FROM orders";
    let (all, different): (i64, i64) =
        database.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).map_err(text)?;
    Ok((all.unsigned_abs(), different.unsigned_abs()))
}

fn verify(folder: &Path) -> Result<(), String> {
    if rows(folder)? != (jobs::ROWS, jobs::ROWS) {
        return Err(format!("{:?} rows in the table instead of {}", rows(folder)?, jobs::ROWS));
    }
    // The first file stays as it was; the re-run has one of its own beside it.
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(text)? {
        let name = entry.map_err(text)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".part") {
            return Err(format!("{name} is left"));
        }
        if name.starts_with("orders") {
            let content = std::fs::read_to_string(folder.join(&name)).map_err(text)?;
            content.lines().skip(1).for_each(|line| *lines.entry(line.to_owned()).or_default() += 1);
            files.push((name, content.lines().count() as u64 - 1));
        }
    }
    files.sort();
    let counts: Vec<u64> = files.iter().map(|(_, lines)| *lines).collect();
    if counts != [jobs::ROWS - jobs::SKIPPED, jobs::SKIPPED] || !files[1].0.starts_with("orders.rerun-") {
        return Err(format!("the files are {files:?}"));
    }
    if lines.len() as u64 != jobs::ROWS || lines.values().any(|count| *count != 1) {
        return Err("a row is missing from the files, or there twice".to_owned());
    }
    let (code, said) = command(folder, &["skips", "rerun", "1"])?;
    if code != 4 || !said.contains("the skipped items of execution 1 cannot be run again: it has no skipped items left")
    {
        return Err(format!("a re-run of nothing: {code} {said}"));
    }
    // The first instance knows nothing of it.
    let (code, said) = command(folder, &["run", "Orders"])?;
    if code != 0 || !said.contains("every step was already complete") {
        return Err(format!("another run: {code} {said}"));
    }
    let (code, said) = command(folder, &["show", "1"])?;
    if code != 0 || !said.contains("rerun by") { Err(format!("no link: {code} {said}")) } else { Ok(()) }
}
