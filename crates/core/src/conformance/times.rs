//! Cases of times that the store takes by its own clock: the last change of a status, and running times.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Backend;
use super::fixture::{LONG, Process, admitted, launch_of, outcome, step_of, step_outcome};
use crate::execution::{JobExecution, MainResult, Status, StatusEvent};
use crate::repository::{Lease, StartedStep, StepStart};

/// A time that every clock notices.
const A_MOMENT: Duration = Duration::from_millis(3);

/// Waits until a moment has passed by every clock.
async fn later() {
    let start = Instant::now();
    while start.elapsed() < A_MOMENT {
        tokio::task::yield_now().await;
    }
}

/// Checks that a change of an execution has a later time than the one before, and is stored with it.
async fn check_change(process: &Process, before: Timestamp, changed: JobExecution) -> Timestamp {
    let stored = process.execution(changed.id).await;
    assert_eq!(stored, changed);
    assert!(stored.change_time > before, "{} {before} {}", stored.status, stored.change_time);
    later().await;
    stored.change_time
}

/// Each change of a status has the time of the store's clock, whatever the clock of the node says.
pub async fn mt_12_each_change_of_a_status_has_its_time(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let long_ago = admitted(launch_of(1), |admission| admission.time = Timestamp::UNIX_EPOCH);
    let launched = process.launch(long_ago).await.unwrap().execution;
    let mut time = check_change(&process, Timestamp::UNIX_EPOCH, launched).await;
    let claimed = process.claim(LONG).await.unwrap();
    time = check_change(&process, time, claimed.execution).await;
    let stopping = process.repository.request_stop(claimed.lease.execution_id()).await.unwrap();
    time = check_change(&process, time, stopping).await;
    let stopped = process.end(&claimed.lease, StatusEvent::Stop).await;
    time = check_change(&process, time, stopped.clone()).await;
    let abandoned = process.repository.abandon(stopped.id).await.unwrap();
    time = check_change(&process, time, abandoned).await;
    let waiting = process.launch(launch_of(2)).await.unwrap().execution;
    time = check_change(&process, time, waiting.clone()).await;
    let stopped = process.repository.request_stop(waiting.id).await.unwrap();
    time = check_change(&process, time, stopped).await;
    let lost = process.run(3, Duration::ZERO).await;
    time = check_change(&process, time, process.execution(lost.execution_id()).await).await;
    let other = Process::start(backend).await;
    let recovered = other.recover().await.remove(0);
    time = check_change(&process, time, recovered.lost).await;
    assert!(process.execution(recovered.successor.unwrap()).await.change_time + A_MOMENT * 100 > time);
}

async fn start_step(process: &Process, lease: &Lease) -> StartedStep {
    match process.repository.start_step(lease, step_of("Step")).await.unwrap() {
        StepStart::Run(started) => *started,
        other => unreachable!("{other:?}"),
    }
}

/// The running time of an execution and of its steps goes on in what resumes by itself. A launch by a person begins
/// anew.
pub async fn a_running_time_goes_on_in_what_resumes_by_itself_alone(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    process.launch(launch_of(1)).await.unwrap();
    let mut before = (Duration::ZERO, Duration::ZERO);
    for round in 0..3 {
        let claimed = process.claim(LONG).await.unwrap();
        let step = start_step(&process, &claimed.lease).await;
        assert!(claimed.running >= before.0 && step.running >= before.1, "{round} {claimed:?} {step:?}");
        later().await;
        let running = process.renew(&[claimed.lease]).await[0].running;
        assert!(running >= claimed.running + A_MOMENT / 2, "{round} {running:?} {claimed:?}");
        process.end_step(&step, StatusEvent::Stop).await;
        process.repository.finish_execution(&claimed.lease, outcome(StatusEvent::Stop, true)).await.unwrap();
        assert_eq!(process.recover().await.len(), 1);
        before = (running, step.running + A_MOMENT / 2);
    }
    let claimed = process.claim(LONG).await.unwrap();
    assert!(claimed.running >= before.0);
    process.end(&claimed.lease, StatusEvent::Stop).await;
    let again = process.run(1, LONG).await;
    assert_eq!(start_step(&process, &again).await.running, Duration::ZERO);
    assert!(process.renew(&[again]).await[0].running < before.0 + LONG);
    process.end(&again, StatusEvent::Fail).await;
    process.launch(launch_of(1)).await.unwrap();
    assert_eq!(process.claim(LONG).await.unwrap().running, Duration::ZERO);
}

/// A dead owner has run until its lease had run out at the latest: nobody knows of more.
pub async fn a_dead_owner_has_run_no_longer_than_its_lease(backend: &dyn Backend) {
    let (dead, keeper) = (Process::start(backend).await, Process::start(backend).await);
    let lease = dead.run(1, Duration::ZERO).await;
    start_step(&dead, &lease).await;
    drop(dead);
    later().await;
    let recovered = keeper.recover().await;
    assert_eq!(recovered[0].lost.status, Status::Failed);
    let claimed = keeper.claim(LONG).await.unwrap();
    assert_eq!(Some(claimed.execution.id), recovered[0].successor);
    assert_eq!(claimed.running, Duration::ZERO);
    assert_eq!(start_step(&keeper, &claimed.lease).await.running, Duration::ZERO);
}

/// The running time at which the main part came to its result is kept with it, for the limit of what follows.
pub async fn a_main_result_keeps_its_running_time(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let lease = process.run(1, LONG).await;
    let main = MainResult {
        execution_id: lease.execution_id(),
        status: Status::Completed,
        exit_code: Some("CODE".to_owned()),
        exit_message: None,
        running: Duration::from_micros(1_234_567),
    };
    process.repository.record_main_result(&lease, main.clone()).await.unwrap();
    process.end(&lease, StatusEvent::Fail).await;
    let next = process.run(1, LONG).await;
    let past = process.repository.flow_past(&next).await.unwrap();
    assert_eq!(past.previous.unwrap().main, Some(main));
    let step = start_step(&process, &next).await;
    process.repository.finish_step(&step.fence, step_outcome(StatusEvent::Complete)).await.unwrap();
}
