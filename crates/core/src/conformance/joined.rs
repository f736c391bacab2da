//! Cases of changes that are one commit: a claim with the begin of the first step, the end of the last step with that
//! of its execution.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use jiff::Timestamp;

use super::Backend;
use super::fixture::{JOB, LONG, OTHER_JOB, Process, changes, known, launch_of, outcome, step_of, step_outcome};
use crate::execution::{
    FlowEntry, JobExecution, MAX_CONTEXT_BYTES, Status, StatusEvent, StepExecution, StepExecutionId, Taken,
};
use crate::repository::{
    ClaimRequest, Claimed, FirstStep, FlowRecord, LastEnded, LastOutcome, LaunchRequest, Lease, RepositoryError,
    RunLimits, StartedStep, StepFence, StepOutcome,
};

/// A claim with a first step of [`JOB`], which may be attempted three times.
fn request(process: &Process, lease: Duration) -> ClaimRequest {
    let first = FirstStep { step_name: "Step".to_owned(), rerun_if_complete: false, start_limit: Some(3) };
    let jobs = known([JOB, OTHER_JOB], "{}").with_first_steps([(JOB.to_owned(), first)]);
    ClaimRequest {
        node: process.node.clone(),
        lease,
        jobs: Arc::new(jobs),
        limits: RunLimits::default(),
        time: Timestamp::now(),
        only: None,
    }
}

/// Launches the instance `key` and claims it.
async fn claim(process: &Process, key: i64) -> Claimed {
    process.launch(launch_of(key)).await.unwrap();
    process.repository.claim(request(process, LONG)).await.unwrap().unwrap()
}

async fn begin(process: &Process, key: i64) -> (Lease, StartedStep) {
    let claimed = claim(process, key).await;
    (claimed.lease, *claimed.begun.unwrap())
}

async fn steps(process: &Process, lease: &Lease) -> Vec<StepExecution> {
    process.repository.steps(lease.execution_id()).await.unwrap()
}

fn ends(event: StatusEvent) -> LastOutcome {
    LastOutcome { step: step_outcome(event), execution: outcome(event, false) }
}

async fn end(process: &Process, fence: &StepFence, outcome: LastOutcome) -> Result<LastEnded, RepositoryError> {
    process.repository.finish_last_step(fence, outcome).await
}

/// The claim begins the step as if it had been asked for by itself: with the state and the context of the last attempt.
pub async fn a_claim_begins_the_first_step_that_its_node_names(backend: &dyn Backend) {
    const STATE: &str = r#"{"v":2,"reader":{"byte":17}}"#;
    const CONTEXT: &str = r#"{"name":"Möwe"}"#;
    let process = Process::start(backend).await;
    let (lease, step) = begin(&process, 1).await;
    assert_eq!(step.fence.lease, lease);
    assert_eq!((step.state.as_deref(), step.job_context.as_deref()), (None, None));
    let rows = steps(&process, &lease).await;
    let execution = process.execution(lease.execution_id()).await;
    assert_eq!((rows.len(), rows[0].id, rows[0].status), (1, step.fence.step_id, Status::Started));
    assert_eq!((rows[0].step_name.as_str(), Some(rows[0].start_time)), ("Step", execution.start_time));
    let last = StepOutcome {
        state: Some(STATE.to_owned()),
        job_context: Some(changes("{}", CONTEXT)),
        ..step_outcome(StatusEvent::Fail)
    };
    end(&process, &step.fence, LastOutcome { step: last, ..ends(StatusEvent::Fail) }).await.unwrap();
    let (_, again) = begin(&process, 1).await;
    assert_eq!((again.state.as_deref(), again.job_context.as_deref()), (Some(STATE), Some(CONTEXT)));
    let other = LaunchRequest { job_name: OTHER_JOB.to_owned(), ..launch_of(1) };
    process.launch(other).await.unwrap();
    let other = process.repository.claim(request(&process, LONG)).await.unwrap().unwrap();
    assert_eq!((other.begun, steps(&process, &other.lease).await.len()), (None, 0));
}

/// A step that is complete, or was attempted as often as it may be, is left for the node to ask for.
pub async fn a_claim_begins_no_step_that_does_not_run(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let (_, step) = begin(&process, 1).await;
    end(&process, &step.fence, ends(StatusEvent::Complete)).await.unwrap();
    for _ in 0..3 {
        let (_, step) = begin(&process, 2).await;
        end(&process, &step.fence, ends(StatusEvent::Fail)).await.unwrap();
    }
    for key in [1, 2] {
        let claimed = claim(&process, key).await;
        assert_eq!((claimed.begun, steps(&process, &claimed.lease).await.len()), (None, 0), "{key}");
        let asked = process.repository.start_step(&claimed.lease, step_of("Step")).await;
        assert!(asked.is_ok(), "it runs: {asked:?}");
    }
}

