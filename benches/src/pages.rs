//! The pages of the real service over a million executions, three imports beside them: server time, size, streams.
//!
//! ```text
//! cargo build --release -p oxbatch-cli && cargo run --release -p oxbatch-benches -- pages
//! scripts/postgres run cargo run --release -p oxbatch-benches -- pages     # on PostgreSQL
//! ```

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::BoxError;
use crate::imports;
use crate::measure::cpu_seconds;
use crate::rows::history::Store;
use crate::rows::server;
use crate::service::Service;

/// Executions, when the command line does not say otherwise.
const EXECUTIONS: u64 = 1_000_000;
/// Executions of one instance besides them.
const ATTEMPTS: i64 = 100_000;
const IMPORTS: usize = 3;
/// Times that each page is asked for.
const CALLS: usize = 200;
/// Most time of a page at the 99th percentile.
const GOAL: Duration = Duration::from_millis(100);
/// Most bytes of a page.
const MOST_BYTES: usize = 100 * 1024;
/// Streams that are open at once, and most of a core that they take.
const STREAMS: usize = 200;
const GOAL_OF_STREAMS: f64 = 0.1;
/// The time for which the service is watched.
const WATCHED: Duration = Duration::from_secs(10);

/// The pages by name and path; `{old}`, `{crowded}` and `{running}` are ids of executions.
const PAGES: [(&str, &str); 17] = [
    ("dashboard", "/"),
    ("executions", "/ui/executions"),
    ("executions, failed", "/ui/executions?status=FAILED"),
    ("executions, 3 statuses", "/ui/executions?status=FAILED&status=STOPPED&status=COMPLETED"),
    ("executions of a job", "/ui/executions?job=Nightly1"),
    ("executions by parameter", "/ui/executions?parameter=number%3D4711"),
    ("executions by text", "/ui/executions?text=nothing+has+it"),
    ("execution, old", "/ui/executions/{old}"),
    ("execution of 100,000", "/ui/executions/{crowded}"),
    ("execution, running", "/ui/executions/{running}"),
    ("bulk plan, failed", "/ui/bulk/plan?action=RESTART&status=FAILED"),
    ("bulk plan of a job", "/ui/bulk/plan?action=RESTART&job=Nightly1"),
    ("bulk plan of 100,000", "/ui/bulk/plan?action=RESTART&instance=1"),
    ("bulk plan by text", "/ui/bulk/plan?action=RESTART&text=nothing+has+it"),
    ("jobs", "/ui/jobs"),
    ("job", "/ui/jobs/WildlifeStrikes"),
    ("nodes", "/ui/nodes"),
];

/// The questions of programs by name and path; `{middle}` is a time of the middle of the history.
const QUESTIONS: [(&str, &str); 16] = [
    ("list", "/executions"),
    ("list of a status", "/executions?status=FAILED"),
    ("list of a job", "/executions?job=Nightly1"),
    ("list of a job and a status", "/executions?job=Nightly1&status=FAILED"),
    ("list up to the middle", "/executions?to={middle}"),
    ("list of a job up to it", "/executions?job=Nightly1&to={middle}"),
    ("list from the middle on", "/executions?from={middle}"),
    ("list by parameter", "/executions?parameter=number%3D4711"),
    ("list by text", "/executions?text=nothing+has+it"),
    ("execution", "/executions/{old}"),
    ("steps", "/executions/{old}/steps"),
    ("log", "/executions/{old}/logs"),
    ("instances of a job", "/instances?job=Nightly1"),
    ("jobs with their counts", "/jobs"),
    ("nodes", "/nodes"),
    ("metrics", "/metrics"),
];

