//! Cases of the definitions of jobs: which are stored with executions, and which launches are refused for them.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use std::time::Duration;

use super::Backend;
use super::fixture::{JOB, LONG, Process, admitted, launch_of, outcome};
use crate::execution::{EXIT_DEFINITION_CHANGED, Status, StatusEvent};
use crate::job::{Job, JobBuilder};
use crate::repository::{ExecutionOutcome, LaunchError, LaunchRequest, Launched, RunLimits};
use crate::step::TaskStep;

/// The fingerprint of a job with these steps.
fn of(steps: &[&str]) -> String {
    let step = |job: JobBuilder, name: &&str| job.step(TaskStep::builder(*name, |_| Ok(())));
    steps.iter().fold(Job::builder(JOB), step).build().unwrap().fingerprint().to_owned()
}

/// A launch of the instance 1 by a process that knows a definition.
fn launch_as(definition: &str) -> LaunchRequest {
    LaunchRequest { definition: Some(definition.to_owned()), ..launch_of(1) }
}

/// Launches and runs on this node: the first step is complete, the second one fails.
async fn run_and_fail(process: &Process, request: LaunchRequest) -> Launched {
    let claim = Some((process.node.clone(), LONG));
    let launched = process.launch(admitted(request, |admission| admission.claim = claim)).await.unwrap();
    let lease = launched.lease.unwrap();
    process.run_step(&lease, "A", StatusEvent::Complete).await;
    process.run_step(&lease, "B", StatusEvent::Fail).await;
    process.end(&lease, StatusEvent::Fail).await;
    launched
}

/// A restart under a definition that has changed in what was reached is refused with the difference, and leaves nothing
/// behind. Other changes, forced launches, and those of processes that do not know the job are none of its business.
pub async fn a_restart_under_a_changed_past_is_refused_until_the_change_is_accepted(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let first = run_and_fail(&process, launch_as(&of(&["A", "B", "C"]))).await;
    let without_a = of(&["B", "C"]);
    match process.launch(launch_as(&without_a)).await {
        Err(LaunchError::DefinitionChanged { execution_id, difference }) => {
            assert_eq!(execution_id, first.execution.id);
            assert_eq!(difference, "'A', which has ended, is gone");
        }
        other => panic!("{other:?}"),
    }
    for accepted in [
        launch_as(&of(&["A", "B", "D", "E"])),
        LaunchRequest { accept_changes: true, ..launch_as(&without_a) },
        launch_of(1),
        LaunchRequest { force: true, ..launch_as(&without_a) },
    ] {
        let launched = process.launch(accepted).await.unwrap();
        process.repository.request_stop(launched.execution.id).await.unwrap();
    }
}

/// An execution that no node has taken leaves the definition of before in force; one that was run under an accepted
/// change has its own.
pub async fn the_definition_of_the_last_execution_that_was_run_is_in_force(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let (first, second) = (of(&["A", "B"]), of(&["X", "B"]));
    let refused = async |definition: &str| match process.launch(launch_as(definition)).await {
        Err(LaunchError::DefinitionChanged { .. }) => true,
        Ok(launched) => {
            process.repository.request_stop(launched.execution.id).await.unwrap();
            false
        }
        Err(other) => panic!("{other}"),
    };
    run_and_fail(&process, launch_as(&first)).await;
    let waited = process.launch(LaunchRequest { accept_changes: true, ..launch_as(&second) }).await.unwrap();
    process.repository.request_stop(waited.execution.id).await.unwrap();
    // The acceptance was that of the launch alone, and nothing was run under it.
    assert!(!refused(&first).await);
    let claim = Some((process.node.clone(), LONG));
    let accepted = LaunchRequest { accept_changes: true, ..launch_as(&second) };
    let accepted = process.launch(admitted(accepted, |admission| admission.claim = claim)).await.unwrap();
    process.end(&accepted.lease.unwrap(), StatusEvent::Fail).await;
    assert!(!refused(&second).await, "it was run under this one");
}

/// The successor of a recovery and of a shutdown brings the definition of its past to the node that takes it. One that
/// is refused leaves it in force.
pub async fn what_resumes_by_itself_brings_the_definition_of_its_past(backend: &dyn Backend) {
    let (dead, process) = (Process::start(backend).await, Process::start(backend).await);
    let (old, new) = (of(&["A", "B"]), of(&["X", "B"]));
    process.launch(launch_as(&new)).await.unwrap();
    let claimed = dead.claim_as(&old, Duration::ZERO, RunLimits::default()).await.unwrap();
    assert_eq!(claimed.past_definition, None);
    dead.run_step(&claimed.lease, "A", StatusEvent::Complete).await;
    drop(dead);
    assert_eq!(process.recover().await.len(), 1);
    let claimed = process.claim_as(&old, LONG, RunLimits::default()).await.unwrap();
    assert_eq!(claimed.past_definition.as_deref(), Some(old.as_str()));
    process.repository.finish_execution(&claimed.lease, outcome(StatusEvent::Stop, true)).await.unwrap();
    assert_eq!(process.recover().await.len(), 1);
    let claimed = process.claim_as(&new, LONG, RunLimits::default()).await.unwrap();
    assert_eq!(claimed.past_definition.as_deref(), Some(old.as_str()));
    let exit_code = Some(EXIT_DEFINITION_CHANGED.to_owned());
    let refused = ExecutionOutcome { exit_code, ..outcome(StatusEvent::Stop, false) };
    let ended = process.repository.finish_execution(&claimed.lease, refused).await.unwrap();
    assert_eq!(ended.status, Status::Stopped);
    assert!(process.recover().await.is_empty());
    assert!(matches!(process.launch(launch_as(&new)).await, Err(LaunchError::DefinitionChanged { .. })));
    process.launch(launch_as(&old)).await.unwrap();
    let claimed = process.claim_as(&old, LONG, RunLimits::default()).await.unwrap();
    assert_eq!(claimed.past_definition.as_deref(), Some(old.as_str()));
}

/// Behind a complete execution there is nothing to resume.
pub async fn a_launch_behind_a_complete_execution_is_not_compared(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let claim = Some((process.node.clone(), LONG));
    let first = admitted(launch_as(&of(&["A", "B"])), |admission| admission.claim = claim);
    let lease = process.launch(first).await.unwrap().lease.unwrap();
    process.run_step(&lease, "A", StatusEvent::Complete).await;
    process.run_step(&lease, "B", StatusEvent::Complete).await;
    process.end(&lease, StatusEvent::Complete).await;
    process.launch(launch_as(&of(&["C"]))).await.unwrap();
    assert_eq!(process.claim_as("{}", LONG, RunLimits::default()).await.unwrap().past_definition, None);
}
