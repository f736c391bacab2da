//! Crashes at every move: a repository that is closed under its node, once for each statement of the flow's protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use oxbatch_core::Status::{Completed, Failed};
use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::RecoverPolicy;
use oxbatch_core::{DecisionFacts, Flow, Job, Status, TaskStep};

use tokio::sync::mpsc::Sender;

use crate::harness::{LONG, TestStore, ended};
use crate::script::{Say, Script};

/// A job with everything: a decider, a cycle, a flow, a handled failure, and an end.
fn job(script: &Script) -> Job {
    Job::builder("Job")
        .step(script.step("Load"))
        .decider("More", |facts: &DecisionFacts| Ok(if facts.iteration() < 2 { "MORE" } else { "ENOUGH" }))
        .on("MORE")
        .to("Load")
        .at_most(3)
        .flow("Check", Flow::new().step(script.step("A")).step(script.step("B")))
        .on("BROKEN")
        .to("Repair")
        .then_end()
        .step(script.step("Repair"))
        .finally(script.step("Report"))
        .build()
        .unwrap()
}

/// The result and the history of an execution, and the steps that were COMPLETED or FAILED by themselves.
async fn seen(store: &TestStore, job: &Job) -> (Status, Vec<String>, Vec<String>) {
    let engine = store.node([job.clone()]).await;
    let last = last_ended(&engine).await;
    let history = engine.repository().flow_history(last.id).await.unwrap();
    let history = history
        .iter()
        .map(|entry| format!("{}#{} {} {}", entry.element, entry.iteration, entry.exit_code, entry.taken))
        .collect();
    let mut finished = Vec::new();
    for id in 1..=last.id.0 {
        for step in engine.repository().steps(oxbatch_core::execution::ExecutionId(id)).await.unwrap() {
            if step.exit_code.as_deref() != Some("ABORTED") {
                finished.push(format!("{}#{} {}", step.step_name, step.iteration, step.status));
            }
        }
    }
    engine.shutdown().await;
    (last.status, history, finished)
}

/// The last execution of the job, once it and its successors have ended.
async fn last_ended(engine: &oxbatch_core::Engine) -> oxbatch_core::JobExecution {
    loop {
        let page = oxbatch_core::repository::PageRequest { before: None, limit: 1 };
        let found = engine.repository().executions(Default::default(), page).await.unwrap().executions;
        let last = ended(engine, found[0].id).await;
        if last.exit_code.as_deref() != Some("ABORTED") {
            return last;
        }
        tokio::task::yield_now().await;
    }
}

/// Fails as scripted in the part that is tried, whatever was run before a crash.
fn script() -> Script {
    Script::default().says("Check/B", [Say::Fail("BROKEN"), Say::Fail("BROKEN"), Say::Fail("BROKEN")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_in_any_step_changes_neither_the_way_nor_the_result_and_repeats_nothing_finished() {
    let undisturbed = {
        let (store, job) = (TestStore::new(), job(&script()));
        let engine = store.node([job.clone()]).await;
        let id = engine.launch("Job", GivenParameters::default(), LaunchOptions::default()).await.unwrap().execution.id;
        assert_eq!(ended(&engine, id).await.status, Completed);
        engine.shutdown().await;
        seen(&store, &job).await
    };
    let runs = undisturbed.2.len();
    assert_eq!(runs, 6, "{undisturbed:?}");
    for death in 0..runs {
        let store = TestStore::new();
        let (script, plain) = (script(), job(&script()));
        // A node whose repository is closed under it can record nothing more: to the others it is dead.
        let (reached, mut reaches) = tokio::sync::mpsc::channel(1);
        let dead = store.node([dying_job(&script, reached, death)]).await;
        dead.launch("Job", GivenParameters::default(), LaunchOptions::default()).await.unwrap();
        tokio::time::timeout(LONG, reaches.recv()).await.unwrap().unwrap();
        dead.repository().close().await.unwrap();
        store.nodes().has_died(&dead);
        let engine = store.node_with([plain.clone()], |config| config.recover = RecoverPolicy::Restart).await;
        last_ended(&engine).await;
        engine.shutdown().await;
        let disturbed = seen(&store, &plain).await;
        assert_eq!(disturbed.0, undisturbed.0, "death {death}");
        assert_eq!(disturbed.1, undisturbed.1, "death {death}");
        assert_eq!(disturbed.2, undisturbed.2, "death {death}");
    }
}

/// The job in whose `death`th step the node dies.
fn dying_job(script: &Script, reached: Sender<()>, death: usize) -> Job {
    let count = Arc::new(AtomicU32::new(0));
    let step = |name: &str| {
        let (script, reached, count) = (script.clone(), reached.clone(), Arc::clone(&count));
        TaskStep::builder_async(name, move |context| {
            let (script, reached, count) = (script.clone(), reached.clone(), Arc::clone(&count));
            async move {
                if count.fetch_add(1, Ordering::SeqCst) as usize == death {
                    reached.send(()).await?;
                    std::future::pending::<()>().await;
                }
                Ok(match script.next(context.step_name()) {
                    Some(Say::Fail(code)) => oxbatch_core::TaskOutcome::FailedWith {
                        exit_code: code.to_owned(),
                        message: "as scripted".to_owned(),
                    },
                    _ => oxbatch_core::TaskOutcome::Completed,
                })
            }
        })
    };
    Job::builder("Job")
        .step(step("Load"))
        .decider("More", |facts: &DecisionFacts| Ok(if facts.iteration() < 2 { "MORE" } else { "ENOUGH" }))
        .on("MORE")
        .to("Load")
        .at_most(3)
        .flow("Check", Flow::new().step(step("A")).step(step("B")))
        .on("BROKEN")
        .to("Repair")
        .then_end()
        .step(step("Repair"))
        .finally(step("Report"))
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_in_the_end_of_a_failed_execution_goes_on_with_the_end_alone_and_keeps_the_result() {
    let store = TestStore::new();
    let script = Script::default().says("A", [Say::Fail("BROKEN")]);
    let (reached, mut reaches) = tokio::sync::mpsc::channel(1);
    let dying = Job::builder("Job")
        .step(script.step("A"))
        .finally(TaskStep::builder_async("Report", move |_| {
            let reached: Sender<()> = reached.clone();
            async move {
                reached.send(()).await?;
                std::future::pending::<()>().await;
                Ok(())
            }
        }))
        .build()
        .unwrap();
    let dead = store.node([dying]).await;
    dead.launch("Job", GivenParameters::default(), LaunchOptions::default()).await.unwrap();
    tokio::time::timeout(LONG, reaches.recv()).await.unwrap().unwrap();
    dead.repository().close().await.unwrap();
    store.nodes().has_died(&dead);
    let plain = Job::builder("Job").step(script.step("A")).finally(script.step("Report")).build().unwrap();
    let engine = store.node([plain]).await;
    let last = last_ended(&engine).await;
    assert_eq!((last.status, last.exit_code.as_deref()), (Failed, Some("BROKEN")), "{last:?}");
    assert_eq!(script.take_ran(), "A Report", "the end alone was run again");
    engine.shutdown().await;
}
