//! The cost of a thousand schedules to an idle service, and the lateness of their fires, by the real program.
//!
//! ```text
//! cargo build --release -p oxbatch-cli && cargo run --release -p oxbatch-benches -- schedules
//! ```

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags};

use crate::BoxError;
use crate::measure::{cpu_seconds, memory_kib, mib};
use crate::service::Service;

/// Schedules, when the command line does not say otherwise.
const SCHEDULES: u64 = 1_000;
/// Time for a service to come to rest.
const SETTLE: Duration = Duration::from_secs(5);
/// Time over which an idle service is measured.
const IDLE: Duration = Duration::from_secs(60);
/// Time over which fires are watched: each schedule fires once.
const WATCH: Duration = Duration::from_secs(61);
/// Time between two polls of the database.
const POLL: Duration = Duration::from_millis(5);
/// Share of a core that an idle service may take, in percent.
const MOST_CPU: f64 = 0.2;
/// Memory that it may take, in MiB.
const MOST_MEMORY: f64 = 25.0;
/// The 99th percentile of the lateness, in seconds.
const MOST_LATE: f64 = 1.0;

/// Measures on SQLite.
pub(crate) fn measure(schedules: Option<u64>) -> Result<(), BoxError> {
    let schedules = schedules.unwrap_or(SCHEDULES);
    println!("\n{schedules} schedules");
    idle("idle, without a schedule", 0, "")?;
    idle("idle, none of them due", schedules, "0 0 29 2 *")?;
    late("each fires once a minute, spread over its seconds", schedules, |number| {
        format!("{} * * * * *", number % 60)
    })?;
    late("all fire at the same second, once a minute", schedules, |_| "0 * * * * *".to_owned())
}

fn start(folder: &Path, schedules: u64, cron: impl Fn(u64) -> String) -> Result<Service, BoxError> {
    let service = Service::start("oxbatch.db", folder)?;
    for number in 0..schedules {
        let new = serde_json::json!({
            "job": "SampleJob", "name": format!("s{number}"), "cron": cron(number), "new_run": true,
        });
        service.post("/schedules", &new.to_string())?;
    }
    Ok(service)
}

fn idle(title: &str, schedules: u64, cron: &str) -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let service = start(folder.path(), schedules, |_| cron.to_owned())?;
    std::thread::sleep(SETTLE);
    let process = service.id().to_string();
    let (before, begin) = (cpu_seconds(&process)?, Instant::now());
    std::thread::sleep(IDLE);
    let percent = (cpu_seconds(&process)? - before) / begin.elapsed().as_secs_f64() * 100.0;
    let memory = mib(memory_kib(&process, "VmRSS:")?);
    println!(
        "  {title}: {percent:.2} % of a core (to reach < {MOST_CPU}: {}), {memory:.1} MiB (to reach < {MOST_MEMORY}: {})",
        verdict(percent < MOST_CPU),
        verdict(memory < MOST_MEMORY)
    );
    Ok(())
}

fn late(title: &str, schedules: u64, cron: impl Fn(u64) -> String) -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let service = start(folder.path(), schedules, cron)?;
    let mut times = watch(&folder.path().join("oxbatch.db"))?;
    drop(service);
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len() - 1)).copied();
    let (Some(half), Some(most), Some(last)) = (at(0.5), at(0.99), at(1.0)) else {
        return Err("nothing has fired".into());
    };
    println!(
        "  {title}: {} launches, late by {half:.3} s (median), {most:.3} s (p99, to reach < {MOST_LATE}: {}), {last:.3} s (most)",
        times.len(),
        verdict(most < MOST_LATE)
    );
    Ok(())
}

/// The seconds from the instant of each fire to its committed and visible launch, from the next full minute on.
fn watch(database: &Path) -> Result<Vec<f64>, BoxError> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let now = || Ok::<_, BoxError>(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64());
    let from = (now()? / 60.0).ceil() * 60.0;
    let (mut seen, mut times, begin) = (0, Vec::new(), Instant::now());
    let mut statement = connection.prepare(
        "SELECT execution_id, instant FROM oxbatch_fire WHERE outcome = 'LAUNCHED' AND execution_id > ?1
         ORDER BY execution_id",
    )?;
    // To the end of the minute that has begun, and through those that are measured.
    while begin.elapsed() < WATCH + Duration::from_secs(60) && now()? < from + WATCH.as_secs_f64() {
        let rows = statement.query_map([seen], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
        let rows: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
        let at = now()?;
        for (execution, instant) in rows {
            seen = execution;
            let instant = instant as f64 / 1e6;
            if instant >= from {
                times.push(at - instant);
            }
        }
        std::thread::sleep(POLL);
    }
    if times.is_empty() { Err("nothing has fired".into()) } else { Ok(times) }
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "MISSED" }
}
