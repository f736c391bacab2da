//! Cases of re-runs of skipped items.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use std::sync::Arc;

use jiff::Timestamp;

use super::Backend;
use super::fixture::{LONG, Process, changes, launch_of, save};
use crate::execution::{Counters, ExecutionId, SkipPhase, SkippedItem, Status, StatusEvent};
use crate::repository::{
    ChunkSave, KeptSkips, LaunchError, Launched, Lease, PendingSkips, PurgeRequest, RepositoryError, RerunRequest,
    RerunStep, StartedStep,
};

/// Kept items: one whole in each phase, one cut, one without text.
fn items() -> Vec<SkippedItem> {
    let item = |phase, text: Option<&str>| SkippedItem::new(phase, None, text.map(str::to_owned), "bad".to_owned());
    let mut items = vec![
        item(SkipPhase::Process, Some("1")),
        item(SkipPhase::Read, Some("<2>")),
        item(SkipPhase::Write, Some("3")),
        item(SkipPhase::Process, None),
        item(SkipPhase::Process, Some("5")),
    ];
    items[4].complete = false;
    items
}

fn rerun_of(id: ExecutionId, raw: bool) -> RerunRequest {
    RerunRequest {
        execution_id: id,
        steps: vec![RerunStep { step_name: "Step".to_owned(), raw }],
        admission: launch_of(0).admission,
    }
}

fn pending_of(id: ExecutionId, rerunnable: bool, raw: bool) -> PendingSkips {
    PendingSkips { execution_id: id, step_name: "Step".to_owned(), rerunnable, raw, after: None, limit: 100 }
}

/// An execution of the instance `key` that has skipped [`items`] and is COMPLETED.
async fn skipping(process: &Process, key: i64) -> ExecutionId {
    let lease = process.run(key, LONG).await;
    skip_in(process, lease).await
}

