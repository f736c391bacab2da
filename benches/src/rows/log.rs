//! The cost of a log that is kept: a step that logs a line for each microsecond of work, run by the real command line.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use oxbatch::{Job, JobRegistry, StepContext, TaskStep};
use tracing::info;

use super::Row;
use crate::BoxError;
use crate::measure::{Outcome, Side};

pub(super) const ROW: Row = Row {
    name: "log",
    title: "a step that logs a line for each microsecond of work, the log kept; against the same without lines",
    goal: 0.5,
    items: 5_000_000,
    prepare: calibrate,
    side,
};

/// Names the file for the time of the step; where it is set, the process is the program whose step is measured.
const RESULT: &str = "OXBATCH_BENCH_LOG_RESULT";
/// The number of lines, and whether they are logged.
const LINES: &str = "OXBATCH_BENCH_LOG_LINES";
const IS_LOGGED: &str = "OXBATCH_BENCH_LOG_IS_LOGGED";
/// The rounds of hashing that take a microsecond on this machine.
const ROUNDS: &str = "OXBATCH_BENCH_LOG_ROUNDS";
/// The file with their number.
const CALIBRATED: &str = "rounds";

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

/// Work of so many rounds.
fn hash(line: u64, rounds: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (0..rounds).for_each(|round| (line, round).hash(&mut hasher));
    hasher.finish()
}

/// Measures how many rounds take a microsecond: once, so that all pairs do the same.
fn calibrate(_: u64, folder: &Path) -> Result<(), BoxError> {
    const TRIED: u64 = 100_000_000;
    let begun = Instant::now();
    std::hint::black_box(hash(0, std::hint::black_box(TRIED)));
    let microseconds = u64::try_from(begun.elapsed().as_micros())?;
    Ok(std::fs::write(folder.join(CALIBRATED), (TRIED / microseconds.max(1)).to_string())?)
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
    let rounds = std::fs::read_to_string(folder.join(CALIBRATED))?;
    program.env(RESULT, &result).env(LINES, items.to_string()).env(ROUNDS, rounds).stdout(Stdio::null());
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
