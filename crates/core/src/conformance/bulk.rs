//! Cases of bulk work: one node works on it, it goes on where it was, and two of the same do not run at once.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use std::time::Duration;

use jiff::Timestamp;

use super::Backend;
use super::fixture::{JOB, LONG, Process};
use crate::execution::{ExecutionId, Status, StatusEvent};
use crate::repository::{
    BegunBulk, Bulk, BulkAction, BulkId, BulkOutcome, BulkResult, BulkState, ExecutionFilter, FoundCount, NewBulk,
    PageRequest,
};

fn failed() -> ExecutionFilter {
    ExecutionFilter {
        job_name: Some(JOB.to_owned()),
        statuses: vec![Status::Stopped, Status::Failed],
        from: Some(Timestamp::UNIX_EPOCH),
        ..ExecutionFilter::default()
    }
}

async fn create(process: &Process, filter: ExecutionFilter) -> BegunBulk {
    let new = NewBulk { action: BulkAction::Restart, filter, time: Timestamp::now() };
    process.repository.create_bulk(new).await.unwrap()
}

async fn begin(process: &Process) -> BulkId {
    match create(process, failed()).await {
        BegunBulk::Begun(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn shown(process: &Process, id: BulkId) -> Bulk {
    process.repository.bulks(Some(id)).await.unwrap().remove(0)
}

async fn claim(process: &Process, owner: &str, keep: Duration) -> Option<Bulk> {
    process.repository.claim_bulk(owner.to_owned(), keep).await.unwrap()
}

async fn record(process: &Process, id: BulkId, owner: &str, result: Option<BulkResult>) -> bool {
    process.repository.record_bulk(id, owner.to_owned(), result, Timestamp::now()).await.unwrap()
}

fn result(execution_id: ExecutionId, outcome: BulkOutcome) -> BulkResult {
    let message = (outcome == BulkOutcome::LeftOut).then(|| "it is COMPLETED".to_owned());
    let new_execution_id = (outcome == BulkOutcome::Done).then_some(ExecutionId(99));
    BulkResult { execution_id, outcome, message, new_execution_id }
}

/// A bulk takes what there was when it began, is worked on by one node, and another goes on where that one was.
pub async fn a_bulk_is_worked_on_by_one_and_goes_on_where_it_was(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let mut ids = Vec::new();
    for key in 1..=2 {
        let lease = process.run(key, LONG).await;
        process.end(&lease, StatusEvent::Fail).await;
        ids.push(lease.execution_id());
    }
    assert_eq!(claim(&process, "one", LONG).await, None);
    let id = begin(&process).await;
    let begun = claim(&process, "one", LONG).await.unwrap();
    assert_eq!((begun.id, begun.before, begun.state), (id, ids[1].0 + 1, BulkState::Running));
    // In the order of their names.
    let filter = ExecutionFilter { statuses: vec![Status::Failed, Status::Stopped], ..failed() };
    assert_eq!(begun.filter, filter);
    assert_eq!(claim(&process, "two", LONG).await, None);
    assert!(!record(&process, id, "two", Some(result(ids[1], BulkOutcome::Done))).await);
    assert!(record(&process, id, "one", Some(result(ids[1], BulkOutcome::Done))).await);
    // Its own is taken again at once; one whose time is over by another.
    assert!(claim(&process, "one", Duration::ZERO).await.is_some());
    let taken = loop {
        if let Some(taken) = claim(&process, "two", LONG).await {
            break taken;
        }
    };
    assert_eq!((taken.before, taken.done), (ids[1].0, 1));
    assert!(record(&process, id, "two", Some(result(ids[0], BulkOutcome::LeftOut))).await);
    assert!(!record(&process, id, "one", None).await);
    assert!(record(&process, id, "two", None).await);
    let ended = shown(&process, id).await;
    assert_eq!((ended.state, ended.done, ended.left_out, ended.end_time.is_some()), (BulkState::Ended, 1, 1, true));
    let page = |before, limit| process.repository.bulk_results(id, PageRequest { before, limit });
    let first = page(None, 1).await.unwrap();
    assert_eq!((first.results, first.next), (vec![result(ids[1], BulkOutcome::Done)], Some(ids[1].0)));
    let second = page(Some(ids[1].0), 1).await.unwrap();
    assert_eq!((second.results, second.next), (vec![result(ids[0], BulkOutcome::LeftOut)], None));
    assert_eq!(claim(&process, "one", LONG).await, None);
}

/// Of two operators at one button one wins; a cancelled bulk goes no further.
pub async fn the_same_bulk_runs_once_until_it_is_cancelled(backend: &dyn Backend) {
    let (process, other) = (Process::start(backend).await, Process::start(backend).await);
    let id = begin(&process).await;
    // The order of the statuses makes no other filter.
    let same = ExecutionFilter { statuses: vec![Status::Failed, Status::Stopped, Status::Failed], ..failed() };
    assert_eq!(create(&other, same).await, BegunBulk::Running(id));
    let another = create(&other, ExecutionFilter { job_name: None, ..failed() }).await;
    assert!(matches!(another, BegunBulk::Begun(other) if other != id));
    assert!(claim(&process, "one", LONG).await.is_some());
    assert!(other.repository.cancel_bulk(id, Timestamp::now()).await.unwrap());
    assert!(!other.repository.cancel_bulk(id, Timestamp::now()).await.unwrap());
    assert!(!record(&process, id, "one", Some(result(ExecutionId(1), BulkOutcome::Done))).await);
    assert_eq!(shown(&process, id).await.state, BulkState::Cancelled);
    assert!(matches!(create(&other, failed()).await, BegunBulk::Begun(_)));
}

/// The last executions of instances are found in the order of the question.
pub async fn the_last_executions_of_instances_are_found_together(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let first = process.run(1, LONG).await;
    process.end(&first, StatusEvent::Fail).await;
    let second = process.run(2, LONG).await;
    let again = process.run(1, LONG).await;
    let mut instances = Vec::new();
    for lease in [&second, &first] {
        instances.push(process.execution(lease.execution_id()).await.instance_id);
    }
    instances.push(crate::execution::InstanceId(i64::MAX));
    let last = process.repository.last_executions(instances).await.unwrap();
    assert_eq!(last, [Some(second.execution_id()), Some(again.execution_id()), None]);
}

/// The number of executions by status, apart for those that are not the last of their instances, from pages of a size.
async fn counted(process: &Process, filter: &ExecutionFilter, limit: u32) -> Vec<(Status, bool, usize)> {
    let (mut before, mut all) = (None, Vec::<(Status, bool, usize)>::new());
    loop {
        let page = process.repository.count_found(filter.clone(), PageRequest { before, limit }).await.unwrap();
        let on_page: usize = page.counts.iter().map(|found| found.count).sum();
        assert!(on_page <= limit as usize);
        for FoundCount { status, later, count } in page.counts {
            match all.iter_mut().find(|(known, has_later, _)| (*known, *has_later) == (status, later.is_some())) {
                Some((_, _, known)) => *known += count,
                None => all.push((status, later.is_some(), count)),
            }
        }
        before = page.next;
        if before.is_none() {
            all.sort_unstable();
            return all;
        }
    }
}

/// Each filter is counted as it is listed, whatever the size of the page; ids name those that there are.
pub async fn what_a_filter_finds_is_counted_as_it_is_listed(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let mut ids = Vec::new();
    // Two attempts of the first, one of the second and of the third.
    for (key, event) in [(1, StatusEvent::Fail), (2, StatusEvent::Stop), (1, StatusEvent::Fail), (3, StatusEvent::Fail)]
    {
        let lease = process.run(key, LONG).await;
        process.end(&lease, event).await;
        ids.push(lease.execution_id());
    }
    let filter = ExecutionFilter::default;
    let (failed, stopped) = (Status::Failed, Status::Stopped);
    let none = ExecutionId(i64::MAX);
    let cases = [
        (failed_or_stopped(), vec![(stopped, false, 1), (failed, false, 2), (failed, true, 1)]),
        (ExecutionFilter { ids: vec![ids[0], ids[3], none], ..filter() }, vec![(failed, false, 1), (failed, true, 1)]),
        (ExecutionFilter { ids: vec![ids[1], ids[3]], statuses: vec![failed], ..filter() }, vec![(failed, false, 1)]),
        (ExecutionFilter { ids: vec![none], ..filter() }, vec![]),
        (
            ExecutionFilter { text: Some(JOB.to_lowercase()), statuses: vec![failed], ..filter() },
            vec![(failed, false, 2), (failed, true, 1)],
        ),
        (ExecutionFilter { job_name: Some("No\0".to_owned()), ..filter() }, vec![]),
    ];
    for (filter, mut expected) in cases {
        expected.sort_unstable();
        for limit in [1, 2, 10] {
            assert_eq!(counted(&process, &filter, limit).await, expected, "{filter:?} by {limit}");
            let listed = super::reading::all(&process, &filter, limit).await;
            assert_eq!(listed.len(), expected.iter().map(|(_, _, count)| count).sum::<usize>(), "{filter:?}");
            assert!(filter.ids.is_empty() || listed.iter().all(|id| filter.ids.contains(id)));
        }
    }
}

fn failed_or_stopped() -> ExecutionFilter {
    ExecutionFilter { statuses: vec![Status::Failed, Status::Stopped], ..ExecutionFilter::default() }
}
