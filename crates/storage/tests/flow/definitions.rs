//! Definitions that change between executions: what is refused, what is accepted, and what waits for a person.

use jiff::Timestamp;
use oxbatch_core::Status::{Completed, Failed, Stopped};
use oxbatch_core::engine::{LaunchOptions, OperatorError};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::job::GivenParameters;
use oxbatch_core::notice::{NoticeChannel, NoticeKind};
use oxbatch_core::repository::{LaunchError, Node, PageRequest, ServiceChannels};
use oxbatch_core::{JobBuilder, StepContext, TaskStep};

use crate::harness::{begin, ended, until_step};
use crate::script::{Say, Script, Stage, is};

fn first(job: JobBuilder, script: &Script) -> JobBuilder {
    job.decider("Way", |_| Ok("LONG"))
        .on("LONG")
        .to("A")
        .step(script.step("Short"))
        .then_end()
        .step(script.step("A"))
        .step(script.step("B"))
        .step(script.step("C"))
}

fn without_the_way(job: JobBuilder, script: &Script) -> JobBuilder {
    job.step(script.step("Short")).step(script.step("A")).step(script.step("B")).step(script.step("D"))
}

async fn refusal(stage: &Stage) -> String {
    let launched = stage.engine.launch("Job", GivenParameters::default(), LaunchOptions::default()).await;
    match launched {
        Err(OperatorError::Launch(error @ LaunchError::DefinitionChanged { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn sd_28_a_restart_under_a_changed_past_is_refused_with_the_difference() {
    let stage = Stage::new(Script::default().says("B", [Say::Error]), first).await;
    assert_eq!(stage.run().await, is("A B", Failed, "FAILED"));
    let stage = stage.with_job(without_the_way).await;
    let refused = refusal(&stage).await;
    assert!(refused.contains("'Way', which has ended, is gone"), "{refused}");
    assert!(refused.contains("--accept-changes"), "{refused}");
    let restarted = stage.engine.restart(ExecutionId(1)).await;
    assert!(matches!(restarted, Err(OperatorError::Launch(LaunchError::DefinitionChanged { .. }))), "{restarted:?}");
    let accepted = stage.engine.restart_accepting_changes(ExecutionId(1)).await.unwrap().execution.id;
    assert_eq!(ended(&stage.engine, accepted).await.status, Completed);
    assert_eq!(stage.script.take_ran(), "Short B D", "what is complete is passed over");
    stage.close().await;
}

#[tokio::test]
async fn what_was_not_reached_may_change() {
    let stage = Stage::new(Script::default().says("B", [Say::Error]), first).await;
    assert_eq!(stage.run().await, is("A B", Failed, "FAILED"));
    let stage = stage
        .with_job(|job, script| {
            job.decider("Way", |_| Ok("LONG"))
                .on("LONG")
                .to("A")
                .on("SHORT")
                .end()
                .step(script.step("A"))
                .step(script.step("B"))
                .step(script.step("New"))
                .step(script.step("C"))
        })
        .await;
    assert_eq!(stage.run().await, is("B New C", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn a_version_stands_for_code_that_no_fingerprint_sees() {
    let stage = Stage::new(Script::default().says("B", [Say::Error]), |job, script| {
        job.decider("Way", |_| Ok("GO")).decider_version(1).step(script.step("A")).step(script.step("B").version(4))
    })
    .await;
    assert_eq!(stage.run().await, is("A B", Failed, "FAILED"));
    let stage = stage
        .with_job(|job, script| {
            job.decider("Way", |_| Ok("GO")).decider_version(2).step(script.step("A")).step(script.step("B").version(5))
        })
        .await;
    let refused = refusal(&stage).await;
    assert!(refused.contains("the version of 'Way' was 1 and is 2; the version of 'B' was 4 and is 5"), "{refused}");
    let forced = stage.launch_with("{}", true).await;
    assert_eq!((forced.status, stage.script.take_ran().as_str()), (Completed, "A B"));
    stage.close().await;
}

/// An execution that resumes by itself asks nobody: it waits for a person, and nothing of it has run.
#[tokio::test]
async fn what_would_resume_by_itself_waits_for_a_person_where_its_past_has_changed() {
    let waits = |job: JobBuilder, script: &Script| {
        let script = script.clone();
        let slow = TaskStep::builder_async("Slow", move |context: StepContext| {
            let waits = script.next("Slow").is_some();
            async move {
                if waits {
                    context.stopping().await;
                    context.check_stop()?;
                }
                Ok::<_, oxbatch_core::item::BoxError>(())
            }
        });
        job.step(slow)
    };
    let with_a = move |job: JobBuilder, script: &Script| waits(job.step(script.step("A")), script);
    let with_x = move |job: JobBuilder, script: &Script| {
        waits(job.step(script.step("X")), script).finally(script.step("Report"))
    };
    let stage = Stage::new(Script::default().says("Slow", [Say::Error]), with_a).await;
    let ops = NoticeChannel { name: "ops".to_owned(), kinds: vec![NoticeKind::Failed], skips_over: None };
    let of = ServiceChannels { node: Node::new("ops"), confirm_time: Timestamp::UNIX_EPOCH, channels: vec![ops] };
    stage.engine.repository().set_notice_channels(of, Vec::new()).await.unwrap();
    let id = begin(&stage.engine, "Job").await;
    until_step(&stage.engine, id, |step| step.step_name == "Slow").await;
    stage.engine.shutdown().await;
    stage.script.take_ran();
    let stage = stage.with_job(with_x).await;
    let execution = ended(&stage.engine, ExecutionId(2)).await;
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Stopped, Some("DEFINITION_CHANGED")));
    let message = execution.exit_message.unwrap();
    assert!(message.starts_with("waits: definition changed: 'A', which has ended, is gone"), "{message}");
    assert_eq!(stage.script.take_ran(), "", "nothing of it has run");
    let page = PageRequest { before: None, limit: 10 };
    let notices = stage.engine.repository().notices(None, page).await.unwrap().notices;
    let [notice] = &notices[..] else { panic!("{notices:?}") };
    assert_eq!((notice.kind, notice.execution_id), (NoticeKind::Failed, Some(execution.id)));
    assert!(notice.message.starts_with("execution 2 of job 'Job' waits: definition changed: 'A'"), "{notice:?}");
    refusal(&stage).await;
    // With the definition of before it goes on as if nothing had been.
    let stage = stage.with_job(with_a).await;
    assert_eq!(stage.run().await, is("Slow", Completed, "COMPLETED"));
    stage.close().await;
}
