//! A million ended executions are purged next to three running imports and a launch each second, by the real program.
//!
//! ```text
//! cargo build --release -p oxbatch-cli && cargo run --release -p oxbatch-benches -- purge
//! scripts/postgres run cargo run --release -p oxbatch-benches -- purge     # on PostgreSQL
//! ```

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::BoxError;
use crate::imports;
use crate::measure::median;
use crate::rows::history::Store;
use crate::rows::server;
use crate::service::Service;

/// Ended executions, when the command line does not say otherwise.
const EXECUTIONS: u64 = 1_000_000;
/// Age from which executions are purged: all of the history has it, and nothing that runs meanwhile.
const OLDER_THAN: &str = "1m";
const IMPORTS: usize = 3;
const LAUNCH_EVERY: Duration = Duration::from_secs(1);
/// Launches before the purge begins, to compare with.
const BEFORE: usize = 10;
/// No launch may take longer.
const GOAL: Duration = Duration::from_millis(500);

/// The result of the work next to the purge.
#[derive(Default)]
struct Work {
    imports: usize,
    launches: Vec<Duration>,
    problems: Vec<String>,
}

/// Measures on SQLite, or on PostgreSQL where a server is named.
pub(crate) fn measure(executions: Option<u64>) -> Result<(), BoxError> {
    let executions = i64::try_from(executions.unwrap_or(EXECUTIONS))?;
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    // The newest minute of the history stays: an execution ended each second.
    let size = executions + 60;
    let (name, database) = match server::url() {
        Ok(url) => {
            let store = runtime.block_on(Store::postgres(&url, "oxbatch_purge", size))?;
            runtime.block_on(store.close())?;
            ("PostgreSQL", Store::database_url(&url, "oxbatch_purge")?)
        }
        Err(_) => {
            let path = folder.path().join("oxbatch.db");
            let store = runtime.block_on(Store::sqlite(&path, size))?;
            runtime.block_on(store.close())?;
            ("SQLite", path.display().to_string())
        }
    };
    println!("\n{executions} ended executions on {name}, purged next to {IMPORTS} imports and a launch each second");
    let service = Service::start(&database, folder.path())?;
    imports::prepare(folder.path())?;
    let (service, folder, ends) = (&service, folder.path(), &AtomicBool::new(false));
    let (before, purge, work) = std::thread::scope(|scope| {
        let running: Vec<_> =
            (0..IMPORTS).map(|place| scope.spawn(move || imports::run(service, place, folder, ends))).collect();
        let before = launches(service, "before", |made| made == BEFORE);
        let purging = scope.spawn(|| purge(service, &database, folder));
        let during = launches(service, "during", |_| purging.is_finished());
        ends.store(true, Ordering::Relaxed);
        let purge = purging.join().map_err(|_| "the purge panicked")?;
        let mut work = during;
        for import in running {
            let import = import.join().map_err(|_| "an import panicked")?;
            work.imports += import.made;
            work.problems.extend(import.problems);
        }
        Ok::<_, BoxError>((before, purge?, work))
    })?;
    report(executions, &before, &purge, &work)
}

fn report(executions: i64, before: &Work, (said, time): &(String, Duration), work: &Work) -> Result<(), BoxError> {
    let longest = |work: &Work| work.launches.iter().max().copied().unwrap_or_default();
    let middle = |work: &Work| median(work.launches.iter().map(|time| time.as_secs_f64() * 1e3));
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = executions as f64 / time.as_secs_f64();
    println!("  purge: {said}; {:.1} s, {rate:.0} executions/s", time.as_secs_f64());
    println!(
        "  before it: {} launches, median {:.1} ms, longest {:.0?}",
        before.launches.len(),
        middle(before),
        longest(before)
    );
    println!(
        "  during it: {} launches, median {:.1} ms, longest {:.0?}",
        work.launches.len(),
        middle(work),
        longest(work)
    );
    println!(
        "  imports that ended COMPLETED: {}; failures: {}",
        work.imports,
        work.problems.len() + before.problems.len()
    );
    for problem in before.problems.iter().chain(&work.problems) {
        println!("    {problem}");
    }
    let reached = work.problems.is_empty() && before.problems.is_empty() && longest(work) <= GOAL;
    println!(
        "  to reach no failure and no launch longer than {GOAL:?}: {}",
        if reached { "reached" } else { "MISSED" }
    );
    if reached { Ok(()) } else { Err("the goal is missed".into()) }
}

/// Launches a small job each second until it is enough, and measures how long the answer takes.
fn launches(service: &Service, label: &str, is_enough: impl Fn(usize) -> bool) -> Work {
    let mut work = Work::default();
    for number in 0.. {
        if is_enough(number) {
            break;
        }
        let begun = Instant::now();
        let body = serde_json::json!({ "run": format!("{label} {number}") }).to_string();
        match service.launch("ParameterizedJob", &body) {
            Ok(_) => work.launches.push(begun.elapsed()),
            Err(error) => work.problems.push(format!("a launch after {:.0?}: {error}", begun.elapsed())),
        }
        std::thread::sleep(LAUNCH_EVERY.saturating_sub(begun.elapsed()));
    }
    work
}

/// Purges by the command line: what it says, and how long it takes.
fn purge(service: &Service, database: &str, folder: &Path) -> Result<(String, Duration), BoxError> {
    let begun = Instant::now();
    let output = Command::new(&service.program)
        .args(["purge", "--older-than", OLDER_THAN, "--include-restartable"])
        .env("OXBATCH_DATABASE", database)
        .current_dir(folder)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
    if !output.status.success() {
        return Err(format!("the purge failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok((said, begun.elapsed()))
}