/// Skips [`items`] in an execution and ends it.
async fn skip_in(process: &Process, lease: Lease) -> ExecutionId {
    let step = process.start_step(&lease, "Step").await;
    let counters = Counters { commit: 1, ..Counters::default() };
    let mut transaction = process.repository.chunk_transaction(&step.fence).await.unwrap();
    let (skips, time) = (items(), Some(Timestamp::now()));
    let context = changes("{}", r#"{"from":"the first"}"#);
    let saved = ChunkSave { skips: &skips, time, job_context: Some(&context), ..save("{}", &counters) };
    transaction.commit(saved).await.unwrap();
    drop(transaction);
    process.end_step(&step, StatusEvent::Complete).await;
    process.end(&lease, StatusEvent::Complete).await;
    lease.execution_id()
}

async fn pending(process: &Process, request: PendingSkips) -> Vec<i64> {
    let page = process.repository.pending_skips(request).await.unwrap();
    page.skips.iter().map(|skip| skip.id).collect()
}

async fn rerun(process: &Process, id: ExecutionId) -> Result<Launched, LaunchError> {
    process.repository.rerun(rerun_of(id, true)).await
}

/// Takes the re-run that waits and begins its step.
async fn begin(process: &Process) -> (Lease, StartedStep) {
    let lease = process.claim(LONG).await.unwrap().lease;
    let step = process.start_step(&lease, "Step").await;
    (lease, step)
}

async fn mark(process: &Process, step: &StartedStep, ids: &[i64]) -> Result<(), RepositoryError> {
    let mut transaction = process.repository.chunk_transaction(&step.fence).await.unwrap();
    let counters = Counters { commit: 1, ..Counters::default() };
    transaction.commit(ChunkSave { rerun: ids, ..save("{}", &counters) }).await.map(|_| ())
}

/// Items that can be run again are distinguished from those that cannot, page by page.
pub async fn kept_items_are_counted_and_listed_by_what_can_be_done_with_them(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let id = skipping(&process, 1).await;
    let kept = process.repository.kept_skips(id, None).await.unwrap();
    assert_eq!(kept, [KeptSkips { step_name: "Step".to_owned(), items: 2, raw: 1, incomplete: 2, rerun: 0 }]);
    assert_eq!(pending(&process, pending_of(id, true, true)).await.len(), 3);
    assert_eq!(pending(&process, pending_of(id, true, false)).await.len(), 2);
    assert_eq!(pending(&process, pending_of(id, false, true)).await.len(), 2);
    assert_eq!(pending(&process, pending_of(id, false, false)).await.len(), 3);
    let page = process.repository.pending_skips(PendingSkips { limit: 2, ..pending_of(id, true, true) }).await.unwrap();
    let rest = PendingSkips { after: page.next, ..pending_of(id, true, true) };
    assert_eq!((page.skips.len(), pending(&process, rest).await.len()), (2, 1));
    assert_eq!(page.skips[0].rerun_execution_id, None);
    let other = PendingSkips { step_name: "Other".to_owned(), ..pending_of(id, true, true) };
    assert!(pending(&process, other).await.is_empty());
}

/// A re-run is an execution of an instance of its own, linked both ways; restarts of the first one know nothing of it.
pub async fn a_rerun_is_linked_and_leaves_the_first_instance_alone(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let id = skipping(&process, 1).await;
    let first = process.execution(id).await;
    let rerun = rerun(&process, id).await.unwrap().execution;
    assert_eq!((rerun.rerun_of, rerun.status, &rerun.parameters), (Some(id), Status::Starting, &first.parameters));
    assert_ne!(rerun.instance_id, first.instance_id);
    assert_eq!(process.execution(id).await.rerun_by, Some(rerun.id));
    let (lease, step) = begin(&process).await;
    assert_eq!((step.state.as_deref(), step.job_context.as_deref()), (None, Some(r#"{"from":"the first"}"#)));
    process.end_step(&step, StatusEvent::Fail).await;
    process.end(&lease, StatusEvent::Fail).await;
    // The first instance is as it was: its step is complete, whatever has become of the re-run.
    let again = process.run(1, LONG).await;
    let start = process.repository.start_step(&again, super::fixture::step_of("Step")).await.unwrap();
    assert!(matches!(start, crate::repository::StepStart::AlreadyComplete(_)), "{start:?}");
    assert_eq!(process.execution(again.execution_id()).await.rerun_of, None);
}

/// Two people press the button at once: one re-run, the other is reported which.
pub async fn of_racing_reruns_one_is_accepted(backend: &dyn Backend) {
    let process = Arc::new(Process::start(backend).await);
    let id = skipping(&process, 1).await;
    let racing = (0..16).map(|_| {
        let process = Arc::clone(&process);
        async move { rerun(&process, id).await }
    });
    let outcomes = futures_util::future::join_all(racing).await;
    let accepted: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(accepted.len(), 1);
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        let LaunchError::AlreadyRunning { execution_id } = refused else { panic!("{refused:?}") };
        assert_eq!(*execution_id, accepted[0].execution.id);
    }
}

/// An item is marked in the transaction of the chunk that runs it, and no second time.
pub async fn a_kept_item_is_run_again_once(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let id = skipping(&process, 1).await;
    rerun(&process, id).await.unwrap();
    let (lease, step) = begin(&process).await;
    let ids = pending(&process, pending_of(id, true, true)).await;
    mark(&process, &step, &ids[..2]).await.unwrap();
    let twice = mark(&process, &step, &ids[1..]).await;
    assert!(matches!(twice, Err(RepositoryError::SkipSettled { id }) if id == ids[1]), "{twice:?}");
    assert_eq!(pending(&process, pending_of(id, true, true)).await, ids[2..]);
    let instance = process.execution(lease.execution_id()).await.instance_id;
    let kept = process.repository.kept_skips(id, Some(instance)).await.unwrap();
    assert_eq!((kept[0].items, kept[0].raw, kept[0].rerun), (1, 0, 2));
    process.end_step(&step, StatusEvent::Fail).await;
    let late = mark(&process, &step, &ids[2..]).await;
    assert!(matches!(late, Err(RepositoryError::LeaseLost { .. })), "{late:?}");
    assert_eq!(pending(&process, pending_of(id, true, true)).await, ids[2..]);
}

/// A re-run that failed is resumed by the next call; one that is complete is followed by a new one, as long as items
/// are left.
pub async fn a_failed_rerun_is_resumed_and_a_complete_one_is_not_repeated(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let id = skipping(&process, 1).await;
    let ids = pending(&process, pending_of(id, true, true)).await;
    let first = rerun(&process, id).await.unwrap().execution;
    let (lease, step) = begin(&process).await;
    process.commit(&step, r#"{"v":1,"reader":7}"#).await;
    mark(&process, &step, &ids).await.unwrap();
    process.end_step(&step, StatusEvent::Fail).await;
    process.end(&lease, StatusEvent::Fail).await;
    // Nothing is pending, but its output may have to be published.
    let second = rerun(&process, id).await.unwrap().execution;
    assert_eq!((second.instance_id, second.rerun_of), (first.instance_id, Some(id)));
    let (lease, step) = begin(&process).await;
    assert!(step.state.is_some());
    process.end_step(&step, StatusEvent::Complete).await;
    process.end(&lease, StatusEvent::Complete).await;
    let refused = rerun(&process, id).await;
    assert!(matches!(refused, Err(LaunchError::NothingToRerun { execution_id }) if execution_id == id), "{refused:?}");
    let other = skipping(&process, 2).await;
    let refused = process.repository.rerun(RerunRequest { steps: Vec::new(), ..rerun_of(other, true) }).await;
    assert!(matches!(refused, Err(LaunchError::NothingToRerun { .. })), "{refused:?}");
    let unknown = process.repository.rerun(rerun_of(ExecutionId(4711), true)).await;
    assert!(matches!(unknown, Err(LaunchError::Repository(RepositoryError::NotFound { .. }))), "{unknown:?}");
    // While the first instance runs, what it skipped is not run again.
    let running = process.run(2, LONG).await;
    let refused = rerun(&process, other).await;
    assert!(
        matches!(refused, Err(LaunchError::AlreadyRunning { execution_id }) if execution_id == running.execution_id()),
        "{refused:?}"
    );
}

/// A re-run whose owner dies is resumed as any other execution is, and stays a re-run.
pub async fn a_rerun_whose_owner_dies_is_recovered_as_one(backend: &dyn Backend) {
    let (owner, other) = (Process::start(backend).await, Process::start(backend).await);
    let id = skipping(&owner, 1).await;
    let launched = rerun(&owner, id).await.unwrap().execution;
    owner.claim(std::time::Duration::ZERO).await.unwrap();
    let recovered = other.recover().await;
    let successor = other.execution(recovered[0].successor.unwrap()).await;
    assert_eq!((successor.rerun_of, successor.instance_id), (Some(id), launched.instance_id));
    assert_eq!(other.execution(id).await.rerun_by, Some(successor.id));
}

/// No recovery goes on with the re-run either; asked again, it goes on with what is left of the items.
pub async fn a_rerun_of_what_is_not_restartable_is_resumed_by_a_person_alone(backend: &dyn Backend) {
    let (owner, other) = (Process::start(backend).await, Process::start(backend).await);
    let id = skip_in(&owner, owner.run_once(1, LONG).await).await;
    let first = rerun(&owner, id).await.unwrap().execution;
    owner.claim(std::time::Duration::ZERO).await.unwrap();
    drop(owner);
    let recovered = other.recover().await;
    assert_eq!((recovered[0].lost.id, recovered[0].lost.status), (first.id, Status::Failed));
    assert_eq!(recovered[0].successor, None);
    let again = rerun(&other, id).await.unwrap().execution;
    assert_eq!((again.instance_id, again.rerun_of), (first.instance_id, Some(id)));
}

/// An execution whose items are being run again, or could be, is not purged under its re-run.
pub async fn a_purge_keeps_what_is_being_rerun(backend: &dyn Backend) {
    let everything = || PurgeRequest { batch: 100, ..PurgeRequest::default() };
    let process = Process::start(backend).await;
    let id = skipping(&process, 1).await;
    let ids = pending(&process, pending_of(id, true, true)).await;
    rerun(&process, id).await.unwrap();
    let (lease, step) = begin(&process).await;
    mark(&process, &step, &ids).await.unwrap();
    assert_eq!(process.repository.purge(everything()).await.unwrap().executions, 0);
    process.end_step(&step, StatusEvent::Fail).await;
    process.end(&lease, StatusEvent::Fail).await;
    assert_eq!(process.repository.purge(everything()).await.unwrap().executions, 0);
    // The statuses leave the re-run where it is: it could be restarted still, and would find nothing to run.
    let completed = || PurgeRequest { statuses: vec![Status::Completed], include_restartable: true, ..everything() };
    assert_eq!(process.repository.purge(completed()).await.unwrap().executions, 0);
    rerun(&process, id).await.unwrap();
    let (lease, step) = begin(&process).await;
    process.end_step(&step, StatusEvent::Complete).await;
    process.end(&lease, StatusEvent::Complete).await;
    let dry = process.repository.purge(PurgeRequest { dry_run: true, ..everything() }).await.unwrap();
    assert_eq!((dry.executions, dry.instances), (3, 2));
    assert_eq!(process.repository.purge(everything()).await.unwrap().executions, 3);
}

/// A purge that may remove what could be restarted removes a re-run first, and then what it was to run again.
pub async fn a_purge_removes_a_restartable_rerun_before_what_it_runs_again(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let id = skipping(&process, 1).await;
    let failed = rerun(&process, id).await.unwrap().execution;
    let (lease, step) = begin(&process).await;
    process.end_step(&step, StatusEvent::Fail).await;
    process.end(&lease, StatusEvent::Fail).await;
    let all = || PurgeRequest { include_restartable: true, batch: 100, ..PurgeRequest::default() };
    let dry = process.repository.purge(PurgeRequest { dry_run: true, ..all() }).await.unwrap();
    assert_eq!((dry.executions, dry.instances), (1, 1));
    assert_eq!(process.repository.purge(all()).await.unwrap().executions, 1);
    assert_eq!(process.repository.execution(failed.id).await.unwrap(), None);
    assert_eq!(process.execution(id).await.rerun_by, None);
    assert_eq!(process.repository.purge(all()).await.unwrap().executions, 1);
}

/// An abandoned re-run that was purged leaves no gap in which a later one would meet another.
pub async fn a_rerun_has_an_instance_of_its_own_although_earlier_ones_were_purged(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let id = skipping(&process, 1).await;
    rerun(&process, id).await.unwrap();
    let (abandoned, step) = begin(&process).await;
    process.end_step(&step, StatusEvent::Fail).await;
    process.end(&abandoned, StatusEvent::Fail).await;
    process.repository.abandon(abandoned.execution_id()).await.unwrap();
    let second = rerun(&process, id).await.unwrap().execution;
    let (lease, step) = begin(&process).await;
    let first_of_them = pending(&process, pending_of(id, true, true)).await[0];
    mark(&process, &step, &[first_of_them]).await.unwrap();
    process.end_step(&step, StatusEvent::Complete).await;
    process.end(&lease, StatusEvent::Complete).await;
    let purge = PurgeRequest { statuses: vec![Status::Abandoned], batch: 100, ..PurgeRequest::default() };
    assert_eq!(process.repository.purge(purge).await.unwrap().executions, 1);
    let third = rerun(&process, id).await.unwrap().execution;
    assert_ne!(third.instance_id, second.instance_id);
    let (_, step) = begin(&process).await;
    mark(&process, &step, &pending(&process, pending_of(id, true, true)).await).await.unwrap();
}
