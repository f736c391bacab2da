//! Cases of retention: what a purge removes, what it keeps, and how it goes on from batch to batch.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use jiff::Timestamp;

use super::Backend;
use super::fixture::{LONG, Process, step_of};
use super::reading::all;
use crate::execution::{Status, StatusEvent};
use crate::repository::{ExecutionFilter, InstanceFilter, PageRequest, PurgeRequest, StepStart};

fn everything() -> PurgeRequest {
    PurgeRequest { batch: 100, ..PurgeRequest::default() }
}

/// Makes all batches of a purge: how many executions and instances went, and in how many batches.
async fn purge(process: &Process, mut request: PurgeRequest) -> (i64, i64, usize) {
    let (mut executions, mut instances, mut batches) = (0, 0, 0);
    loop {
        let report = process.repository.purge(request.clone()).await.unwrap();
        executions += report.executions;
        instances += report.instances;
        batches += 1;
        if report.next.is_none() {
            return (executions, instances, batches);
        }
        request.after = report.next;
    }
}

/// Neither what runs nor the last execution of a restartable instance goes, unless told so.
pub async fn a_purge_keeps_what_runs_and_what_can_be_restarted(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let mut ids = Vec::new();
    for (key, event) in [(1, StatusEvent::Complete), (2, StatusEvent::Fail), (3, StatusEvent::Complete)] {
        let lease = process.run(key, LONG).await;
        process.run_step(&lease, "Step", event).await;
        process.end(&lease, event).await;
        ids.push(lease.execution_id());
    }
    ids.push(process.run(4, LONG).await.execution_id());
    let left = || async {
        let mut left = all(&process, &ExecutionFilter::default(), 10).await;
        left.reverse();
        left
    };
    let nothing = PurgeRequest { ended_before: Some(Timestamp::UNIX_EPOCH), ..everything() };
    assert_eq!(process.repository.purge(nothing).await.unwrap().executions, 0);
    let newest = PurgeRequest { keep_per_job: Some(1), ..everything() };
    process.repository.purge(newest).await.unwrap();
    assert_eq!(left().await, ids[1..]);
    process.repository.purge(everything()).await.unwrap();
    assert_eq!(left().await, [ids[1], ids[3]]);
    let stopped = PurgeRequest { statuses: vec![Status::Stopped], include_restartable: true, ..everything() };
    assert_eq!(process.repository.purge(stopped).await.unwrap().executions, 0);
    process.repository.purge(PurgeRequest { include_restartable: true, ..everything() }).await.unwrap();
    assert_eq!(left().await, ids[3..]);
    let page = PageRequest { before: None, limit: 10 };
    assert_eq!(process.repository.instances(InstanceFilter::default(), page).await.unwrap().instances.len(), 1);
    assert!(process.repository.steps(ids[1]).await.unwrap().is_empty());
}

/// An execution that a later one would resume from stays with it.
pub async fn a_purge_keeps_the_steps_that_a_later_execution_relies_on(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let first = process.run(1, LONG).await;
    process.run_step(&first, "One", StatusEvent::Complete).await;
    process.run_step(&first, "Two", StatusEvent::Fail).await;
    process.end(&first, StatusEvent::Fail).await;
    let second = process.run(1, LONG).await;
    process.run_step(&second, "Two", StatusEvent::Fail).await;
    process.end(&second, StatusEvent::Fail).await;
    assert_eq!(process.repository.purge(everything()).await.unwrap().executions, 0);
    let third = process.run(1, LONG).await;
    let one = process.repository.start_step(&third, step_of("One")).await.unwrap();
    assert!(matches!(one, StepStart::AlreadyComplete(_)), "{one:?}");
    process.run_step(&third, "Two", StatusEvent::Complete).await;
    process.end(&third, StatusEvent::Complete).await;
    assert_eq!(purge(&process, PurgeRequest { batch: 1, ..everything() }).await.0, 3);
    assert!(all(&process, &ExecutionFilter::default(), 10).await.is_empty());
}