/// Measures on SQLite, or on PostgreSQL where a server is named.
pub(crate) fn measure(executions: Option<u64>) -> Result<(), BoxError> {
    let size = i64::try_from(executions.unwrap_or(EXECUTIONS))?;
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (name, database) = match server::url() {
        Ok(url) => {
            let store = runtime.block_on(Store::postgres(&url, "oxbatch_pages", size))?;
            runtime.block_on(store.close())?;
            runtime.block_on(Store::crowd_postgres(&url, "oxbatch_pages", ATTEMPTS))?;
            ("PostgreSQL", Store::database_url(&url, "oxbatch_pages")?)
        }
        Err(_) => {
            let path = folder.path().join("oxbatch.db");
            let store = runtime.block_on(Store::sqlite(&path, size))?;
            runtime.block_on(store.close())?;
            Store::crowd_sqlite(&path, ATTEMPTS)?;
            ("SQLite", path.display().to_string())
        }
    };
    println!("\n{size} executions on {name}, and {ATTEMPTS} of one instance; {IMPORTS} imports beside {CALLS} calls");
    let service = Service::start(&database, folder.path())?;
    imports::prepare(folder.path())?;
    let ends = AtomicBool::new(false);
    let idle = streams(&service, "idle")?;
    let (pages, busy, problems) = std::thread::scope(|scope| {
        let (service, folder, ends) = (&service, folder.path(), &ends);
        let running: Vec<_> =
            (0..IMPORTS).map(|place| scope.spawn(move || imports::run(service, place, folder, ends))).collect();
        let measured = pages(service, size, folder).and_then(|pages| Ok((pages, streams(service, "busy")?)));
        ends.store(true, Ordering::Relaxed);
        let mut problems = Vec::new();
        for import in running {
            problems.extend(import.join().map_err(|_| "an import panicked")?.problems);
        }
        let (pages, busy) = measured?;
        Ok::<_, BoxError>((pages, busy, problems))
    })?;
    for problem in &problems {
        println!("    {problem}");
    }
    let reached = pages && idle && busy && problems.is_empty();
    if reached { Ok(()) } else { Err("a goal is missed".into()) }
}

/// Asks for each page so often, and prints what it took: `true` where all keep to the bounds.
fn pages(service: &Service, size: i64, folder: &Path) -> Result<bool, BoxError> {
    let running = launched(service, folder)?;
    let mut all_reached = true;
    let middle = service.launch_time(size / 2)?;
    for (name, path) in PAGES.into_iter().chain(QUESTIONS) {
        let path = path
            .replace("{middle}", &middle)
            .replace("{old}", &(size / 2).to_string())
            .replace("{crowded}", &(size + ATTEMPTS / 2).to_string())
            .replace("{running}", &running.to_string());
        let mut times = Vec::with_capacity(CALLS);
        let mut bytes = 0;
        // Some calls more, first, that are not counted.
        for call in 0..CALLS + 5 {
            let begun = Instant::now();
            let (status, length) = service.page(&path)?;
            let took = begun.elapsed();
            if status != 200 {
                return Err(format!("{path}: {status}").into());
            }
            bytes = bytes.max(length);
            if call >= 5 {
                times.push(took);
            }
        }
        times.sort_unstable();
        let (middle, late) = (times[CALLS / 2], times[CALLS * 99 / 100]);
        let reached = late <= GOAL && bytes <= MOST_BYTES;
        all_reached &= reached;
        println!(
            "    {name:<26} {:>7.1} ms, p99 {:>7.1} ms, {:>6.1} KB: {}",
            middle.as_secs_f64() * 1e3,
            late.as_secs_f64() * 1e3,
            bytes as f64 / 1024.0,
            if reached { "reached" } else { "MISSED" }
        );
    }
    Ok(all_reached)
}

/// An import that runs, for its page.
fn launched(service: &Service, folder: &Path) -> Result<i64, BoxError> {
    let body = serde_json::json!({
        "input": folder.join("input.csv"), "output": folder.join("output-watched"), "chunk_size": 5
    });
    std::fs::create_dir_all(folder.join("output-watched"))?;
    service.launch("WildlifeStrikes", &body.to_string())
}

/// Opens the streams, watches what the service uses with and without them: `true` where they take little enough.
fn streams(service: &Service, when: &str) -> Result<bool, BoxError> {
    let used = || -> Result<f64, BoxError> {
        let before = cpu_seconds(&service.id().to_string())?;
        std::thread::sleep(WATCHED);
        Ok((cpu_seconds(&service.id().to_string())? - before) / WATCHED.as_secs_f64())
    };
    let without = used()?;
    let mut open = (0..STREAMS).map(|_| service.stream()).collect::<Result<Vec<_>, _>>()?;
    let ends = AtomicBool::new(false);
    let (with, bytes) = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let (mut buffer, mut bytes) = (vec![0; 64 * 1024], 0);
            while !ends.load(Ordering::Relaxed) {
                // They do not block.
                for stream in &mut open {
                    while let Ok(read @ 1..) = stream.read(&mut buffer) {
                        bytes += read;
                    }
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            bytes
        });
        // What is sent first is no part of it.
        std::thread::sleep(Duration::from_secs(2));
        let with = used();
        ends.store(true, Ordering::Relaxed);
        (with, reading.join().unwrap_or(0))
    });
    let with = with?;
    let taken = with - without;
    let reached = taken <= GOAL_OF_STREAMS;
    println!(
        "    {STREAMS} streams, {when:<15} {without:>7.3} of a core without, {with:.3} with, {bytes} bytes: {taken:.3}, {}",
        if reached { "reached" } else { "MISSED" }
    );
    Ok(reached)
}
