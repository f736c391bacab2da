//! Kills services with SIGKILL at any moment while a schedule fires each second, and looks at every second
//! afterwards: two processes on one SQLite file, then three on PostgreSQL.
//!
//! It is its own service: started with a command it is an ordinary `oxbatch` binary. A few kills in the suite;
//! `OXBATCH_SCHEDULE_KILLS=300` for more.
#![expect(clippy::print_stdout, reason = "a test program without a harness reports by itself")]

#[path = "../logs/own_service.rs"]
mod own_service;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oxbatch::schedule::{Missed, Overlap};
use oxbatch::{BuildError, Job, JobRegistry, RegistryError, Schedule, TaskStep};
use oxbatch_test_postgres::TestDatabase;

/// Kills for each database in the suite.
const KILLS: u64 = 6;
/// Longer than anything takes; a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    own_service::main(registry, || {
        let kills = std::env::var("OXBATCH_SCHEDULE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
        let check = |(database, is_postgres, nodes)| -> own_service::Check<'_> {
            let name = format!("each_second_fires_once_after_every_kill::{database}");
            (name, Box::new(move || each_second_fires_once(kills, is_postgres, nodes)))
        };
        [("sqlite", false, 2), ("postgres", true, 3)].map(check).into()
    })
}

fn registry() -> Result<JobRegistry, RegistryError> {
    let each_second =
        Schedule::cron("* * * * * *").expression("at", "fire").missed(Missed::All).overlap(Overlap::Allow);
    let job: Result<Job, BuildError> =
        Job::builder("EachSecond").step(TaskStep::builder("Only", |_| Ok(()))).schedule(each_second).build();
    JobRegistry::new([job?])
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A service process.
struct Service(Child);

impl Service {
    fn start(folder: &Path, database: &str) -> Result<Self, String> {
        let mut child = Command::new(std::env::current_exe().map_err(text)?)
            .args(["serve", "--listen", "127.0.0.1:0", "--database", database])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(text)?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).map_err(text)?;
        if line.is_empty() { Err("the service did not start".to_owned()) } else { Ok(Self(child)) }
    }

    fn kill(&mut self) -> Result<(), String> {
        self.0.kill().map_err(text)?;
        self.0.wait().map(drop).map_err(text)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The tables, wherever they are.
struct Tables<'a> {
    folder: &'a Path,
    postgres: Option<&'a TestDatabase>,
}

impl Tables<'_> {
    /// The numbers of a column.
    fn numbers(&self, sql: &str) -> Result<Vec<i64>, String> {
        if let Some(database) = self.postgres {
            return database.query(sql).iter().map(|row| row.parse().map_err(text)).collect();
        }
        let connection = rusqlite::Connection::open(self.folder.join("oxbatch.db")).map_err(text)?;
        connection.busy_timeout(LONG).map_err(text)?;
        let mut statement = connection.prepare(sql).map_err(text)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(text)?;
        rows.collect::<Result<_, _>>().map_err(text)
    }

    fn number(&self, sql: &str) -> Result<i64, String> {
        self.numbers(sql)?.first().copied().ok_or_else(|| format!("no row: {sql}"))
    }
}

fn each_second_fires_once(kills: u64, is_postgres: bool, nodes: usize) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(text)?;
    let database = is_postgres.then(TestDatabase::new);
    let tables = Tables { folder: folder.path(), postgres: database.as_ref() };
    let place = database.as_ref().map_or_else(|| "oxbatch.db".to_owned(), |database| database.url().to_owned());
    let start = || Service::start(folder.path(), &place);
    let mut services = (0..nodes).map(|_| start()).collect::<Result<Vec<_>, _>>()?;
    // Seeded by the time, which the report names.
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_err(text)?.subsec_nanos();
    let mut random = u64::from(seed) | 1;
    for _ in 0..kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // At any moment of a second, and now and then all of them.
        std::thread::sleep(Duration::from_millis(200 + (random >> 33) % 1_500));
        let victims = if (random >> 20) % 4 == 0 { nodes } else { 1 };
        for victim in 0..victims {
            let at = (usize::try_from(random >> 40).map_err(text)? + victim) % nodes;
            services[at].kill()?;
        }
        for victim in 0..victims {
            let at = (usize::try_from(random >> 40).map_err(text)? + victim) % nodes;
            services[at] = start()?;
        }
    }
    until_all_is_done(&tables)?;
    drop(services);
    verify(&tables).map(|fires| format!("{kills} kills of {nodes} processes, {fires} fires, seed {seed}"))
}

/// Waits until fires and executions have come to their ends.
fn until_all_is_done(tables: &Tables<'_>) -> Result<(), String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(text)?.as_micros();
    let now = i64::try_from(now).map_err(text)?;
    let begin = Instant::now();
    loop {
        let last = tables.number("SELECT coalesce(max(instant), 0) FROM oxbatch_fire")?;
        let open = "SELECT count(*) FROM oxbatch_job_execution
            WHERE status IN ('STARTING', 'STARTED', 'STOPPING') AND id <= (SELECT max(id) - 3 FROM oxbatch_job_execution)";
        if last > now && tables.number(open)? == 0 {
            return Ok(());
        }
        if begin.elapsed() > LONG {
            return Err(format!("it does not come to its end: last fire {last}, now {now}"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn verify(tables: &Tables<'_>) -> Result<usize, String> {
    let seconds = tables.numbers("SELECT instant / 1000000 FROM oxbatch_fire ORDER BY instant")?;
    for pair in seconds.windows(2) {
        if pair[1] != pair[0] + 1 {
            return Err(format!("after the fire of second {} comes that of {}", pair[0], pair[1]));
        }
    }
    let without = tables.number("SELECT count(*) FROM oxbatch_fire WHERE outcome <> 'LAUNCHED'")?;
    let instances = tables.number("SELECT count(DISTINCT job_instance_id) FROM oxbatch_fire")?;
    let all = tables.number("SELECT count(*) FROM oxbatch_job_instance")?;
    let fires = i64::try_from(seconds.len()).map_err(text)?;
    if without != 0 || instances != fires || all != fires {
        return Err(format!("{fires} fires, {without} without a launch, {instances} instances of {all}"));
    }
    let twice = tables.number(
        "SELECT count(*) FROM (SELECT job_instance_id FROM oxbatch_job_execution
        WHERE status = 'COMPLETED' GROUP BY job_instance_id HAVING count(*) > 1) AS twice",
    )?;
    if twice == 0 { Ok(seconds.len()) } else { Err(format!("{twice} instances were completed twice")) }
}
