//! The contexts that later elements of a flow see of a chunk step: as they were saved, in the same execution and behind
//! a restart.

use std::sync::{Arc, Mutex};

use oxbatch_core::item::{ItemReaderExt, ListReader};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::{ChunkStep, ItemError, ItemWriter, Job, Status, StepContext, TaskStep};

use crate::harness::{TestStore, launch};

/// Keeps in both contexts the last number of each chunk, then fails at a number.
struct Keeps {
    context: StepContext,
    fails_at: u64,
}

impl ItemWriter<u64> for Keeps {
    async fn write(&mut self, outputs: &[u64], _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.context.put("written", outputs.last())?;
        self.context.put_into_job("written", outputs.last())?;
        match outputs.contains(&self.fails_at) {
            true => Err(ItemError::other("no write today")),
            false => Ok(()),
        }
    }
}

/// The view of the step behind it, twice: in the execution that has run it, and in one that finds it finished.
async fn seen(fails_at: u64) -> Vec<[Option<u64>; 4]> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let load = ChunkStep::builder("Load")
        .reader(|context| {
            let context = context.clone();
            ListReader::new(1..=15_u64).map(move |n| {
                context.put_into_job("read", n).unwrap();
                n
            })
        })
        .writer(move |context| Keeps { context: context.clone(), fails_at })
        .chunk_size(5);
    let look = TaskStep::builder("Look", move |context| {
        let load = context.step("Load").unwrap();
        let mut told = told.lock().unwrap();
        told.push([
            context.get_from_job("read")?,
            context.get_from_job("written")?,
            load.context.get("written")?,
            Some(u64::try_from(load.counters.commit)?),
        ]);
        if told.len() == 1 { Err("once more".into()) } else { Ok(()) }
    });
    let job = Job::builder("Job").step(load).on("*").to("Look").step(look).build().unwrap();
    let store = TestStore::new();
    let engine = store.node([job]).await;
    assert_eq!(launch(&engine, "Job").await.status, Status::Failed);
    assert_eq!(launch(&engine, "Job").await.status, Status::Completed);
    engine.shutdown().await;
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[tokio::test]
async fn what_a_void_chunk_has_put_is_seen_by_nobody_behind_a_failure_that_is_handled() {
    assert_eq!(seen(12).await, [[Some(10), Some(10), Some(10), Some(2)]; 2]);
    assert_eq!(seen(1).await, [[None, None, None, Some(0)]; 2], "none is committed");
}

#[tokio::test]
async fn entries_of_a_writer_are_seen_in_the_execution_that_has_run_it_as_behind_a_restart() {
    assert_eq!(seen(0).await, [[Some(15), Some(15), Some(15), Some(3)]; 2]);
}
