//! The kinds of the author's errors: said by a function of the step, or by the error that a task returns.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use oxbatch_core::item::{ErrorKind, FunctionProcessor, FunctionWriter, ListReader};
use oxbatch_core::{ChunkStep, ItemError, RetryPolicy, SkipPolicy, Status, TaskStep};

use crate::harness::run;

/// Fails the first times by this.
fn fails(times: u32, kind: io::ErrorKind) -> impl Fn() -> io::Result<()> + Clone + Send + Sync {
    let calls = Arc::new(AtomicU32::new(0));
    move || match calls.fetch_add(1, Ordering::SeqCst) < times {
        true => Err(kind.into()),
        false => Ok(()),
    }
}

fn timeouts(error: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    let io = error.downcast_ref::<io::Error>()?;
    (io.kind() == io::ErrorKind::TimedOut).then_some(ErrorKind::Transient)
}

#[tokio::test]
async fn a_task_is_repeated_for_the_kinds_that_its_policy_names() {
    let policy = || RetryPolicy::new(2).retry_on([ErrorKind::Transient]);
    for (kind, status, retries) in
        [(io::ErrorKind::TimedOut, Status::Completed, 2), (io::ErrorKind::NotFound, Status::Failed, 0)]
    {
        let call = fails(2, kind);
        let step = TaskStep::builder("Call", move |_| Ok(call()?)).retry(policy()).classify_errors(timeouts);
        let ended = run(step).await;
        assert_eq!((ended.execution.status, ended.step.counters.retry), (status, retries), "{}", ended.message());
        // The same, told by the error itself.
        let call = fails(2, kind);
        let step = TaskStep::builder("Call", move |_| {
            call().map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => ItemError::transient(error),
                _ => ItemError::other(error),
            })?;
            Ok(())
        });
        let ended = run(step.retry(policy())).await;
        assert_eq!((ended.execution.status, ended.step.counters.retry), (status, retries), "{}", ended.message());
        if status == Status::Failed {
            assert_eq!(ended.message(), "entity not found");
        }
    }
}

#[tokio::test]
async fn errors_of_processor_and_writer_are_repeated_and_skipped_by_the_kind_that_the_step_knows() {
    let (processes, writes) = (fails(2, io::ErrorKind::TimedOut), fails(2, io::ErrorKind::TimedOut));
    let step = ChunkStep::builder("Call")
        .reader(|_| Ok(ListReader::new(0..10_u64)))
        .processor(move |_| {
            let call = processes.clone();
            Ok(FunctionProcessor::new(move |n: u64| {
                call()?;
                if n == 7 {
                    Err(io::Error::from(io::ErrorKind::InvalidData))?
                }
                Ok(Some(n))
            }))
        })
        .retry(RetryPolicy::new(2).retry_on([ErrorKind::Transient]))
        .skip(SkipPolicy::new(1).skip_on([ErrorKind::Custom("data")]))
        .classify_errors(|error| {
            let io = error.downcast_ref::<io::Error>()?;
            timeouts(error).or_else(|| (io.kind() == io::ErrorKind::InvalidData).then_some(ErrorKind::Custom("data")))
        })
        .writer(move |_| {
            let call = writes.clone();
            Ok(FunctionWriter::new(move |_: &[u64]| Ok(call()?)))
        });
    let ended = run(step).await;
    assert_eq!(ended.execution.status, Status::Completed, "{}", ended.message());
    let counters = ended.step.counters;
    assert_eq!((counters.retry, counters.process_skip, counters.write), (4, 1, 9));
}

#[tokio::test]
async fn a_skip_policy_may_ask_a_function_of_the_fault_and_of_how_many_there_were() {
    for (most, status, skipped) in [(3, Status::Completed, 3), (2, Status::Failed, 0)] {
        let step = ChunkStep::builder("Copy")
            .reader(|_| Ok(ListReader::new(0..30_u64)))
            .processor(|_| {
                Ok(FunctionProcessor::new(|n: u64| match n % 10 {
                    4 => Err(ItemError::other("four").at(format!("item {n}"))),
                    _ => Ok(Some(n)),
                }))
            })
            .skip(SkipPolicy::unlimited().when(move |fault| fault.error == "four" && fault.skipped < most))
            .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(()))));
        let ended = run(step).await;
        assert_eq!((ended.execution.status, ended.step.counters.skip()), (status, skipped), "{}", ended.message());
        if status == Status::Failed {
            assert_eq!(ended.message(), "failed to process: item 24: four");
        }
    }
}
