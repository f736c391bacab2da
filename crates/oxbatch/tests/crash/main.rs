//! Kills a real service with SIGKILL at random moments while it imports and exports, and counts every row afterwards.
//!
//! The test is its own service: started with arguments it is an ordinary `oxbatch` binary with one more job, started
//! without it is the test. `OXBATCH_TEST_KILLS` sets the number of kills (100), `OXBATCH_TEST_SEED` repeats a run.
#![expect(clippy::print_stdout, reason = "a test program without a harness reports by itself")]

mod jobs;
mod service;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use service::{Execution, Service};

const ROWS: u64 = 200_000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    // Cargo's test runner passes options of the harness; a command of the service is no option.
    if arguments.next().is_some_and(|first| !first.starts_with('-')) {
        return oxbatch::run(jobs::registry());
    }
    let kills = number("OXBATCH_TEST_KILLS").unwrap_or(100);
    let seed = number("OXBATCH_TEST_SEED").unwrap_or_else(|| u64::from(std::process::id()) * 2_654_435_761 + 1);
    println!("\nrunning 1 test");
    let outcome = every_row_is_there_exactly_once_after_every_kill(kills, seed);
    match outcome {
        Ok(summary) => {
            println!("test every_row_is_there_exactly_once_after_every_kill ... ok ({summary})");
            println!("\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            println!("test every_row_is_there_exactly_once_after_every_kill ... FAILED (seed {seed})\n{fault}");
            println!("\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out");
            ExitCode::FAILURE
        }
    }
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

fn every_row_is_there_exactly_once_after_every_kill(kills: u64, seed: u64) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let input = folder.path().join("input.csv");
    jobs::generate(&input, ROWS).map_err(|error| error.to_string())?;
    let mut random = Random(seed);
    let start = Instant::now();
    let (mut killed, mut round) = (0, 0);
    loop {
        round += 1;
        killed += kill_through_a_round(folder.path(), round, kills - killed, &mut random)?;
        verify(folder.path(), &input, round)?;
        if killed == kills {
            break;
        }
    }
    Ok(format!("{kills} kills in {round} imports of {ROWS} rows, {:.0} s, seed {seed}", start.elapsed().as_secs_f64()))
}

/// Runs one import to its end, killing its service at random moments. How many kills that took.
fn kill_through_a_round(folder: &Path, round: u64, most: u64, random: &mut Random) -> Result<u64, String> {
    let mut killed = 0;
    loop {
        let service = Service::start(folder)?;
        let newest = service.newest(round)?;
        match newest.as_ref().map(|execution| execution.status.as_str()) {
            Some("COMPLETED") => {
                service.terminate()?;
                return Ok(killed);
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
            return Ok(killed);
        }
        // Mostly while it works, now and then in the middle of its start or recovery.
        std::thread::sleep(Duration::from_micros(random.below(150_000)));
        service.kill()?;
        killed += 1;
    }
}

fn verify(folder: &Path, input: &Path, round: u64) -> Result<(), String> {
    let fault = |what: String| Err(format!("after round {round}: {what}"));
    let database = rusqlite::Connection::open(folder.join("oxbatch.db")).map_err(|error| error.to_string())?;
    let one = |sql: &str| -> Result<i64, String> {
        database.query_row(sql, [round.cast_signed()], |row| row.get(0)).map_err(|error| format!("{sql}: {error}"))
    };
    let rows = ROWS.cast_signed();
    let counted = one("SELECT count(*) FROM crash_rows WHERE round = ?1")?;
    let distinct = one("SELECT count(DISTINCT id) FROM crash_rows WHERE round = ?1")?;
    if (counted, distinct) != (rows, rows) {
        return fault(format!("{counted} rows, {distinct} distinct, in the table instead of {rows}"));
    }
    let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    if read(&folder.join(format!("output-{round}.csv")))? != read(input)? {
        return fault("the exported file differs from the input".to_owned());
    }
    let running =
        one("SELECT count(*) FROM oxbatch_job_execution WHERE status IN ('STARTING','STARTED','STOPPING') AND ?1 > 0")?;
    if running != 0 {
        return fault(format!("{running} executions are left running"));
    }
    let unbalanced = one("SELECT count(*) FROM oxbatch_step_execution
         WHERE read_count <> write_count + filter_count + process_skip_count + write_skip_count AND ?1 > 0")?;
    if unbalanced != 0 {
        return fault(format!("{unbalanced} ledgers do not balance"));
    }
    // Counters are committed with their chunks: over all attempts of a step they add up to the input exactly.
    for step in ["Import", "Export"] {
        let written: i64 = database
            .query_row(
                "SELECT sum(s.write_count) FROM oxbatch_step_execution s
                 JOIN oxbatch_job_instance_parameter p ON p.job_instance_id = s.job_instance_id
                 WHERE s.step_name = ?1 AND p.key_name = 'round' AND p.long_value = ?2",
                rusqlite::params![step, round.cast_signed()],
                |row| row.get(0),
            )
            .map_err(|error| error.to_string())?;
        if written != rows {
            return fault(format!("the attempts of step {step} wrote {written} rows in all instead of {rows}"));
        }
    }
    let left: Vec<_> = std::fs::read_dir(folder)
        .map_err(|error| error.to_string())?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".part"))
        .collect();
    if left.is_empty() { Ok(()) } else { fault(format!("temporary files are left: {left:?}")) }
}