/// The past of an execution that resumes by itself is looked at by its node first.
pub async fn a_claim_begins_no_step_of_what_resumes_by_itself(backend: &dyn Backend) {
    let (dead, process) = (Process::start(backend).await, Process::start(backend).await);
    dead.launch(launch_of(1)).await.unwrap();
    let lost = dead.repository.claim(request(&dead, Duration::ZERO)).await.unwrap().unwrap();
    assert!(lost.begun.is_some());
    drop(dead);
    let recovered = process.recover().await;
    assert_eq!(recovered.len(), 1);
    let rows = process.repository.steps(recovered[0].lost.id).await.unwrap();
    assert_eq!((rows.len(), rows[0].status), (1, Status::Failed), "the step that was begun has ended");
    let mut changed = request(&process, LONG);
    let first = FirstStep { step_name: "Step".to_owned(), rerun_if_complete: false, start_limit: None };
    changed.jobs = Arc::new(known([JOB], r#"{"changed":1}"#).with_first_steps([(JOB.to_owned(), first)]));
    let next = process.repository.claim(changed).await.unwrap().unwrap();
    assert_eq!(Some(next.execution.id), recovered[0].successor);
    assert_eq!((next.begun, steps(&process, &next.lease).await.len()), (None, 0));
}

/// Claims for several slots at once begin one step for each execution, and no more than the limit lets run.
pub async fn of_racing_claims_each_begins_the_step_of_its_own_execution(backend: &dyn Backend) {
    let processes = [Process::start(backend).await, Process::start(backend).await];
    for key in 1..=8 {
        processes[0].launch(launch_of(key)).await.unwrap();
    }
    let limits = RunLimits { total: Some(5), ..RunLimits::default() };
    let claims = (0..8).map(|number| {
        let process = &processes[number % 2];
        process.repository.claim(ClaimRequest { limits: limits.clone(), ..request(process, LONG) })
    });
    let claimed: Vec<Claimed> = join_all(claims).await.into_iter().filter_map(|claimed| claimed.unwrap()).collect();
    // One that found the foremost row locked may have been given nothing.
    assert!(!claimed.is_empty() && claimed.len() <= 5, "{}", claimed.len());
    for Claimed { lease, begun, .. } in &claimed {
        let ids: Vec<StepExecutionId> = steps(&processes[0], lease).await.iter().map(|step| step.id).collect();
        assert_eq!(ids, [begun.as_ref().unwrap().fence.step_id]);
    }
}

/// An entry of the flow history for the end of a step.
fn record(lease: &Lease, step: &StartedStep) -> FlowRecord {
    let entry = FlowEntry {
        position: 0,
        element: "Step".to_owned(),
        iteration: 1,
        execution_id: lease.execution_id(),
        step_id: Some(step.fence.step_id),
        status: Status::Completed,
        exit_code: "COMPLETED".to_owned(),
        taken: Taken::End { exit_code: None },
    };
    FlowRecord { entry, discards_later: false }
}

/// The rows are those of two ends, one after the other.
pub async fn a_last_step_ends_with_its_execution(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let time = Timestamp::from_second(1_700_000_000).unwrap();
    let mut seen: Vec<(StepExecution, JobExecution)> = Vec::new();
    for (key, joined) in [(1, true), (2, false)] {
        let (lease, step) = begin(&process, key).await;
        let of_step = StepOutcome {
            exit_code: Some("CODE".to_owned()),
            exit_message: Some("why".to_owned()),
            job_context: Some(changes("{}", r#"{"end":true}"#)),
            flow: Some(record(&lease, &step)),
            time,
            ..step_outcome(StatusEvent::Complete)
        };
        let mut of_execution = outcome(StatusEvent::Complete, false);
        (of_execution.exit_code, of_execution.time) = (Some("JOB".to_owned()), time);
        let (step, execution) = if joined {
            let outcome = LastOutcome { step: of_step, execution: of_execution };
            let ended = end(&process, &step.fence, outcome).await.unwrap();
            (ended.step, ended.execution.unwrap())
        } else {
            let ended = process.repository.finish_step(&step.fence, of_step).await.unwrap();
            (ended, process.repository.finish_execution(&lease, of_execution).await.unwrap())
        };
        assert_eq!(steps(&process, &lease).await, std::slice::from_ref(&step));
        assert_eq!(process.execution(execution.id).await, execution);
        assert!(process.renew(&[lease]).await.is_empty(), "the lease is given back");
        let contexts = process.repository.contexts(execution.id, Vec::new()).await.unwrap();
        assert_eq!(contexts.job.unwrap().get::<bool>("end").unwrap(), Some(true));
        assert_eq!(process.repository.flow_history(execution.id).await.unwrap().len(), 1);
        seen.push((step, execution));
    }
    let facts = |(step, execution): &(StepExecution, JobExecution)| {
        let of_step = (step.status, step.end_time, step.exit_code.clone(), step.exit_message.clone());
        (of_step, execution.status, execution.end_time, execution.exit_code.clone(), execution.exit_message.clone())
    };
    assert_eq!(facts(&seen[0]), facts(&seen[1]));
    process.launch(launch_of(1)).await.unwrap();
}

/// A process that was taken for dead ends neither of them.
pub async fn a_zombie_ends_neither_its_last_step_nor_the_execution(backend: &dyn Backend) {
    let (zombie, other) = (Process::start(backend).await, Process::start(backend).await);
    let lease = zombie.run(1, Duration::ZERO).await;
    let step = zombie.start_step(&lease, "Step").await;
    let recovered = other.recover().await;
    assert_eq!(recovered.len(), 1);
    let before = (steps(&other, &lease).await, other.execution(lease.execution_id()).await);
    let refused = end(&zombie, &step.fence, ends(StatusEvent::Complete)).await;
    assert!(matches!(refused, Err(RepositoryError::LeaseLost { .. })), "{refused:?}");
    assert_eq!((steps(&other, &lease).await, other.execution(lease.execution_id()).await), before);
    // Nor is an end recorded twice.
    let lease = zombie.run(2, LONG).await;
    let step = zombie.start_step(&lease, "Step").await;
    let ended = end(&zombie, &step.fence, ends(StatusEvent::Complete)).await.unwrap();
    let refused = end(&zombie, &step.fence, ends(StatusEvent::Fail)).await;
    assert!(matches!(refused, Err(RepositoryError::LeaseLost { .. })), "{refused:?}");
    assert_eq!(Some(other.execution(lease.execution_id()).await), ended.execution);
}

/// An end that is refused leaves both running, and what was saved before.
pub async fn a_last_end_that_is_refused_changes_neither(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let (lease, step) = begin(&process, 1).await;
    let before = (steps(&process, &lease).await, process.execution(lease.execution_id()).await);
    let too_much = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_CONTEXT_BYTES));
    let of_step = StepOutcome {
        job_context: Some(changes("{}", &too_much)),
        flow: Some(record(&lease, &step)),
        ..step_outcome(StatusEvent::Complete)
    };
    let no_end = outcome(StatusEvent::Start, false);
    for refused in [
        LastOutcome { step: of_step, ..ends(StatusEvent::Complete) },
        LastOutcome { execution: no_end, ..ends(StatusEvent::Complete) },
    ] {
        end(&process, &step.fence, refused).await.unwrap_err();
        assert_eq!((steps(&process, &lease).await, process.execution(lease.execution_id()).await), before);
        assert!(process.repository.flow_history(lease.execution_id()).await.unwrap().is_empty());
    }
    end(&process, &step.fence, ends(StatusEvent::Complete)).await.unwrap();
}

/// A stop comes before the end, or is told that there is nothing to stop; neither waits for the other for ever.
pub async fn a_stop_and_a_last_end_come_one_behind_the_other(backend: &dyn Backend) {
    let (process, person) = (Process::start(backend).await, Process::start(backend).await);
    for key in 1..=20 {
        let (lease, step) = begin(&process, key).await;
        let id = lease.execution_id();
        let (ended, asked) =
            join(end(&process, &step.fence, ends(StatusEvent::Complete)), person.repository.request_stop(id)).await;
        let ended = ended.unwrap();
        assert_eq!(ended.step.status, Status::Completed);
        assert_eq!(ended.execution.unwrap().status, Status::Completed);
        match asked {
            Ok(asked) => assert_eq!(asked.status, Status::Stopping),
            Err(RepositoryError::Refused { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        assert_eq!(process.execution(id).await.status, Status::Completed);
    }
}
