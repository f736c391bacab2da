//! Inserts that share a transaction without being asked to: where their chunks come from another thread, and nowhere
//! else.

use std::sync::Arc;
use std::time::Duration;

use oxbatch_core::item::ListReader;
use oxbatch_core::repository::Node;
use oxbatch_core::step::ReadAhead;
use oxbatch_core::{ChunkStep, Engine, EngineConfig, Job, JobRegistry, Status};
use oxbatch_storage::{PostgresRepository, PostgresSettings, PostgresWriter};
use oxbatch_test_postgres::TestDatabase;
use serde::Serialize;

use crate::harness::launch;

const CHUNKS: u64 = 100;
/// Items of a chunk: so many are written by COPY.
const ITEMS: u32 = 40;

#[derive(Serialize)]
struct Line {
    id: i64,
}

/// The transactions that have written the rows of all chunks.
async fn transactions(read_ahead: ReadAhead, commit_every: Option<Duration>) -> u64 {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE lines (id int8)");
    let all = i64::from(ITEMS) * i64::try_from(CHUNKS).unwrap();
    let step = ChunkStep::builder("Copy")
        .reader(move |_| ListReader::new((1..=all).map(|id| Line { id })))
        .writer(|context| PostgresWriter::<Line>::new(context, "lines"))
        .chunk_size(ITEMS)
        .read_ahead(read_ahead);
    let step = match commit_every {
        Some(time) => step.commit_every(time),
        None => step,
    };
    let job = Job::builder("Copy").step(step).build().unwrap();
    let settings = PostgresSettings::from_url(database.url()).unwrap();
    let repository = PostgresRepository::open(settings).await.unwrap();
    let config = EngineConfig::new(Node::new("test"));
    let engine = Engine::start(JobRegistry::new([job]).unwrap(), Arc::new(repository), config).await.unwrap();
    assert_eq!(launch(&engine, "Copy").await.status, Status::Completed);
    engine.shutdown().await;
    assert_eq!(
        database.query("SELECT concat_ws(' ', count(*), sum(id)) FROM lines"),
        [format!("{all} {}", all * (all + 1) / 2)]
    );
    database.query("SELECT count(DISTINCT xmin::text) FROM lines").remove(0).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inserts_join_by_themselves_while_another_thread_reads() {
    let joined = transactions(ReadAhead::Always, None).await;
    assert!((1..CHUNKS).contains(&joined), "{joined} transactions for {CHUNKS} chunks");
    assert_eq!(transactions(ReadAhead::Never, None).await, CHUNKS);
    assert_eq!(transactions(ReadAhead::Always, Some(Duration::ZERO)).await, CHUNKS);
}
