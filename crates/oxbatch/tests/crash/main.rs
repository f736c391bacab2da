//! Kills a real service with SIGKILL at random moments while it imports into a table and into files of every format,
//! compressed and rolled over, and counts every row and compares every byte afterwards.
//!
//! The test is its own service: started with arguments it is an ordinary `oxbatch` binary with more jobs, started
//! without it is the test. `OXBATCH_TEST_KILLS` sets the number of kills (120), which are spread over the kinds of
//! output, `OXBATCH_TEST_OUTPUTS` names the jobs of those that are tested, `OXBATCH_TEST_SEED` repeats a run.
#![expect(clippy::print_stdout, reason = "a test program without a harness reports by itself")]

mod jobs;
mod output;
#[path = "../logs/own_service.rs"]
mod own_service;
mod service;
mod store;

use std::cell::RefCell;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use output::{Output, Variant};
use oxbatch::BoxError;
use service::{Execution, Service};
use store::Store;

const ROWS: u64 = 20_000;

fn main() -> ExitCode {
    own_service::main(|| Ok::<_, BoxError>(jobs::registry()), checks)
}

/// A test for each job that is asked for, with its share of the kills.
fn checks() -> Vec<own_service::Check<'static>> {
    let kills = number("OXBATCH_TEST_KILLS").unwrap_or(120);
    let seed = number("OXBATCH_TEST_SEED").unwrap_or_else(|| u64::from(std::process::id()) * 2_654_435_761 + 1);
    let asked = std::env::var("OXBATCH_TEST_OUTPUTS").unwrap_or_default();
    let is_asked = |output: &Output| asked.is_empty() || asked.split(',').any(|job| job == output.job());
    let tested: Vec<Output> = Output::ALL.into_iter().filter(is_asked).collect();
    if tested.is_empty() {
        let problem = format!("OXBATCH_TEST_OUTPUTS names no job of this test: '{asked}'");
        return vec![("the_jobs_that_are_asked_for".to_owned(), Box::new(|| Err(problem)))];
    }
    let random = Rc::new(RefCell::new(Random(seed)));
    let outputs = tested.len() as u64;
    let check = |(index, output): (u64, Output)| -> own_service::Check<'static> {
        let share = kills / outputs + u64::from(kills % outputs > index);
        let (name, random) = (output.job(), Rc::clone(&random));
        let run = move || every_row_is_there_exactly_once_after_every_kill(output, share, &mut random.borrow_mut());
        let run = move || run().map_err(|fault| format!("seed {seed}\n{fault}"));
        (format!("every_row_is_there_exactly_once_after_every_kill_of_{name}"), Box::new(run))
    };
    (0..).zip(tested).map(check).collect()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A linear congruence; the seed repeats a run's moments as well as a scheduler allows.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn every_row_is_there_exactly_once_after_every_kill(
    output: Output,
    kills: u64,
    random: &mut Random,
) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    jobs::generate(&folder.path().join("input.csv")).map_err(|error| error.to_string())?;
    let store = Store::new(folder.path(), output.is_on_postgres());
    if output == Output::CsvOfPostgres {
        store.execute(&jobs::source())?;
    }
    let start = Instant::now();
    let (mut killed, mut round, mut struck) = (0, 0, 0);
    while killed < kills {
        // So that each variant gets its kills.
        let most = kills.div_ceil(Variant::COUNT).min(kills - killed);
        let (of_round, within) = kill_through_a_round(folder.path(), &store, output, round, most, random)?;
        killed += of_round;
        struck += within;
        verify(folder.path(), &store, output, round).map_err(|fault| format!("after round {round}: {fault}"))?;
        round += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(format!(
        "{kills} kills, {struck} of them between two commits, in {round} imports of {ROWS} rows, {seconds:.0} s"
    ))
}

