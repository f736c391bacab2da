//! The cost of a log that is kept: a step that logs a line for each microsecond of work, run by the real command line.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use oxbatch::{Job, JobRegistry, StepContext, TaskStep};
use tracing::info;

use super::Row;
use super::calibrated::{calibrate, hash, rounds_of_a_microsecond};
use crate::BoxError;
use crate::measure::{Outcome, Side};

pub(super) const ROW: Row = Row {
    name: "log",
    title: "a step that logs a line for each microsecond of work, the log kept; against the same without lines",
    goal: 0.5,
    items: 5_000_000,
    prepare: |_, folder| calibrate(folder),
    side,
};

/// Names the file for the time of the step; where it is set, the process is the program whose step is measured.
const RESULT: &str = "OXBATCH_BENCH_LOG_RESULT";
/// The number of lines, and whether they are logged.
const LINES: &str = "OXBATCH_BENCH_LOG_LINES";
const IS_LOGGED: &str = "OXBATCH_BENCH_LOG_IS_LOGGED";
/// The rounds of hashing that take a microsecond on this machine.
const ROUNDS: &str = "OXBATCH_BENCH_LOG_ROUNDS";

/// The program whose step logs, if this process is one.
pub(crate) fn program() -> Option<ExitCode> {
    let result = PathBuf::from(std::env::var_os(RESULT)?);
    let lines: u64 = std::env::var(LINES).ok()?.parse().ok()?;
    let is_logged = std::env::var_os(IS_LOGGED).is_some();
    let rounds: u64 = std::env::var(ROUNDS).ok()?.parse().ok()?;
    let work = move |_: &StepContext| work(lines, rounds, is_logged, &result);
    let job = Job::builder("Lines").step(TaskStep::builder("Log", work)).build().map_err(BoxError::from);
    Some(oxbatch::run(job.and_then(|job| Ok(JobRegistry::new([job])?))))
}

fn work(lines: u64, rounds: u64, is_logged: bool, result: &Path) -> Result<(), BoxError> {
    let begun = Instant::now();
    let mut sum = 0_u64;
    for line in 0..lines {
        sum ^= hash(line, rounds);
        if is_logged {
            info!(line, "an order was booked");
        }
    }
    let took = begun.elapsed();
    Ok(std::fs::write(result, format!("{} {sum}", took.as_secs_f64()))?)
}

fn side(side: Side, items: u64, folder: &Path) -> Result<Outcome, BoxError> {
    let (result, database) = (folder.join("result"), folder.join("log.db"));
    for old in [&result, &database] {
        let _ = std::fs::remove_file(old);
    }
    let mut program = Command::new(std::env::current_exe()?);
    program.args(["run", "Lines", "--database"]).arg(database);
    let rounds = rounds_of_a_microsecond(folder)?;
    program.env(RESULT, &result).env(LINES, items.to_string()).env(ROUNDS, rounds.to_string()).stdout(Stdio::null());
    if side == Side::Oxbatch {
        program.env(IS_LOGGED, "yes");
    }
    let status = program.status()?;
    if !status.success() {
        return Err(format!("the program ended with {status}").into());
    }
    let text = std::fs::read_to_string(result)?;
    let (seconds, checksum) = text.split_once(' ').ok_or("no result")?;
    Ok(Outcome { time: Duration::from_secs_f64(seconds.parse()?), checksum: checksum.parse()? })
}
