//! A node that comes back from the dead, and what its late chunk finds in a database that is not the repository's.

use std::sync::{Arc, Condvar, Mutex};

use oxbatch_core::item::{Checkpoint, FunctionProcessor, ListReader};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::{ChunkStep, ItemError, ItemWriter, Job, Status, StepContext};
use oxbatch_storage::{PostgresSettings, PostgresWriter};
use oxbatch_test_postgres::TestDatabase;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::harness::{LONG, TestStore, begin, ended};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    id: i64,
}

fn stored(database: &TestDatabase) -> String {
    database.query("SELECT concat_ws(' ', count(*), count(DISTINCT id), sum(id)) FROM lines").remove(0)
}

/// Where a node waits until it is reported to go on.
#[derive(Clone)]
struct Gate {
    at: i64,
    reached: UnboundedSender<()>,
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    fn pass(&self, id: i64) {
        if id == self.at {
            let _ = self.reached.send(());
            let open = self.open.0.lock().unwrap();
            drop(self.open.1.wait_while(open, |open| !*open).unwrap());
        }
    }

    fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}

/// Tells what became of the chunks.
struct Told {
    inner: PostgresWriter<Line>,
    tell: UnboundedSender<String>,
}

impl Told {
    fn tell<T>(&self, done: Result<T, ItemError>) -> Result<T, ItemError> {
        if let Err(error) = &done {
            let _ = self.tell.send(error.to_string());
        }
        done
    }
}

impl ItemWriter<Line> for Told {
    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        ItemWriter::<Line>::open(&mut self.inner, checkpoint).await
    }

    async fn write(&mut self, outputs: &[Line], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        let done = self.inner.write(outputs, transaction).await;
        self.tell(done)
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        let done = self.inner.flush().await;
        self.tell(done)
    }

    async fn sync(&mut self) -> Result<(), ItemError> {
        ItemWriter::<Line>::sync(&mut self.inner).await
    }

    fn committed(&mut self) {
        self.inner.committed();
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        self.inner.rolled_back().await
    }

    async fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.inner.finish(transaction).await
    }

    async fn publish(&mut self) -> Result<(), ItemError> {
        self.inner.publish().await
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.inner.close().await
    }
}

/// Copies a hundred lines into another database, exactly once, and waits at the gate on its way.
fn gated(target: &TestDatabase, gate: &Gate, tell: &UnboundedSender<String>) -> Job {
    let (to, gate, tell) = (PostgresSettings::from_url(target.url()).unwrap(), gate.clone(), tell.clone());
    Job::builder("Copy")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| Ok(ListReader::new((1..=100).map(|id| Line { id }))))
                .processor(move |_: &StepContext| {
                    let gate = gate.clone();
                    Ok(FunctionProcessor::new(move |line: Line| {
                        gate.pass(line.id);
                        Ok(Some(line))
                    }))
                })
                .writer(move |context| {
                    let inner = PostgresWriter::to(&to, "lines").exactly_once(context);
                    Ok(Told { inner, tell: tell.clone() })
                })
                .chunk_size(10),
        )
        .build()
        .unwrap()
}

/// A node that can reach its repository no more, and does not know it, still reaches the other database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_chunk_of_a_zombie_is_refused_by_the_other_database() {
    // The successor is on its way in one case, and has ended in the other.
    for successor_waits_at in [65, -1] {
        let (place, target) = (TestStore::new(), TestDatabase::new());
        target.execute("CREATE TABLE lines (id int8)");
        let (reached, mut is_reached) = unbounded_channel();
        let (tell, mut told) = unbounded_channel();
        let gate = |at| Gate { at, reached: reached.clone(), open: Arc::default() };
        let (first_gate, second_gate) = (gate(35), gate(successor_waits_at));
        let (zombie, lifeline) = place.mortal([gated(&target, &first_gate, &tell)]).await;
        let id = begin(&zombie, "Copy").await;
        is_reached.recv().await.unwrap();
        lifeline.cut(&zombie).await;
        let (silent, mut own_faults) = unbounded_channel();
        let engine = place.node([gated(&target, &second_gate, &silent)]).await;
        assert_eq!(ended(&engine, id).await.exit_code.as_deref(), Some("ABORTED"));
        let successor = oxbatch_core::execution::ExecutionId(id.0 + 1);
        if successor_waits_at > 0 {
            is_reached.recv().await.unwrap();
        } else {
            assert_eq!(ended(&engine, successor).await.status, Status::Completed);
        }
        let before = stored(&target);
        first_gate.open();
        let refused = tokio::time::timeout(LONG, told.recv()).await.unwrap().unwrap();
        assert!(refused.contains("a later execution writes to the target of execution"), "{refused}");
        assert_eq!(stored(&target), before);
        second_gate.open();
        let last = ended(&engine, successor).await;
        assert_eq!(last.status, Status::Completed, "{last:?}");
        assert_eq!(stored(&target), "100 100 5050");
        assert!(own_faults.try_recv().is_err());
        engine.shutdown().await;
    }
}
