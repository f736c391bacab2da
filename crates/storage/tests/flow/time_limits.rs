//! Time limits: of steps, jobs, deciders and ends, for work that listens to a stop and for work that hangs.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::Status::{Completed, Failed};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::item::{BoxError, FunctionWriter};
use oxbatch_core::step::{ReadAhead, TaskStepBuilder};
use oxbatch_core::{ChunkStep, EngineConfig, JobBuilder, JobExecution, StepContext, StepExecution, TaskStep};

use crate::harness::{Events, Numbers, begin, ended, ran, steps, until_step};
use crate::script::{Say, Script, Stage, is};

/// A limit that is over soon.
const SOON: Duration = Duration::from_millis(30);
/// A limit that no test reaches.
const HOUR: Duration = Duration::from_secs(3_600);

/// A script by which the step 'Slow' waits for a stop in its first attempts, and is done at once later.
fn slow(attempts: usize) -> Script {
    Script::default().says("Slow", vec![Say::Error; attempts])
}

/// A step that waits for a stop as often as the script says anything.
fn waits(script: &Script, name: &str) -> TaskStepBuilder {
    let script = script.clone();
    TaskStep::builder_async(name, move |context: StepContext| {
        let waits = script.next(context.step_name()).is_some();
        async move {
            if waits {
                context.stopping().await;
                context.check_stop()?;
            }
            Ok::<_, BoxError>(())
        }
    })
}

/// Settings by which a node asks the store for the time again and again.
fn alert(config: &mut EngineConfig) {
    config.renew_every = Duration::from_millis(20);
}

/// Lets an hour pass for an execution that runs, by the clock of the store.
fn an_hour_passes(stage: &Stage, id: ExecutionId) {
    stage.store.execute(&format!("UPDATE oxbatch_job_execution SET earlier_time = 3600000000 WHERE id = {id}"));
}

/// Launches, lets an hour pass once a step has begun that is as it should be, and waits for the end.
async fn launch_for_an_hour(stage: &Stage, is_there: impl Fn(&StepExecution) -> bool) -> JobExecution {
    let id = begin(&stage.engine, "Job").await;
    until_step(&stage.engine, id, is_there).await;
    an_hour_passes(stage, id);
    ended(&stage.engine, id).await
}

/// A function that blocks for good, until the sender is dropped.
fn hang() -> (Sender<()>, impl Fn() + Send + Sync + Clone + 'static) {
    let (sender, receiver) = channel::<()>();
    let receiver = Arc::new(Mutex::new(receiver));
    (sender, move || _ = receiver.lock().unwrap().recv())
}

#[tokio::test]
async fn a_step_that_exceeds_its_limit_is_failed_with_timeout_and_transitions_see_it() {
    let stage = Stage::new(slow(1), |job, script| {
        job.step(waits(script, "Slow").time_limit(SOON)).on("TIMEOUT").to("Other").then_end().step(script.step("Other"))
    })
    .await;
    assert_eq!(stage.run().await, is("Slow Other", Completed, "COMPLETED"));
    let step = steps(&stage.engine, ExecutionId(1)).await.remove(0);
    assert_eq!((step.status, step.exit_code.as_deref()), (Failed, Some("TIMEOUT")));
    assert_eq!(step.exit_message.as_deref(), Some("exceeded its time limit of 30ms"));
    assert_eq!(stage.history(1).await, ["Slow#1 TIMEOUT to 'Other'", "Other#1 COMPLETED end"]);
    stage.close().await;
}

#[tokio::test]
async fn a_step_without_a_transition_fails_the_job_with_timeout_and_a_restart_has_its_time_anew() {
    let stage = Stage::new(slow(1), |job, script| {
        job.step(script.step("A")).step(waits(script, "Slow").time_limit(SOON)).step(script.step("B"))
    })
    .await;
    let execution = stage.launch_with("{}", false).await;
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Failed, Some("TIMEOUT")));
    assert_eq!(execution.exit_message.as_deref(), Some("step 'Slow' failed: exceeded its time limit of 30ms"));
    assert_eq!(stage.script.take_ran(), "A Slow");
    assert_eq!(stage.run().await, is("Slow B", Completed, "COMPLETED"));
    stage.close().await;
}

