//! Plans of restarts: what they say of steps, of places in the input, of refusals; and that they are kept to.
//!
//! Beside these, each launch of a [`Stage`] behind another one is checked against its plan.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oxbatch_core::engine::{Course, CourseEnd, LaunchOptions, OperatorError, PlannedAction, RestartPlan, ResumePoint};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::item::{FunctionWriter, ItemError, ItemReaderExt, ListReader};
use oxbatch_core::job::GivenParameters;
use oxbatch_core::{ChunkStep, DecisionFacts, Job, Status, TaskStep};

use crate::harness::{TestStore, ended};
use crate::script::{Say, Script, Stage, is};

/// The elements of a course: `-` passed over, `+` begun, `*` begun again, `>` resumed, `?` asked, `!` refused; brackets
/// around what depends on the elements before.
fn shown(course: &Course) -> String {
    let element = |one: &oxbatch_core::engine::PlannedElement| {
        let sign = match &one.action {
            PlannedAction::PassOver { .. } => '-',
            PlannedAction::Begin { again: false } => '+',
            PlannedAction::Begin { again: true } => '*',
            PlannedAction::Resume(_) => '>',
            PlannedAction::Decide => '?',
            PlannedAction::Refuse { .. } => '!',
            other => panic!("{other:?}"),
        };
        let text = format!("{sign}{}{}", one.name, if one.is_final { "@end" } else { "" });
        if one.is_certain { text } else { format!("({text})") }
    };
    course.elements.iter().map(element).collect::<Vec<_>>().join(" ")
}

fn restart(plan: &RestartPlan) -> String {
    plan.restart.as_ref().map_or_else(|reason| format!("refused: {reason}"), shown)
}

fn force(plan: &RestartPlan) -> String {
    plan.force.as_ref().map_or_else(|reason| format!("refused: {reason}"), shown)
}

async fn plan(stage: &Stage, id: i64) -> RestartPlan {
    stage.engine.restart_plan(ExecutionId(id)).await.unwrap()
}

#[tokio::test]
async fn a_plan_passes_over_what_is_complete_and_resumes_what_failed() {
    let stage = Stage::new(Script::default().says("B", [Say::Error]), |job, script| {
        job.step(script.step("A"))
            .step(script.step("Always").rerun_if_complete())
            .step(script.step("B"))
            .step(script.step("C"))
    })
    .await;
    assert_eq!(stage.run().await, is("A Always B", Status::Failed, "FAILED"));
    let failed = plan(&stage, 1).await;
    assert_eq!(restart(&failed), "-A *Always (>B) (+C)");
    assert_eq!(force(&failed), "+A (+Always) (+B) (+C)");
    assert_eq!(stage.run().await, is("Always B C", Status::Completed, "COMPLETED"));
    let done = plan(&stage, 2).await;
    assert_eq!(restart(&done), "refused: it has done all its work; launch with force to run it again");
    assert_eq!(force(&done), "+A (+Always) (+B) (+C)");
    let refused = stage.engine.restart(ExecutionId(2)).await.unwrap_err().to_string();
    assert!(refused.ends_with("it has done all its work; launch with force to run it again"), "{refused}");
    let before = plan(&stage, 1).await;
    assert_eq!(restart(&before), "refused: execution 2 of the same instance came after it");
    stage.launch_with("{}", true).await;
    assert_eq!(stage.script.take_ran(), "A Always B C");
    stage.close().await;
}

#[tokio::test]
async fn a_plan_of_a_flow_repeats_its_history_up_to_the_first_unfinished_element() {
    let script = Script::default().says("Load", [Say::Code("SKIPS")]).says("Review", [Say::Error]);
    let stage = Stage::new(script, |job, script| {
        job.step(script.step("Load"))
            .on("SKIPS")
            .to("Review")
            .then("Publish")
            .step(script.step("Review"))
            .step(script.step("Publish"))
            .decider("Day", |_: &DecisionFacts| Ok("SUNDAY"))
            .on("SUNDAY")
            .end_with("CLOSED")
            .step(script.step("Mail"))
            .finally(script.step("Report"))
    })
    .await;
    assert_eq!(stage.run().await, is("Load Review Report", Status::Failed, "FAILED"));
    let failed = plan(&stage, 1).await;
    assert_eq!(restart(&failed), "-Load >Review (+Publish) (?Day) (+Report@end)");
    let course = failed.restart.unwrap();
    assert_eq!(course.end, CourseEnd::Open { decider: "Day".to_owned() });
    let PlannedAction::PassOver { exit_code, execution_id, .. } = &course.elements[0].action else { panic!() };
    assert_eq!((exit_code.as_str(), *execution_id), ("SKIPS", Some(ExecutionId(1))));
    assert_eq!(shown(&failed.force.unwrap()), "+Load (+Publish) (?Day) (+Report@end)");
    assert_eq!(stage.run().await, is("Review Publish Report", Status::Completed, "CLOSED"));
    stage.close().await;
}