/// The dry run of a purge tells what its batches remove together, and changes nothing.
pub async fn a_dry_run_counts_what_a_purge_removes(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    for key in 0..7 {
        let lease = process.run(key, LONG).await;
        process.end(&lease, if key % 3 == 0 { StatusEvent::Fail } else { StatusEvent::Complete }).await;
    }
    let promised = process.repository.purge(PurgeRequest { dry_run: true, ..everything() }).await.unwrap();
    assert_eq!((promised.executions, promised.instances), (4, 4));
    let (executions, instances, _) = purge(&process, PurgeRequest { batch: 3, ..everything() }).await;
    assert_eq!((executions, instances), (4, 4));
}

/// Executions after a failure do not go alone: the failure would become the last, and finished work would run again.
pub async fn a_purge_by_status_never_makes_an_earlier_execution_the_last(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    for event in [StatusEvent::Fail, StatusEvent::Complete] {
        let lease = process.run(1, LONG).await;
        process.run_step(&lease, "Step", event).await;
        process.end(&lease, event).await;
    }
    let completed = PurgeRequest { statuses: vec![Status::Completed], ..everything() };
    assert_eq!(process.repository.purge(completed).await.unwrap().executions, 0);
    let again = process.run(1, LONG).await;
    let start = process.repository.start_step(&again, step_of("Step")).await.unwrap();
    assert!(matches!(start, StepStart::AlreadyComplete(_)), "{start:?}");
}

/// Executions that stay at the front keep no batch busy: each batch reads as many as it was asked for, and goes on
/// behind them.
pub async fn a_purge_goes_on_behind_what_it_keeps(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    for key in 0..12 {
        let lease = process.run(key, LONG).await;
        process.end(&lease, if key < 6 { StatusEvent::Fail } else { StatusEvent::Complete }).await;
    }
    let request = PurgeRequest { batch: 3, ..everything() };
    let first = process.repository.purge(request.clone()).await.unwrap();
    assert_eq!(first.executions, 0);
    let second = process.repository.purge(PurgeRequest { after: first.next, ..request.clone() }).await.unwrap();
    let third = process.repository.purge(PurgeRequest { after: second.next, ..request }).await.unwrap();
    assert_eq!((second.executions, third.executions), (0, 3));
    let (executions, instances, batches) = purge(&process, PurgeRequest { batch: 3, ..everything() }).await;
    assert_eq!((executions, instances), (3, 3));
    assert!(batches <= 4, "{batches}");
}

/// An instance with more executions than a batch goes in several, and until its last one has gone the steps that a
/// launch would look up are there.
pub async fn a_long_history_of_one_instance_goes_in_batches(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let first = process.run(1, LONG).await;
    process.run_step(&first, "Once", StatusEvent::Complete).await;
    process.end(&first, StatusEvent::Complete).await;
    for _ in 0..150 {
        let lease = process.run(1, LONG).await;
        process.end(&lease, StatusEvent::Complete).await;
    }
    let mut request = PurgeRequest { batch: 1, ..everything() };
    let keep = purge(&process, PurgeRequest { keep_per_job: Some(10), dry_run: true, ..request.clone() }).await;
    assert_eq!((keep.0, keep.1), (140, 0));
    let dry = purge(&process, PurgeRequest { dry_run: true, ..request.clone() }).await;
    assert_eq!((dry.0, dry.1), (151, 1));
    let mut counts = Vec::new();
    loop {
        let report = process.repository.purge(request.clone()).await.unwrap();
        counts.push(report.executions);
        let left = all(&process, &ExecutionFilter::default(), 200).await;
        if left.is_empty() {
            break;
        }
        assert_eq!(process.repository.steps(first.execution_id()).await.unwrap().len(), 1, "{counts:?}");
        request.after = Some(report.next.unwrap());
    }
    assert!(counts.len() >= 3 && counts.iter().sum::<i64>() == 151, "{counts:?}");
    let page = PageRequest { before: None, limit: 10 };
    assert!(process.repository.instances(InstanceFilter::default(), page).await.unwrap().instances.is_empty());
}
