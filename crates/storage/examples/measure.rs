//! Measures what the repository costs: chunk commits and rows, each against the same work by hand with the same driver.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program for developers")]

use std::time::{Duration, Instant};

use jiff::Timestamp;
use oxbatch_core::execution::Counters;
use oxbatch_core::item::ItemWriter;
use oxbatch_core::job::JobParameters;
use oxbatch_core::repository::{
    Admission, ChunkSave, Executions, LaunchRequest, NewStep, Node, Nodes, RunLimits, StepStart,
};
use oxbatch_storage::rusqlite::{Connection, params};
use oxbatch_storage::{SqliteRepository, SqliteWriter};
use serde::Serialize;

const PAIRS: usize = 7;
const COMMITS: i64 = 20_000;
const CHUNKS: i64 = 200;
const ROWS: i64 = 1_000;
const CREATE: &str = "CREATE TABLE IF NOT EXISTS ours (id INTEGER PRIMARY KEY, amount REAL, currency TEXT,
    source TEXT, target TEXT, status TEXT) STRICT";

#[derive(Serialize)]
struct Trade {
    id: i64,
    amount: f64,
    currency: &'static str,
    source: String,
    target: Option<String>,
    status: &'static str,
}

fn trades(chunk: i64) -> Vec<Trade> {
    (chunk * ROWS..(chunk + 1) * ROWS)
        .map(|id| Trade {
            id,
            amount: 0.25,
            currency: "EUR",
            source: format!("ACC{id:09}"),
            target: Some(format!("ACC{:09}", id * 7)),
            status: "COMPLETED",
        })
        .collect()
}

/// A database of its own with a running step, and its fence.
async fn repository(folder: &std::path::Path) -> (SqliteRepository, oxbatch_core::repository::StepFence) {
    let repository = SqliteRepository::open(&folder.join("oxbatch.db")).unwrap();
    let node = Node::new("measure");
    repository.register_node(&node).await.unwrap();
    let request = LaunchRequest {
        job_name: "Measure".to_owned(),
        parameters: JobParameters::default(),
        force: false,
        new_run: false,
        definition: None,
        accept_changes: false,
        restartable: true,
        admission: Admission {
            time: Timestamp::now(),
            claim: Some((node, Duration::from_secs(600))),
            queue_limit: 1,
            priority: 0,
            limits: RunLimits::default(),
        },
        after: None,
        idempotency: None,
        trace_parent: None,
    };
    let lease = repository.launch(request).await.unwrap().lease.unwrap();
    let step = NewStep {
        step_name: "Step".to_owned(),
        iteration: 1,
        since: None,
        rerun_if_complete: false,
        start_limit: None,
        time: Timestamp::now(),
    };
    match repository.start_step(&lease, step).await.unwrap() {
        StepStart::Run(started) => (repository, started.fence),
        _ => unreachable!("a new step runs"),
    }
}

fn bare(path: &std::path::Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL").unwrap();
    connection
}

async fn our_commits() -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let (repository, fence) = repository(folder.path()).await;
    let mut transaction = repository.chunk_transaction(&fence).await.unwrap();
    let start = Instant::now();
    for commit in 0..COMMITS {
        let counters = Counters { read: commit, write: commit, commit, ..Counters::default() };
        let state = r#"{"v":1,"reader":{"byte":123456}}"#;
        transaction
            .commit(ChunkSave {
                state,
                counters: &counters,
                control_totals: None,
                progress: Some(0.5),
                job_context: None,
                skips: &[],
                rerun: &[],
                time: None,
            })
            .await
            .unwrap();
    }
    start.elapsed()
}

fn bare_commits() -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let connection = bare(&folder.path().join("bare.db"));
    connection
        .execute_batch("CREATE TABLE s (id INTEGER PRIMARY KEY, state TEXT, r INT, w INT, c INT, p REAL) STRICT; INSERT INTO s (id) VALUES (1)")
        .unwrap();
    let mut begin = connection.prepare("BEGIN IMMEDIATE").unwrap();
    let mut commit = connection.prepare("COMMIT").unwrap();
    let mut update =
        connection.prepare("UPDATE s SET state = ?2, r = ?3, w = ?4, c = ?5, p = ?6 WHERE id = ?1").unwrap();
    let start = Instant::now();
    for number in 0..COMMITS {
        begin.execute([]).unwrap();
        update.execute(params![1, r#"{"v":1,"reader":{"byte":123456}}"#, number, number, number, 0.5]).unwrap();
        commit.execute([]).unwrap();
    }
    start.elapsed()
}

async fn our_rows(chunks: &[Vec<Trade>]) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let (repository, fence) = repository(folder.path()).await;
    let mut transaction = repository.chunk_transaction(&fence).await.unwrap();
    let mut writer = SqliteWriter::new("ours").create(CREATE);
    let start = Instant::now();
    writer.open(None).await.unwrap();
    for chunk in chunks {
        writer.write(chunk, transaction.as_mut()).await.unwrap();
        let checkpoint = writer.flush().await.unwrap().unwrap();
        let counters = Counters::default();
        let save = ChunkSave {
            state: checkpoint.as_json(),
            counters: &counters,
            control_totals: None,
            progress: None,
            job_context: None,
            skips: &[],
            rerun: &[],
            time: None,
        };
        transaction.commit(save).await.unwrap();
        writer.committed();
    }
    start.elapsed()
}

fn bare_rows(chunks: &[Vec<Trade>]) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let connection = bare(&folder.path().join("bare.db"));
    connection.execute_batch(CREATE).unwrap();
    let mut insert = connection.prepare("INSERT INTO ours VALUES (?1, ?2, ?3, ?4, ?5, ?6)").unwrap();
    let start = Instant::now();
    for chunk in chunks {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for row in chunk {
            insert.execute(params![row.id, row.amount, row.currency, row.source, row.target, row.status]).unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
    }
    start.elapsed()
}

fn report(what: &str, count: i64, mut pairs: Vec<(Duration, Duration)>) {
    pairs.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let (ours, bare) = pairs[pairs.len() / 2];
    let each = |time: Duration| time.as_nanos() / u128::from(count.unsigned_abs());
    println!(
        "{what}: {} ns ours, {} ns by hand, ratio {:.2} ({:.2}–{:.2})",
        each(ours),
        each(bare),
        ratio(&(ours, bare)),
        ratio(&pairs[0]),
        ratio(&pairs[pairs.len() - 1]),
    );
}

fn ratio((ours, bare): &(Duration, Duration)) -> f64 {
    bare.as_secs_f64() / ours.as_secs_f64()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        pairs.push((our_commits().await, bare_commits()));
    }
    report("commit of a chunk", COMMITS, pairs);
    let chunks: Vec<_> = (0..CHUNKS).map(trades).collect();
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        pairs.push((our_rows(&chunks).await, bare_rows(&chunks)));
    }
    report("row of 6 columns", CHUNKS * ROWS, pairs);
}
