//! Task steps: retry, contexts, exit codes, restarts.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use oxbatch_core::{Job, Status, StepContext, TaskOutcome, TaskStep};

use crate::harness::{Events, ON_POSTGRES, TestStore, begin, contents, ended, force, launch, list, ran, steps, until};

#[tokio::test]
async fn a_flaky_task_is_repeated_and_its_retries_are_counted() {
    let job = Job::builder("Flaky")
        .step(
            TaskStep::builder("Flaky", |context: &StepContext| {
                let attempts: u32 = context.get("attempts")?.unwrap_or(0);
                context.put("attempts", attempts + 1)?;
                if attempts < 2 { Err("not yet".into()) } else { Ok(()) }
            })
            .max_retries(3)
            .retry_delay(Duration::from_millis(1)),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let execution = launch(&engine, "Flaky").await;
    assert_eq!(execution.status, Status::Completed);
    let steps = steps(&engine, execution.id).await;
    assert_eq!(steps[0].counters.retry, 2);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_task_that_keeps_failing_fails_with_its_cause_and_the_number_of_retries() {
    let job = Job::builder("Broken")
        .step(TaskStep::builder("Broken", |_| Err::<(), _>("the disk is on fire".into())).max_retries(2))
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let execution = launch(&engine, "Broken").await;
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Status::Failed, Some("FAILED")));
    let message = execution.exit_message.unwrap();
    assert_eq!(message, "step 'Broken' failed: failed after 2 retries: the disk is on fire");
    assert_eq!(steps(&engine, execution.id).await[0].counters.retry, 2);
    engine.shutdown().await;
}

