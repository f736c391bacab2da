//! Steps at the end of an execution: after which results, under which, and what a restart runs.

use oxbatch_core::FinallyWhen;
use oxbatch_core::Status::{Completed, Failed, Stopped};

use crate::script::{Say, Script, Stage, is};

#[tokio::test]
async fn the_steps_at_the_end_run_after_complete_and_failed_executions_each_time() {
    let stage = Stage::new(Script::default().says("A", [Say::Error]), |job, script| {
        job.step(script.step("A"))
            .finally(script.step("Report"))
            .finally_when(FinallyWhen::Failed, script.step("Alarm"))
            .finally_when(FinallyWhen::Completed, script.step("Praise"))
    })
    .await;
    assert_eq!(stage.run().await, is("A Report Alarm", Failed, "FAILED"));
    assert_eq!(stage.run().await, is("A Report Praise", Completed, "COMPLETED"));
    assert_eq!(stage.run().await, is("Report Praise", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn the_steps_at_the_end_do_not_run_after_a_stop() {
    let stage = Stage::new(Script::default().says("A", [Say::Code("WAIT")]), |job, script| {
        job.step(script.step("A")).on("WAIT").stop().step(script.step("B")).finally(script.step("Report"))
    })
    .await;
    assert_eq!(stage.run().await, is("A", Stopped, "STOPPED"));
    assert_eq!(stage.run().await, is("B Report", Completed, "COMPLETED"));
    stage.close().await;
}

#[tokio::test]
async fn a_failing_end_fails_a_complete_execution_and_a_restart_runs_the_end_alone() {
    let script = Script::default().says("A", [Say::Code("FINE")]).says("Report", [Say::Error]);
    let stage = Stage::new(script, |job, script| {
        job.step(script.step("A")).finally(script.step("Report")).finally(script.step("Sweep"))
    })
    .await;
    let (ran, status, message) = stage.run_told().await;
    assert_eq!((ran.as_str(), status), ("A Report Sweep", Failed));
    assert_eq!(message, "step 'Report' at the end failed: as scripted");
    assert_eq!(stage.run().await, is("Report", Completed, "FINE"));
    stage.close().await;
}

#[tokio::test]
async fn after_a_failure_the_first_reason_stays_first_and_a_restart_runs_the_main_part() {
    let script = Script::default().says("A", [Say::Fail("BROKEN")]).says("Report", [Say::Error]);
    let stage = Stage::new(script, |job, script| job.step(script.step("A")).finally(script.step("Report"))).await;
    let execution = stage.launch_with("{}", false).await;
    assert_eq!((execution.status, execution.exit_code.as_deref()), (Failed, Some("BROKEN")));
    assert_eq!(
        execution.exit_message.as_deref(),
        Some("step 'A' failed: as scripted; then step 'Report' at the end failed: as scripted")
    );
    assert_eq!(stage.script.take_ran(), "A Report");
    assert_eq!(stage.run().await, is("A Report", Completed, "COMPLETED"));
    stage.close().await;
}
