//! Stop: a request that ends at a safe point, and what happens to work that does not listen.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::engine::OperatorError;
use oxbatch_core::item::{FunctionProcessor, FunctionWriter, IteratorReader, ListWriter};
use oxbatch_core::{ChunkStep, Job, RetryPolicy, Status, StepContext, TaskStep};

use crate::harness::{Shared, TestStore, begin, contents, ended, launch, list, ran, steps};

/// A job that tells when it has reached an item and goes on when it is reported to.
struct Gate {
    reached: Receiver<u64>,
    go_on: Sender<()>,
}

fn gated(out: &Shared<u64>, at: u64) -> (Job, Gate) {
    let ((tell, reached), (go_on, wait)) = (channel(), channel());
    let (out, wait, tell) = (Arc::clone(out), Arc::new(Mutex::new(wait)), Arc::new(Mutex::new(tell)));
    let job = Job::builder("Gated")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| Ok(IteratorReader::new(0..100_u64)))
                .processor(move |_| {
                    let (wait, tell) = (Arc::clone(&wait), Arc::clone(&tell));
                    Ok(FunctionProcessor::new(move |n: u64| {
                        if n == at {
                            tell.lock().unwrap().send(n).unwrap();
                            wait.lock().unwrap().recv()?;
                        }
                        Ok(Some(n))
                    }))
                })
                .writer(move |_| Ok(ListWriter::new(Arc::clone(&out))))
                .chunk_size(10),
        )
        .step(TaskStep::builder("After", |_| Ok(())))
        .build()
        .unwrap();
    (job, Gate { reached, go_on })
}

async fn reached(gate: Receiver<u64>) -> Receiver<u64> {
    tokio::task::spawn_blocking(move || {
        gate.recv().unwrap();
        gate
    })
    .await
    .unwrap()
}

/// Traps 3 and 4: STOPPED is shown while the work still runs; a race leaves a status that nobody can restart.
#[tokio::test]
async fn a_stop_is_stopping_until_the_chunk_is_settled_and_a_restart_goes_on_there() {
    let out = list();
    let (job, gate) = gated(&out, 34);
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let id = begin(&engine, "Gated").await;
    reached(gate.reached).await;
    assert_eq!(engine.stop(id).await.unwrap().status, Status::Stopping);
    assert_eq!(engine.execution(id).await.unwrap().status, Status::Stopping);
    gate.go_on.send(()).unwrap();
    let stopped = ended(&engine, id).await;
    assert_eq!((stopped.status, stopped.exit_code.as_deref()), (Status::Stopped, Some("STOPPED")));
    assert_eq!(ran(&engine, id).await, ["Copy STOPPED"]);
    assert_eq!(contents(&out), (0..40).collect::<Vec<_>>());
    gate.go_on.send(()).unwrap();
    let second = launch(&engine, "Gated").await;
    assert_eq!(second.status, Status::Completed);
    assert_eq!(ran(&engine, second.id).await, ["Copy COMPLETED", "After COMPLETED"]);
    assert_eq!(contents(&out), (0..100).collect::<Vec<_>>());
    engine.shutdown().await;
}

#[tokio::test]
async fn a_stop_by_another_process_reaches_the_owner() {
    let place = TestStore::new();
    let out = list();
    let (job, gate) = gated(&out, 34);
    let engine = place.node_with([job], |config| config.renew_every = Duration::from_millis(20)).await;
    let other = place.node_with([], |config| config.take_work = false).await;
    let id = begin(&engine, "Gated").await;
    reached(gate.reached).await;
    other.stop(id).await.unwrap();
    gate.go_on.send(()).unwrap();
    assert_eq!(ended(&other, id).await.status, Status::Stopped);
    assert_eq!(contents(&out).len(), 40);
    other.shutdown().await;
    engine.shutdown().await;
}

#[tokio::test]
async fn a_stop_ends_the_wait_before_a_retry_at_once() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let job = Job::builder("Waits")
        .step(
            TaskStep::builder("Fail", move |_| {
                tell.lock().unwrap().send(0).unwrap();
                Err::<(), _>("again".into())
            })
            .max_retries(1)
            .retry_delay(Duration::from_secs(3600)),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let id = begin(&engine, "Waits").await;
    reached(told).await;
    engine.stop(id).await.unwrap();
    assert_eq!(ended(&engine, id).await.status, Status::Stopped);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_task_that_listens_stops_where_it_checks() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let job = Job::builder("Listens")
        .step(TaskStep::builder_async("Loop", move |context: StepContext| {
            tell.lock().unwrap().send(0).unwrap();
            async move {
                context.stopping().await;
                context.check_stop()?;
                Ok(())
            }
        }))
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let id = begin(&engine, "Listens").await;
    reached(told).await;
    engine.stop(id).await.unwrap();
    let execution = ended(&engine, id).await;
    assert_eq!(execution.status, Status::Stopped);
    assert_eq!(execution.exit_message.as_deref(), Some("stopped on request in step 'Loop'"));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_task_that_awaits_for_ever_is_dropped_after_the_grace() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let job = Job::builder("Deaf")
        .step(TaskStep::builder_async("Await", move |_| {
            tell.lock().unwrap().send(0).unwrap();
            std::future::pending::<Result<(), oxbatch_core::BoxError>>()
        }))
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node_with([job], |config| config.stop_grace = Duration::from_millis(50)).await;
    let id = begin(&engine, "Deaf").await;
    reached(told).await;
    engine.stop(id).await.unwrap();
    assert_eq!(ended(&engine, id).await.status, Status::Stopped);
    let message = steps(&engine, id).await[0].exit_message.clone().unwrap();
    assert_eq!(message, "did not stop in time; its work was dropped");
    engine.shutdown().await;
}