fn two_steps(fail: Arc<AtomicU32>) -> Job {
    Job::builder("Two")
        .step(TaskStep::builder("Step1", |context| {
            context.put_into_job("from", "Step1")?;
            Ok(())
        }))
        .step(TaskStep::builder("Step2", move |context| {
            assert_eq!(context.get_from_job::<String>("from")?.as_deref(), Some("Step1"));
            let attempt: u32 = context.get("attempt")?.unwrap_or(0) + 1;
            context.put("attempt", attempt)?;
            if fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                return Err(format!("attempt {attempt} failed").into());
            }
            Ok(TaskOutcome::CompletedWith { exit_code: format!("AFTER {attempt}") })
        }))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_restart_skips_what_is_complete_and_gives_the_failed_step_its_context_back() {
    let place = TestStore::new();
    let engine = place.node([two_steps(Arc::new(AtomicU32::new(1)))]).await;
    let first = launch(&engine, "Two").await;
    assert_eq!(first.status, Status::Failed);
    assert_eq!(ran(&engine, first.id).await, ["Step1 COMPLETED", "Step2 FAILED"]);
    let second = launch(&engine, "Two").await;
    assert_eq!(second.instance_id, first.instance_id);
    assert_eq!((second.status, second.exit_code.as_deref()), (Status::Completed, Some("AFTER 2")));
    assert_eq!(ran(&engine, second.id).await, ["Step2 COMPLETED"]);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_completed_instance_runs_nothing_again_unless_forced() {
    let place = TestStore::new();
    let engine = place.node([two_steps(Arc::new(AtomicU32::new(0)))]).await;
    assert_eq!(launch(&engine, "Two").await.status, Status::Completed);
    let again = launch(&engine, "Two").await;
    assert_eq!(again.status, Status::Completed);
    assert!(again.exit_message.unwrap().contains("already complete"));
    assert!(steps(&engine, again.id).await.is_empty());
    let forced = force(&engine, "Two").await;
    assert_eq!(ran(&engine, forced.id).await, ["Step1 COMPLETED", "Step2 COMPLETED"]);
    // Fresh contexts: the attempt is the first again.
    assert_eq!(forced.exit_code.as_deref(), Some("AFTER 1"));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_start_limit_fails_the_job_and_says_so() {
    let job = Job::builder("Limited")
        .step(TaskStep::builder("Once", |_| Err::<(), _>("no".into())).start_limit(1))
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    launch(&engine, "Limited").await;
    let second = launch(&engine, "Limited").await;
    assert_eq!(second.status, Status::Failed);
    assert!(second.exit_message.unwrap().contains("start limit"));
    assert!(steps(&engine, second.id).await.is_empty());
    assert_eq!(force(&engine, "Limited").await.exit_message.unwrap(), "step 'Once' failed: no");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_step_that_reruns_is_run_in_every_restart() {
    let calls = list();
    let log = Arc::clone(&calls);
    let job = Job::builder("Rerun")
        .step(
            TaskStep::builder("Always", move |context| {
                log.lock().unwrap().push(context.execution_id().0);
                Ok(())
            })
            .rerun_if_complete(),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let (first, second) = (launch(&engine, "Rerun").await, launch(&engine, "Rerun").await);
    assert_eq!(contents(&calls), [first.id.0, second.id.0]);
    engine.shutdown().await;
}

#[tokio::test]
async fn an_async_task_can_await_timers_and_sockets_of_its_own() {
    let job = Job::builder("Async")
        .step(TaskStep::builder_async("Wait", |context: StepContext| async move {
            context.sleep(Duration::from_millis(1)).await?;
            let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
            listener.set_nonblocking(true)?;
            let handle = tokio::spawn(async { 40 + 2 });
            assert_eq!(handle.await?, 42);
            Ok(())
        }))
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    assert_eq!(launch(&engine, "Async").await.status, Status::Completed);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_launch_over_the_limit_waits_for_a_place_oldest_first() {
    let order = list();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gate = Arc::new(std::sync::Mutex::new(gate));
    let job = |name: &str| {
        let (order, gate, own) = (Arc::clone(&order), Arc::clone(&gate), name.to_owned());
        Job::builder(name)
            .step(TaskStep::builder("Wait", move |_| {
                gate.lock().unwrap().recv()?;
                order.lock().unwrap().push(own.clone());
                Ok(())
            }))
            .build()
            .unwrap()
    };
    let place = TestStore::new();
    let engine = place.node_with([job("A"), job("B"), job("C")], |config| config.concurrency = 1).await;
    let ids = [begin(&engine, "B").await, begin(&engine, "C").await, begin(&engine, "A").await];
    assert_eq!(engine.execution(ids[2]).await.unwrap().status, Status::Starting);
    for _ in 0..3 {
        open.send(()).unwrap();
    }
    for id in ids {
        assert_eq!(ended(&engine, id).await.status, Status::Completed);
    }
    assert_eq!(contents(&order), ["B", "C", "A"]);
    engine.shutdown().await;
}

/// Another process holds the write lock of the file, so neither the stop nor the retry can be recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_ends_the_wait_for_the_database_before_a_retry_is_a_stop() {
    if ON_POSTGRES {
        return;
    }
    let (place, stops) = (TestStore::new(), Arc::new(OnceLock::<oxbatch_core::Engine>::new()));
    let path = place.path("oxbatch.db");
    let lock = Arc::new(std::sync::Mutex::new(None));
    let (locks, stop) = (Arc::clone(&lock), Arc::clone(&stops));
    let job = Job::builder("Stopped")
        .step(
            TaskStep::builder_async("Fails", move |context: StepContext| {
                let (path, locks, engine) = (path.clone(), Arc::clone(&locks), stop.get().unwrap().clone());
                async move {
                    let other = rusqlite::Connection::open(path)?;
                    other.execute_batch("BEGIN IMMEDIATE")?;
                    *locks.lock().unwrap() = Some(other);
                    let id = context.execution_id();
                    tokio::spawn(async move { engine.stop(id).await });
                    context.stopping().await;
                    Err::<(), oxbatch_core::BoxError>("not this time".into())
                }
            })
            .max_retries(1)
            .retry_delay(Duration::from_secs(3600)),
        )
        .build()
        .unwrap();
    let events = Arc::new(Events::default());
    let engine = place.node_with([job], |config| config.consumers.push(events.clone())).await;
    assert!(stops.set(engine.clone()).is_ok());
    let id = begin(&engine, "Stopped").await;
    // The step has ended once the lack of a lock is noticed: then its end is what waits.
    let has = |name: &str| events.seen.lock().unwrap().iter().any(|seen| seen == name);
    until(async || has("RetryScheduled") && has("RepositoryTrouble")).await;
    drop(lock.lock().unwrap().take());
    let execution = ended(&engine, id).await;
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Status::Stopped, Some("STOPPED")), "{execution:?}");
    engine.shutdown().await;
}
