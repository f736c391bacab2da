//! Chunks that share a transaction: they are kept or lost together, and a bad one costs no other anything.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::execution::Counters;
use oxbatch_core::item::{Checkpoint, FunctionProcessor, IteratorReader};
use oxbatch_core::listener::{ChunkListener, Listeners};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::{
    BoxError, ChunkStep, Engine, ItemError, ItemWriter, Job, JobExecution, SkipPolicy, Status, StepContext,
};
use oxbatch_storage::TableWriter;
use serde::Serialize;

use crate::harness::{ON_POSTGRES, Shared, TestStore, begin, contents, ended, launch, list, steps};

const NEVER: Duration = Duration::from_secs(3600);
/// Items of a step, in chunks of forty: so many are written to PostgreSQL by COPY.
const ITEMS: i64 = 400;

#[derive(Debug, Clone, Serialize)]
struct Row {
    n: i64,
}

/// Rows of a table beside the executions, on either database, of several chunks in a transaction.
struct Joining(TableWriter<Row>);

impl Joining {
    fn new(context: &StepContext, refused: i64) -> Self {
        let create = format!("CREATE TABLE IF NOT EXISTS numbers (n BIGINT NOT NULL CHECK (n <> {refused}))");
        Self(TableWriter::new(context, "numbers").create(create))
    }
}

impl ItemWriter<Row> for Joining {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.0.open(checkpoint).await
    }

    async fn write(&mut self, outputs: &[Row], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.0.write(outputs, transaction).await
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.0.flush().await
    }

    fn joins_transactions(&self) -> bool {
        true
    }

    fn committed(&mut self) {
        self.0.committed();
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        self.0.rolled_back().await
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.0.finish(transaction).await
    }
}

/// Rows, different rows, and their sum.
fn stored(place: &TestStore) -> (i64, i64, i64) {
    let sql = "SELECT count(*), count(DISTINCT n), CAST(coalesce(sum(n), 0) AS BIGINT) FROM numbers";
    #[cfg(feature = "postgres")]
    if let Some(database) = place.database() {
        if database.query("SELECT count(*) FROM pg_tables WHERE tablename = 'numbers'") == ["0"] {
            return (0, 0, 0);
        }
        let row = database.query(&format!("SELECT concat_ws(' ', a, b, c) FROM ({sql}) AS s (a, b, c)")).remove(0);
        let mut row = row.split(' ').map(|number| number.parse().unwrap());
        return (row.next().unwrap(), row.next().unwrap(), row.next().unwrap());
    }
    let connection = rusqlite::Connection::open(place.path("oxbatch.db")).unwrap();
    match connection.prepare(sql) {
        Ok(mut statement) => statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap(),
        Err(_) => (0, 0, 0),
    }
}

fn first(count: i64) -> (i64, i64, i64) {
    (count, count, count * (count + 1) / 2)
}