/// Trap 29 within one process: a thread that wakes up after it was given up commits nothing.
#[tokio::test]
async fn a_thread_that_blocks_is_left_behind_and_can_commit_nothing() {
    let out = list();
    let (job, gate) = gated(&out, 34);
    let place = TestStore::new();
    let engine = place.node_with([job], |config| config.stop_grace = Duration::from_millis(50)).await;
    let id = begin(&engine, "Gated").await;
    let told = reached(gate.reached).await;
    engine.stop(id).await.unwrap();
    assert_eq!(ended(&engine, id).await.status, Status::Stopped);
    let left = steps(&engine, id).await[0].clone();
    assert!(left.exit_message.as_ref().unwrap().contains("left behind"), "{left:?}");
    // The successor runs while the zombie still hangs, then the zombie wakes up.
    let successor = begin(&engine, "Gated").await;
    reached(told).await;
    gate.go_on.send(()).unwrap();
    gate.go_on.send(()).unwrap();
    let second = ended(&engine, successor).await;
    assert_eq!(second.status, Status::Completed);
    assert_eq!(steps(&engine, successor).await[0].counters.read, 70);
    assert_eq!(steps(&engine, id).await[0], left);
    engine.shutdown().await;
}

#[tokio::test]
async fn what_waits_in_the_queue_is_stopped_at_once_and_what_has_ended_refuses() {
    let out = list();
    let (job, gate) = gated(&out, 34);
    let quick = Job::builder("Quick").step(TaskStep::builder("Quick", |_| Ok(()))).build().unwrap();
    let place = TestStore::new();
    let engine = place.node_with([job, quick], |config| config.concurrency = 1).await;
    let running = begin(&engine, "Gated").await;
    reached(gate.reached).await;
    let waiting = begin(&engine, "Quick").await;
    assert_eq!(engine.stop(waiting).await.unwrap().status, Status::Stopped);
    assert!(engine.abandon(running).await.is_err());
    gate.go_on.send(()).unwrap();
    ended(&engine, running).await;
    let refused = engine.stop(running).await.unwrap_err().to_string();
    assert!(refused.contains("COMPLETED"), "{refused}");
    assert!(matches!(engine.restart(running).await, Err(OperatorError::NotRestartable { .. })));
    assert_eq!(engine.abandon(waiting).await.unwrap().status, Status::Abandoned);
    assert!(matches!(engine.restart(waiting).await, Err(OperatorError::NotRestartable { .. })));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_stop_in_a_long_retry_of_a_chunk_keeps_the_checkpoint_of_the_last_commit() {
    let (tell, told) = channel();
    let tell = Arc::new(Mutex::new(tell));
    let job = Job::builder("Chunked")
        .step(
            ChunkStep::builder("Write")
                .reader(|_| Ok(IteratorReader::new(0..30_u64)))
                .writer(move |context| {
                    let (tell, first) = (Arc::clone(&tell), context.execution_id().0 == 1);
                    Ok(FunctionWriter::new(move |chunk: &[u64]| {
                        if first && chunk[0] == 20 {
                            tell.lock().unwrap().send(0).unwrap();
                            return Err(oxbatch_core::ItemError::transient("busy"));
                        }
                        Ok(())
                    }))
                })
                .chunk_size(10)
                .retry(RetryPolicy::new(1).backoff(oxbatch_core::step::Backoff::Fixed(Duration::from_secs(3600)))),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let id = begin(&engine, "Chunked").await;
    reached(told).await;
    engine.stop(id).await.unwrap();
    assert_eq!(ended(&engine, id).await.status, Status::Stopped);
    let counters = steps(&engine, id).await[0].counters;
    assert_eq!((counters.read, counters.write, counters.rollback, counters.retry), (20, 20, 1, 1));
    let second = launch(&engine, "Chunked").await;
    assert_eq!(steps(&engine, second.id).await[0].counters.read, 10);
    engine.shutdown().await;
}