/// The grace is that of a stop; what hangs beyond it is dropped, or left behind where it blocks its thread.
#[tokio::test]
async fn a_step_that_hangs_is_dropped_or_left_behind_and_the_job_goes_on() {
    let (end, block) = hang();
    let events = Arc::new(Events::default());
    let consumer = Arc::clone(&events);
    let set = |config: &mut EngineConfig| {
        config.stop_grace = SOON;
        config.consumers.push(consumer);
    };
    let stage = Stage::with_settings(Script::default(), set, move |job, script| {
        let pending = TaskStep::builder_async("Pends", |_| std::future::pending::<Result<(), BoxError>>());
        let blocks = TaskStep::builder("Blocks", move |_| {
            block();
            Ok(())
        });
        job.step(pending.time_limit(SOON))
            .on("TIMEOUT")
            .to("Blocks")
            .step(blocks.time_limit(SOON))
            .on("TIMEOUT")
            .to("After")
            .step(script.step("After"))
    })
    .await;
    let execution = stage.launch_with("{}", false).await;
    assert_eq!((execution.status, stage.script.take_ran().as_str()), (Completed, "After"), "{execution:?}");
    let messages: Vec<_> =
        steps(&stage.engine, execution.id).await.into_iter().filter_map(|step| step.exit_message).collect();
    assert_eq!(messages[0], "exceeded its time limit of 30ms; did not stop in time; its work was dropped");
    assert!(messages[1].starts_with("exceeded its time limit of 30ms; did not stop in time and was left behind"));
    let seen = events.seen.lock().unwrap().clone();
    assert_eq!(seen.iter().filter(|event| *event == "TimeLimitExceeded").count(), 2, "{seen:?}");
    assert!(seen.iter().any(|event| event == "StepLeftBehind"), "{seen:?}");
    drop(end);
    stage.close().await;
}

/// Work that is done in the grace is done: nothing is to be repeated.
#[tokio::test]
async fn a_step_that_completes_in_the_grace_is_complete() {
    let stage = Stage::new(Script::default(), |job, _| {
        job.step(
            TaskStep::builder_async("Late", |context: StepContext| async move {
                context.stopping().await;
                Ok::<_, BoxError>(())
            })
            .time_limit(SOON),
        )
    })
    .await;
    assert_eq!(stage.run().await, is("", Completed, "COMPLETED"));
    stage.close().await;
}

/// A failure in the grace is told behind the limit.
#[tokio::test]
async fn a_step_that_fails_in_the_grace_is_failed_by_its_limit() {
    let stage = Stage::new(Script::default(), |job, _| {
        job.step(
            TaskStep::builder_async("Late", |context: StepContext| async move {
                context.stopping().await;
                Err::<(), BoxError>("the door is shut".into())
            })
            .time_limit(SOON),
        )
    })
    .await;
    let (_, status, message) = stage.run_told().await;
    assert_eq!(status, Failed);
    assert_eq!(message, "step 'Late' failed: exceeded its time limit of 30ms; the door is shut");
    stage.close().await;
}

/// The chunks that were committed count, and a restart goes on behind them.
#[tokio::test]
async fn a_chunk_step_ends_behind_a_chunk_and_a_restart_goes_on_there() {
    let stage = Stage::with_settings(Script::default(), alert, |job, _| {
        job.step(
            ChunkStep::builder("Load")
                .reader(|context| {
                    let context = context.clone();
                    Ok(Numbers::new(100, move |number| {
                        // In the first attempt it waits for the limit behind the third chunk.
                        while number == 30 && context.execution_id().0 == 1 && !context.is_stopping() {
                            std::thread::yield_now();
                        }
                        Ok(())
                    }))
                })
                .writer(|_| Ok(FunctionWriter::new(|_: &[u64]| Ok(()))))
                .chunk_size(10)
                .read_ahead(ReadAhead::Never)
                .time_limit(HOUR),
        )
    })
    .await;
    let execution = launch_for_an_hour(&stage, |step| step.counters.commit == 3).await;
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Failed, Some("TIMEOUT")), "{execution:?}");
    let first = steps(&stage.engine, execution.id).await.remove(0);
    assert!((30..=40).contains(&first.counters.write), "{first:?}");
    let again = stage.launch_with("{}", false).await;
    assert_eq!(again.status, Completed, "{again:?}");
    let second = steps(&stage.engine, again.id).await.remove(0);
    assert_eq!(first.counters.write + second.counters.write, 100);
    stage.close().await;
}

/// No transition sees the end by the job's limit; the end of the execution runs under its own.
#[tokio::test]
async fn a_job_that_exceeds_its_limit_is_failed_with_timeout_and_then_runs_its_end() {
    let stage = Stage::with_settings(slow(1), alert, |job, script| {
        job.time_limit(HOUR)
            .step(script.step("A"))
            .step(waits(script, "Slow"))
            .on("*")
            .to("Other")
            .step(script.step("Other"))
            .finally(script.step("Report"))
    })
    .await;
    let execution = launch_for_an_hour(&stage, |step| step.step_name == "Slow").await;
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Failed, Some("TIMEOUT")));
    let message = "the job exceeded its time limit of 1h in step 'Slow'";
    assert_eq!(execution.exit_message.as_deref(), Some(message));
    assert_eq!(stage.script.take_ran(), "A Slow Report");
    assert_eq!(ran(&stage.engine, execution.id).await, ["A COMPLETED", "Slow FAILED", "Report COMPLETED"]);
    let slow = steps(&stage.engine, execution.id).await.remove(1);
    assert_eq!(slow.exit_code.as_deref(), Some("TIMEOUT"));
    assert_eq!(stage.run().await, is("Slow Other Report", Completed, "COMPLETED"));
    stage.close().await;
}