/// Writes down what it hears of chunks.
struct Heard(Shared<&'static str>);

impl ChunkListener for Heard {
    fn before_chunk(&self, _: &StepContext) -> Result<(), ItemError> {
        self.0.lock().unwrap().push("before");
        Ok(())
    }

    fn after_chunk(&self, _: &StepContext) -> Result<(), BoxError> {
        self.0.lock().unwrap().push("after");
        Ok(())
    }

    fn on_chunk_error(&self, _: &StepContext, _: &str) -> Result<(), BoxError> {
        self.0.lock().unwrap().push("error");
        Ok(())
    }
}

async fn counters(engine: &Engine, execution: &JobExecution) -> Counters {
    steps(engine, execution.id).await[0].counters
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_several_chunks_are_kept_or_lost_together() {
    for ends_by in ["fault", "stop", "end"] {
        if ends_by == "stop" && !ON_POSTGRES {
            // A stop is written down, for which SQLite has one place: not while the chunks are open.
            continue;
        }
        let place = TestStore::new();
        let ((tell, reached), (go_on, fails)) = (channel(), channel());
        let (tell, fails) = (Arc::new(Mutex::new(tell)), Arc::new(Mutex::new(fails)));
        let job = Job::builder("Span")
            .step(
                ChunkStep::builder("Span")
                    .reader(|_| Ok(IteratorReader::new(1..=ITEMS)))
                    .processor(move |_| {
                        let (tell, fails) = (Arc::clone(&tell), Arc::clone(&fails));
                        Ok(FunctionProcessor::new(move |n: i64| {
                            if n == 205 && tell.lock().unwrap().send(()).is_ok() && fails.lock().unwrap().recv()? {
                                return Err(ItemError::other("no 205 today"));
                            }
                            Ok(Some(Row { n }))
                        }))
                    })
                    .writer(|context| Ok(Joining::new(context, 0)))
                    .chunk_size(40)
                    .commit_every(NEVER),
            )
            .build()
            .unwrap();
        let engine = place.node([job]).await;
        let id = begin(&engine, "Span").await;
        tokio::task::block_in_place(|| reached.recv().unwrap());
        assert_eq!(stored(&place), (0, 0, 0), "five chunks are written, and none is there yet");
        if ends_by == "stop" {
            engine.stop(id).await.unwrap();
        }
        go_on.send(ends_by == "fault").unwrap();
        let execution = ended(&engine, id).await;
        let (status, read) = match ends_by {
            "fault" => (Status::Failed, 200),
            "stop" => (Status::Stopped, 240),
            _ => (Status::Completed, ITEMS),
        };
        let saved = counters(&engine, &execution).await;
        assert_eq!((execution.status, saved.read, saved.write), (status, read, read), "{ends_by}");
        assert_eq!((saved.commit, saved.rollback), (read / 40, 0), "each chunk counts");
        assert_eq!(stored(&place), first(read), "{ends_by}");
        if status != Status::Completed {
            drop((reached, go_on));
            assert_eq!(launch(&engine, "Span").await.status, Status::Completed);
        }
        assert_eq!(stored(&place), first(ITEMS));
        engine.shutdown().await;
    }
}

/// A step that goes on without the one row that its table refuses.
fn skipping(refused: i64, heard: &Shared<&'static str>) -> Job {
    let heard = Arc::clone(heard);
    let step = ChunkStep::builder("Span")
        .reader(|_| Ok(IteratorReader::new(1..=ITEMS)))
        .processor(|_| Ok(FunctionProcessor::new(|n: i64| Ok(Some(Row { n })))))
        .writer(move |context| Ok(Joining::new(context, refused)))
        .control_total_read("read", |n| *n)
        .control_total_written("written", |row: &Row| row.n)
        .listener(move |_| Ok(Listeners::new().chunk(Heard(Arc::clone(&heard)))))
        .skip(SkipPolicy::new(1))
        .chunk_size(40)
        .commit_every(NEVER);
    Job::builder("Span").step(step).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_takes_none_of_the_chunks_with_it_that_share_its_transaction() {
    for refused in [1, 40, 41, 230, ITEMS] {
        let (place, heard) = (TestStore::new(), list());
        let engine = place.node([skipping(refused, &heard)]).await;
        let execution = launch(&engine, "Span").await;
        assert_eq!(execution.status, Status::Completed, "{refused}: {execution:?}");
        let step = steps(&engine, execution.id).await.remove(0);
        let counters = step.counters;
        assert_eq!((counters.read, counters.write, counters.write_skip), (ITEMS, ITEMS - 1, 1), "{refused}");
        assert_eq!((counters.commit, counters.retry), (10, 0), "{refused}");
        assert!((1..=2).contains(&counters.rollback), "the span, and its chunk: {counters:?}");
        let all = first(ITEMS);
        assert_eq!(stored(&place), (all.0 - 1, all.1 - 1, all.2 - refused), "{refused}");
        let skips = engine.repository().skips(step.id, None, 10).await.unwrap().skips;
        let kept: Vec<_> = skips.into_iter().map(|skip| (skip.item.item.unwrap(), skip.item.position)).collect();
        assert_eq!(kept.len(), 1, "{refused}");
        assert_eq!(kept[0].0, refused.to_string(), "{refused}: {kept:?}");
        for (name, sum) in [("read", all.2), ("written", all.2 - refused)] {
            let total = step.control_totals.iter().find(|total| total.name == name).unwrap();
            assert_eq!(total.read.or(total.written), Some(sum.to_string().parse().unwrap()), "{refused} {name}");
        }
        // Each attempt of a chunk has one end, and the last of each chunk is a good one.
        let heard = contents(&heard);
        let mut attempts = heard.chunks(2);
        assert!(attempts.all(|attempt| attempt[0] == "before" && attempt[1] != "before"), "{heard:?}");
        assert!(heard.iter().filter(|call| **call == "after").count() >= 10, "{heard:?}");
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_not_to_be_skipped_fails_the_step_behind_the_chunks_before_it() {
    for refused in [1_i64, 230, ITEMS] {
        let place = TestStore::new();
        let mended = Arc::new(AtomicI64::new(refused));
        let instead = Arc::clone(&mended);
        let job = Job::builder("Span")
            .step(
                ChunkStep::builder("Span")
                    .reader(|_| Ok(IteratorReader::new(1..=ITEMS)))
                    .processor(move |_| {
                        let instead = Arc::clone(&instead);
                        Ok(FunctionProcessor::new(move |n: i64| {
                            Ok(Some(Row { n: if n == refused { instead.load(Ordering::SeqCst) } else { n } }))
                        }))
                    })
                    .writer(move |context| Ok(Joining::new(context, refused)))
                    .chunk_size(40)
                    .commit_every(NEVER),
            )
            .build()
            .unwrap();
        let engine = place.node([job]).await;
        let failed = launch(&engine, "Span").await;
        assert_eq!(failed.status, Status::Failed);
        let message = failed.exit_message.clone().unwrap();
        assert!(message.contains("failed to write") && !message.contains("aborted"), "{message}");
        let before = (refused - 1) / 40 * 40;
        let saved = counters(&engine, &failed).await;
        assert_eq!((saved.read, saved.write, saved.commit), (before, before, before / 40), "{refused}");
        assert_eq!(stored(&place), first(before), "{refused}");
        mended.store(1000 + refused, Ordering::SeqCst);
        let resumed = launch(&engine, "Span").await;
        assert_eq!(resumed.status, Status::Completed, "{resumed:?}");
        let all = first(ITEMS);
        assert_eq!(stored(&place), (all.0, all.1, all.2 + 1000), "{refused}");
        engine.shutdown().await;
    }
}