/// Runs one import to its end, killing its service at random moments. How many kills that took, and how many of them
/// left a part of the rows behind.
fn kill_through_a_round(
    folder: &Path,
    store: &Store,
    output: Output,
    round: u64,
    most: u64,
    random: &mut Random,
) -> Result<(u64, u64), String> {
    let (mut killed, mut struck) = (0, 0);
    loop {
        let service = Service::start(folder, &store.address(), output.job())?;
        let newest = service.newest(round)?;
        match newest.as_ref().map(|execution| execution.status.as_str()) {
            Some("COMPLETED") => {
                service.terminate()?;
                return Ok((killed, struck));
            }
            None => service.launch(round)?,
            // Given up after three recoveries without a committed chunk: a person launches again. Anything else that is
            // FAILED should have been recovered by the start.
            Some("FAILED") if newest.as_ref().is_some_and(Execution::was_given_up) => service.launch(round)?,
            Some("FAILED") => {
                return Err(format!("round {round} was not recovered: {:?}", newest.map(|it| it.message)));
            }
            Some(_) => {}
        }
        if killed == most {
            service.wait_for_the_end(round)?;
            service.terminate()?;
            return Ok((killed, struck));
        }
        // Mostly while it works, now and then in the middle of its start or recovery, which take longer on PostgreSQL than
        // the longest pause.
        if output.is_on_postgres() && random.below(4) > 0 {
            service.wait_until_more_than(settled(store, round)?, || settled(store, round))?;
        }
        std::thread::sleep(Duration::from_micros(random.below(120_000)));
        service.kill()?;
        killed += 1;
        struck += u64::from(settled(store, round).is_ok_and(|rows| rows > 0 && rows < ROWS.cast_signed()));
    }
}

/// Rows that all attempts of a round have read and committed.
fn settled(store: &Store, round: u64) -> Result<i64, String> {
    sum(store, "read_count", round)
}

/// Counters are committed with their chunks: over all attempts they add up to the input exactly.
fn sum(store: &Store, counter: &str, round: u64) -> Result<i64, String> {
    store.one(&format!(
        "SELECT coalesce(sum(s.{counter}), 0) FROM oxbatch_step_execution s
         JOIN oxbatch_job_instance_parameter p ON p.job_instance_id = s.job_instance_id
         WHERE p.key_name = 'round' AND p.long_value = {round}"
    ))
}

fn verify(folder: &Path, store: &Store, output: Output, round: u64) -> Result<(), String> {
    let rows = ROWS.cast_signed();
    if output.is_table() {
        let counted = store.one(&format!("SELECT count(*) FROM crash_rows WHERE round = {round}"))?;
        let distinct = store.one(&format!("SELECT count(DISTINCT id) FROM crash_rows WHERE round = {round}"))?;
        let right = store.one(&format!(
            "SELECT count(*) FROM crash_rows WHERE round = {round}
             AND name = 'Müller, ' || (id % 977) AND cents = (id % 10007) * 37 - 100000"
        ))?;
        if (counted, distinct, right) != (rows, rows, rows) {
            return Err(format!("{counted} rows, {distinct} distinct, {right} right, in the table instead of {rows}"));
        }
    } else {
        output.verify_files(folder, round)?;
    }
    let running =
        store.one("SELECT count(*) FROM oxbatch_job_execution WHERE status IN ('STARTING','STARTED','STOPPING')")?;
    if running != 0 {
        return Err(format!("{running} executions are left running"));
    }
    let unbalanced = store.one(
        "SELECT count(*) FROM oxbatch_step_execution
         WHERE read_count <> write_count + filter_count + process_skip_count + write_skip_count",
    )?;
    if unbalanced != 0 {
        return Err(format!("{unbalanced} ledgers do not balance"));
    }
    let count = |rows: usize| i64::try_from(rows).map_err(|error| error.to_string());
    let (read, written) = (count(output.reads())?, count(output.ids().len())?);
    for (counter, expected) in [("read_count", read), ("write_count", written)] {
        let counted = sum(store, counter, round)?;
        if counted != expected {
            return Err(format!("the attempts have a {counter} of {counted} in all instead of {expected}"));
        }
    }
    Ok(())
}