#[tokio::test]
async fn a_plan_behind_a_complete_main_part_runs_its_end_alone() {
    let script = Script::default().says("Report", [Say::Error]);
    let stage = Stage::new(script, |job, script| {
        job.step(script.step("A")).finally(script.step("Sweep")).finally(script.step("Report").start_limit(2))
    })
    .await;
    assert_eq!(stage.run().await.0, "A Sweep Report");
    assert_eq!(restart(&plan(&stage, 1).await), "-Sweep@end >Report@end");
    stage.script.then_says("Report", [Say::Error]);
    assert_eq!(stage.run().await.0, "Report");
    assert_eq!(restart(&plan(&stage, 2).await), "-Sweep@end !Report@end");
    stage.close().await;
}

#[tokio::test]
async fn a_plan_says_which_step_was_attempted_as_often_as_it_may_be() {
    let script = Script::default().says("A", [Say::Error]);
    let stage =
        Stage::new(script, |job, script| job.step(script.step("A").start_limit(1)).step(script.step("B"))).await;
    assert_eq!(stage.run().await.0, "A");
    let course = plan(&stage, 1).await.restart.unwrap();
    assert_eq!(shown(&course), "!A");
    let CourseEnd::Over { status: Status::Failed, message: Some(planned) } = course.end else { panic!("{course:?}") };
    let (ran, status, message) = stage.run_told().await;
    assert_eq!((ran.as_str(), status, message), ("", Status::Failed, planned));
    stage.close().await;
}

#[tokio::test]
async fn a_plan_names_the_place_in_the_input_at_which_a_step_goes_on() {
    let store = TestStore::new();
    let breaks = Arc::new(AtomicBool::new(true));
    let broken = Arc::clone(&breaks);
    let step = ChunkStep::builder("Load")
        .reader(|_| ListReader::new(0..100).numbered())
        .writer(move |_| {
            let broken = Arc::clone(&broken);
            FunctionWriter::new(move |items: &[(u64, i32)]| match items.iter().any(|item| item.1 == 42) {
                true if broken.load(Ordering::Relaxed) => Err(ItemError::other("no 42")),
                _ => Ok(()),
            })
        })
        .chunk_size(10);
    let job = Job::builder("Job").step(step).step(TaskStep::builder("Then", |_| Ok(()))).build().unwrap();
    let engine = store.node([job]).await;
    let given = GivenParameters::from_json(b"{}").unwrap();
    let first = engine.launch("Job", given.clone(), LaunchOptions::default()).await.unwrap().execution.id;
    assert_eq!(ended(&engine, first).await.status, Status::Failed);
    let plan = engine.restart_plan(first).await.unwrap();
    let course = plan.restart.as_ref().unwrap();
    assert_eq!(shown(course), ">Load (+Then)");
    let PlannedAction::Resume(ResumePoint { execution_id, attempts, items_read, place, has_state, .. }) =
        &course.elements[0].action
    else {
        panic!("{course:?}")
    };
    assert_eq!((*execution_id, *attempts, *items_read, *has_state), (first, 1, 40, true));
    assert_eq!(place.as_ref().unwrap().to_string(), "item 41");

    // The deed, under the plan's tag.
    breaks.store(false, Ordering::Relaxed);
    let second = engine.restart_as_planned(first, Some(&plan.tag), false).await.unwrap().execution.id;
    assert_eq!(ended(&engine, second).await.status, Status::Completed);
    let steps = engine.repository().steps(second).await.unwrap();
    assert_eq!((steps[0].counters.read, steps[1].step_name.as_str()), (60, "Then"));

    // Stale by now: refused, with the plan that holds.
    let stale = engine.restart_as_planned(first, Some(&plan.tag), false).await.unwrap_err();
    let OperatorError::StalePlan { plan: new, .. } = &stale else { panic!("{stale}") };
    assert_eq!(new.restart, Err("execution 2 of the same instance came after it".to_owned()));
    assert_ne!(new.tag, plan.tag);
    let executions = engine.repository().job_counts("Job").await.unwrap();
    assert_eq!(executions, [(Status::Failed, 1), (Status::Completed, 1)]);
    engine.shutdown().await;
}

#[tokio::test]
async fn of_operators_who_restart_by_the_same_plan_one_wins() {
    let stage = Stage::new(Script::default().says("A", [Say::Error]), |job, script| job.step(script.step("A"))).await;
    stage.run().await;
    let tag = plan(&stage, 1).await.tag;
    let restarts = (0..8).map(|_| stage.engine.restart_as_planned(ExecutionId(1), Some(&tag), false));
    let results = futures_util::future::join_all(restarts).await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 7));
    for lost in lost {
        let error = lost.unwrap_err();
        assert!(matches!(error, OperatorError::StalePlan { .. }), "{error}");
    }
    ended(&stage.engine, ExecutionId(2)).await;
    assert_eq!(stage.script.take_ran(), "A");
    stage.close().await;
}
