//! Errors in the author's code: every point of a writer, panics, factories.

use std::sync::Arc;

use oxbatch_core::item::{Checkpoint, FunctionProcessor, FunctionWriter, IteratorReader};
use oxbatch_core::{ChunkStep, ItemError, ItemReader, Job, Status, TaskStep};

use crate::harness::{Events, FailingWriter, TestStore, launch, ran};

/// Trap 13: an error of `open`, `flush` or `close` is swallowed and the job reports success.
#[tokio::test]
async fn a_fault_at_any_point_of_a_writer_fails_the_step() {
    let points = ["open", "write", "flush", "sync", "finish", "publish", "close"];
    let jobs = points.map(|at| {
        Job::builder(format!("At {at}"))
            .step(
                ChunkStep::builder("Write")
                    .reader(|_| Ok(IteratorReader::new(0..5_u64)))
                    .writer(move |_| Ok(FailingWriter { at })),
            )
            .build()
            .unwrap()
    });
    let place = TestStore::new();
    let engine = place.node(jobs).await;
    for at in points {
        let execution = launch(&engine, &format!("At {at}")).await;
        assert_eq!(execution.status, Status::Failed, "{at}");
        assert!(execution.exit_message.as_ref().unwrap().contains(&format!("no {at} today")), "{execution:?}");
    }
    engine.shutdown().await;
}

/// A reader that fails where it is reported to.
struct FailingReader {
    at: &'static str,
    left: u64,
}

impl FailingReader {
    fn point(&self, name: &str) -> Result<(), ItemError> {
        if self.at == name { Err(ItemError::other(format!("no {name} today"))) } else { Ok(()) }
    }
}

impl ItemReader for FailingReader {
    type Item = u64;

    async fn open(&mut self, _: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.point("open")
    }

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        self.point("read")?;
        self.left = self.left.saturating_sub(1);
        Ok((self.left > 0).then_some(self.left))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        self.point("checkpoint").map(|()| None)
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.point("close")
    }
}

/// Trap 13, of the other end: an input that cannot be opened is no empty input.
#[tokio::test]
async fn a_fault_at_any_point_of_a_reader_fails_the_step() {
    let points = ["open", "read", "checkpoint", "close"];
    let jobs = points.map(|at| {
        Job::builder(format!("At {at}"))
            .step(
                ChunkStep::builder("Read")
                    .reader(move |_| Ok(FailingReader { at, left: 5 }))
                    .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(())))),
            )
            .build()
            .unwrap()
    });
    let place = TestStore::new();
    let engine = place.node(jobs).await;
    for at in points {
        let execution = launch(&engine, &format!("At {at}")).await;
        assert_eq!(execution.status, Status::Failed, "{at}");
        assert!(execution.exit_message.as_ref().unwrap().contains(&format!("no {at} today")), "{execution:?}");
    }
    engine.shutdown().await;
}

#[tokio::test]
async fn a_panic_fails_the_step_with_its_message_and_the_node_lives_on() {
    let panics = |name: &str, text: &'static str| {
        Job::builder(name)
            .step(
                ChunkStep::builder("Panic")
                    .reader(|_| Ok(IteratorReader::new(0..5_u64)))
                    .processor(move |_| {
                        Ok(FunctionProcessor::new(move |n: u64| if n == 3 { panic!("{text}") } else { Ok(Some(n)) }))
                    })
                    .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(())))),
            )
            .build()
            .unwrap()
    };
    let fine = Job::builder("Fine").step(TaskStep::builder("Fine", |_| Ok(()))).build().unwrap();
    let place = TestStore::new();
    let engine = place.node([panics("Panics", "three is too many"), fine]).await;
    let execution = launch(&engine, "Panics").await;
    assert_eq!(execution.status, Status::Failed);
    assert_eq!(execution.exit_message.as_deref(), Some("step 'Panic' failed: panicked: three is too many"));
    assert_eq!(ran(&engine, execution.id).await, ["Panic FAILED"]);
    assert_eq!(launch(&engine, "Fine").await.status, Status::Completed);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_factory_that_fails_names_the_part_that_it_was_to_build() {
    let job = Job::builder("Factory")
        .step(
            ChunkStep::builder("Build")
                .reader(|context| {
                    let path = context.parameters().string("input")?.to_owned();
                    Ok(IteratorReader::new(path.into_bytes()))
                })
                .writer(|_| Ok(FunctionWriter::new(|_: &[u8]| Ok(())))),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let message = launch(&engine, "Factory").await.exit_message.unwrap();
    assert_eq!(message, "step 'Build' failed: failed to build the reader: parameter 'input' is missing");
    engine.shutdown().await;
}

#[tokio::test]
async fn events_tell_the_life_of_an_execution_in_its_order() {
    let events = Arc::new(Events::default());
    let job = Job::builder("Told").step(TaskStep::builder("Tell", |_| Ok(()))).build().unwrap();
    let consumer = Arc::clone(&events);
    let place = TestStore::new();
    let engine = place.node_with([job], |config| config.consumers.push(consumer)).await;
    launch(&engine, "Told").await;
    engine.shutdown().await;
    let mut seen = events.seen.lock().unwrap().clone();
    // What is launched may be claimed, by a poll of this moment, and run, before its launch is told.
    let launched = seen.extract_if(.., |event| event == "ExecutionLaunched").count();
    assert_eq!(launched, 1);
    assert_eq!(seen, ["ExecutionStarted", "StepStarted", "StepFinished", "ExecutionFinished", "ShuttingDown"]);
}
