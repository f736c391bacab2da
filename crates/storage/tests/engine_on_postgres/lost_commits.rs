//! The answer to the commit of a database that is not the repository's is lost, and the step tries again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::item::{FunctionProcessor, ListReader};
use oxbatch_core::step::Backoff;
use oxbatch_core::{ChunkStep, Job, RetryPolicy, Status, StepContext};
use oxbatch_storage::{PostgresSettings, PostgresWriter};
use oxbatch_test_postgres::{Cut, Proxy, TestDatabase};
use serde::{Deserialize, Serialize};

use crate::harness::{TestStore, launch, steps};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    id: i64,
}

/// A database with a table in which nothing keeps a row from being there twice.
fn target() -> TestDatabase {
    let target = TestDatabase::new();
    target.execute("CREATE TABLE lines (id int8)");
    target
}

fn stored(database: &TestDatabase) -> String {
    database.query("SELECT concat_ws(' ', count(*), count(DISTINCT id), sum(id)) FROM lines").remove(0)
}

/// Copies a hundred lines in chunks of ten, exactly once; each of the lines named is met once by `meet`.
fn copying(url: &str, meet: impl Fn(i64) + Send + Sync + 'static, met: impl IntoIterator<Item = i64>) -> Job {
    let to = PostgresSettings::from_url(url).unwrap();
    let (meet, left) = (Arc::new(meet), Arc::new(Mutex::new(met.into_iter().collect::<BTreeSet<_>>())));
    Job::builder("Copy")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| Ok(ListReader::new((1..=100).map(|id| Line { id }))))
                .processor(move |_: &StepContext| {
                    let (meet, left) = (Arc::clone(&meet), Arc::clone(&left));
                    Ok(FunctionProcessor::new(move |line: Line| {
                        if left.lock().unwrap().remove(&line.id) {
                            meet(line.id);
                        }
                        Ok(Some(line))
                    }))
                })
                .writer(move |context| Ok(PostgresWriter::<Line>::to(&to, "lines").exactly_once(context)))
                .chunk_size(10)
                .retry(RetryPolicy::new(3).backoff(Backoff::Fixed(Duration::ZERO))),
        )
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_the_target_committed_unheard_is_not_written_again_by_a_retry() {
    // The first chunk, one in the middle, the last one, and two in a row.
    for cuts in [&[5][..], &[35], &[95], &[45, 55]] {
        for cut in [Cut::Behind("COMMIT"), Cut::Before("COMMIT")] {
            let (place, target) = (TestStore::new(), target());
            let proxy = Arc::new(Proxy::before(target.url()));
            let cutting = Arc::clone(&proxy);
            let job = copying(proxy.url(), move |_| cutting.cut(cut), cuts.iter().copied());
            let engine = place.node([job]).await;
            let execution = launch(&engine, "Copy").await;
            assert_eq!(execution.status, Status::Completed, "{cuts:?} {cut:?}: {execution:?}");
            assert!(proxy.has_cut());
            assert_eq!(stored(&target), "100 100 5050", "{cuts:?} {cut:?}");
            let counters = steps(&engine, execution.id).await[0].counters;
            assert_eq!((counters.read, counters.write), (100, 100), "{cuts:?} {cut:?}");
            assert!(counters.rollback >= 1, "{cuts:?} {cut:?}: {counters:?}");
            assert_eq!(target.query("SELECT count(*) FROM oxbatch_checkpoint"), ["1"]);
            engine.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_holds_other_rows_than_the_step_left_fails_it_and_keeps_nothing_of_the_chunk() {
    let (place, target) = (TestStore::new(), target());
    target.execute(
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF EXISTS (SELECT 1 FROM lines WHERE id = 35) THEN
                 UPDATE oxbatch_checkpoint SET written = written + 1;
             END IF;
             RETURN NULL;
         END $$",
    );
    target.execute("CREATE TRIGGER meddle AFTER INSERT ON lines FOR EACH STATEMENT EXECUTE FUNCTION meddle()");
    let engine = place.node([copying(target.url(), |_| {}, [])]).await;
    let execution = launch(&engine, "Copy").await;
    assert_eq!(execution.status, Status::Failed, "{execution:?}");
    let message = execution.exit_message.unwrap();
    assert!(message.contains("holds 31 rows of this step, where this execution has left 30"), "{message}");
    assert_eq!(stored(&target), "30 30 465");
    engine.shutdown().await;
}