/// A step that has not begun by then does not run, and a restart runs the end alone.
#[tokio::test]
async fn an_end_that_exceeds_its_limit_fails_a_complete_execution() {
    let stage = Stage::with_settings(slow(1), alert, |job, script| {
        job.finally_time_limit(HOUR).step(script.step("A")).finally(waits(script, "Slow")).finally(script.step("Sweep"))
    })
    .await;
    let execution = launch_for_an_hour(&stage, |step| step.step_name == "Slow").await;
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Failed, Some("FINALLY_FAILED")));
    let message = "the steps at the end exceeded their time limit of 1h in step 'Slow'";
    assert_eq!(execution.exit_message.as_deref(), Some(message));
    assert_eq!(stage.script.take_ran(), "A Slow");
    assert_eq!(stage.run().await, is("Slow Sweep", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn a_decider_that_hangs_is_left_behind_at_its_limit_and_a_restart_asks_again() {
    let (end, block) = hang();
    let events = Arc::new(Events::default());
    let consumer = Arc::clone(&events);
    let stage = Stage::with_settings(
        Script::default().says("Decide", [Say::Error]),
        |config| config.consumers.push(consumer),
        move |job, script| {
            let decisions = script.clone();
            job.step(script.step("A"))
                .decider("Decide", move |_| {
                    if decisions.next("Decide").is_some() {
                        block();
                    }
                    Ok("GO")
                })
                .decider_time_limit(SOON)
                .step(script.step("B"))
        },
    )
    .await;
    let execution = stage.launch_with("{}", false).await;
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Failed, Some("TIMEOUT")));
    let message = "decider 'Decide' exceeded its time limit of 30ms and was left behind";
    assert_eq!(execution.exit_message.as_deref(), Some(message));
    let seen = events.seen.lock().unwrap().clone();
    assert!(["TimeLimitExceeded", "DeciderLeftBehind"].iter().all(|name| seen.iter().any(|event| event == name)));
    stage.script.take_ran();
    assert_eq!(stage.run().await, is("Decide B", Completed, "COMPLETED"));
    drop(end);
    stage.close().await;
}

/// The limit of the job ends the wait for a decider, too.
#[tokio::test]
async fn a_decider_is_bound_by_the_limit_of_its_job() {
    let (end, block) = hang();
    let stage = Stage::with_settings(Script::default(), alert, move |job, script| {
        job.time_limit(HOUR)
            .step(script.step("A"))
            .decider("Decide", move |_| {
                block();
                Ok("GO")
            })
            .decider_time_limit(HOUR * 2)
            .step(script.step("B"))
            .finally(script.step("Report"))
    })
    .await;
    let execution = launch_for_an_hour(&stage, |step| step.status == Completed).await;
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Failed, Some("TIMEOUT")));
    let message = "the job exceeded its time limit of 1h; decider 'Decide' was left behind";
    assert_eq!(execution.exit_message.as_deref(), Some(message));
    assert_eq!(stage.script.take_ran(), "A Report");
    drop(end);
    stage.close().await;
}

/// A shutdown in the slow step of a job, and the running times that were stored by then.
async fn shut_down_in_the_slow_step(script: Script, set_times: &str) -> Stage {
    let (of_job, of_step) = (HOUR * 2, HOUR);
    let build = move |job: JobBuilder, script: &Script| {
        job.time_limit(of_job)
            .step(script.step("A"))
            .step(waits(script, "Slow").time_limit(of_step))
            .finally(script.step("Report"))
    };
    let stage = Stage::new(script, build).await;
    let id = begin(&stage.engine, "Job").await;
    until_step(&stage.engine, id, |step| step.step_name == "Slow").await;
    stage.engine.shutdown().await;
    stage.store.execute(set_times);
    stage.script.take_ran();
    stage.with_job(build).await
}

/// Running time survives a recovery: what has used up its limit is over when it resumes by itself.
#[tokio::test]
async fn a_step_that_resumes_by_itself_keeps_its_used_time() {
    let used = "UPDATE oxbatch_step_execution SET earlier_time = 3600000000";
    let stage = shut_down_in_the_slow_step(slow(2), used).await;
    let execution = ended(&stage.engine, ExecutionId(2)).await;
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Failed, Some("TIMEOUT")));
    assert_eq!(execution.exit_message.as_deref(), Some("step 'Slow' failed: exceeded its time limit of 1h"));
    assert_eq!(stage.script.take_ran(), "Slow Report");
    assert_eq!(stage.run().await, is("Slow Report", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn a_job_that_resumes_by_itself_keeps_its_used_time() {
    let used = "UPDATE oxbatch_job_execution SET earlier_time = 7200000000";
    let stage = shut_down_in_the_slow_step(slow(1), used).await;
    let execution = ended(&stage.engine, ExecutionId(2)).await;
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Failed, Some("TIMEOUT")));
    let message = "the job exceeded its time limit of 2h before step 'A'";
    assert_eq!(execution.exit_message.as_deref(), Some(message));
    assert_eq!(stage.script.take_ran(), "Report");
    assert_eq!(stage.run().await, is("Slow Report", Completed, "COMPLETED"));
    stage.close().await;
}
