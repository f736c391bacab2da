//! Cases of dead processes, zombies and shutdowns.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use std::time::Duration;

use super::Backend;
use super::fixture::{JOB, LONG, Process, launch_of, outcome, save, step_outcome};
use crate::execution::{Counters, EXIT_ABORTED, Status, StatusEvent};
use crate::repository::{LaunchError, LaunchRequest, RecoverPolicy, RecoverRequest, RepositoryError};

/// A lease that has run out when it is given.
const NONE: Duration = Duration::ZERO;

/// Whoever lives keeps what it runs, and what waits is never lost.
pub async fn a_live_lease_is_never_taken(backend: &dyn Backend) {
    let (owner, other) = (Process::start(backend).await, Process::start(backend).await);
    let lease = owner.run(1, LONG).await;
    let waiting = owner.launch(launch_of(2)).await.unwrap().execution;
    assert!(other.recover().await.is_empty());
    assert!(owner.recover().await.is_empty());
    assert_eq!(other.execution(lease.execution_id()).await.status, Status::Started);
    assert_eq!(other.execution(waiting.id).await, waiting);
}

/// An answer to a claim that was lost: the node does not know that it runs the execution, so nobody does. It is not
/// renewed with what the node runs, and recovered when it has run out, by the node itself if there is no other.
pub async fn a_lease_that_its_node_does_not_know_of_runs_out_and_is_recovered(backend: &dyn Backend) {
    let node = Process::start(backend).await;
    let known = node.run(1, NONE).await;
    let unknown = node.run(2, NONE).await;
    let held = vec![known.execution_id()];
    let of_node = RecoverRequest { held: held.clone(), ..node.recovery() };
    let recovered = node.repository.recover(of_node.clone()).await.unwrap();
    assert_eq!(recovered.len(), 1, "what it knows of it renews itself, although it has run out");
    assert_eq!(recovered[0].lost.id, unknown.execution_id());
    assert_eq!(node.claim(LONG).await.map(|claimed| claimed.execution.id), recovered[0].successor);
    let renewed: Vec<_> = node.renew(&[known]).await.iter().map(|renewed| renewed.lease).collect();
    assert_eq!(renewed, [known], "the claim of the successor was not answered either");
    assert!(node.repository.recover(of_node).await.unwrap().is_empty(), "its lease has not run out yet");
}

/// The executions of a dead process are FAILED with ABORTED, and a successor waits to resume it. One caller wins.
pub async fn a_dead_process_is_recovered_at_once_or_when_its_lease_has_run_out(backend: &dyn Backend) {
    let (dead, one, other) =
        (Process::start(backend).await, Process::start(backend).await, Process::start(backend).await);
    let lease = dead.run(1, NONE).await;
    let step = dead.start_step(&lease, "Step").await;
    dead.commit(&step, r#"{"v":1,"reader":1}"#).await;
    drop(dead);
    let (first, second) = futures_util::future::join(one.recover(), other.recover()).await;
    let recovered: Vec<_> = first.into_iter().chain(second).collect();
    assert_eq!(recovered.len(), 1);
    let lost = &recovered[0].lost;
    assert_eq!((lost.status, lost.exit_code.as_deref()), (Status::Failed, Some(EXIT_ABORTED)));
    let steps = one.repository.steps(lost.id).await.unwrap();
    assert_eq!((steps[0].status, steps[0].exit_code.as_deref()), (Status::Failed, Some(EXIT_ABORTED)));
    let next = other.claim(LONG).await.unwrap();
    assert_eq!(Some(next.execution.id), recovered[0].successor);
    assert_eq!(next.execution.parameters, lost.parameters);
    assert_eq!(next.execution.recovery_count, 1);
    assert_eq!(other.start_step(&next.lease, "Step").await.state.as_deref(), Some(r#"{"v":1,"reader":1}"#));
}

/// A process that was taken for dead wakes up: nothing that it does is stored, neither chunk nor rows nor ends.
pub async fn a_zombie_commits_nothing_and_its_rows_roll_back(backend: &dyn Backend) {
    let (zombie, other) = (Process::start(backend).await, Process::start(backend).await);
    let lease = zombie.run(1, NONE).await;
    let step = zombie.start_step(&lease, "Step").await;
    let mut transaction = zombie.repository.chunk_transaction(&step.fence).await.unwrap();
    backend.write_row(transaction.as_mut(), 1).await;
    transaction.commit(save("{}", &Counters::default())).await.unwrap();
    assert_eq!(other.recover().await.len(), 1);
    backend.write_row(transaction.as_mut(), 2).await;
    let refused = transaction.commit(save("{}", &Counters::default())).await;
    assert!(matches!(refused, Err(RepositoryError::LeaseLost { .. })), "{refused:?}");
    drop(transaction);
    assert_eq!(backend.rows().await, [1]);
    let repository = &zombie.repository;
    let refused = repository.start_step(&lease, super::fixture::step_of("Next")).await;
    assert!(matches!(refused, Err(RepositoryError::LeaseLost { .. })), "{refused:?}");
    let refused = repository.finish_step(&step.fence, step_outcome(StatusEvent::Complete)).await;
    assert!(matches!(refused, Err(RepositoryError::LeaseLost { .. })), "{refused:?}");
    let refused = repository.finish_execution(&lease, outcome(StatusEvent::Complete, false)).await;
    assert!(matches!(refused, Err(RepositoryError::LeaseLost { .. })), "{refused:?}");
    assert!(zombie.renew(&[lease]).await.is_empty());
}

/// A job that kills its process is restarted three times; progress in between starts the count anew.
pub async fn recoveries_without_progress_come_to_an_end(backend: &dyn Backend) {
    let keeper = Process::start(backend).await;
    keeper.launch(launch_of(1)).await.unwrap();
    for (round, progress) in [false, false, true, false, false, false].into_iter().enumerate() {
        let victim = Process::start(backend).await;
        let claimed = victim.claim(NONE).await.unwrap();
        if progress {
            let step = victim.start_step(&claimed.lease, "Step").await;
            victim.commit(&step, "{}").await;
        }
        drop(victim);
        let recovered = keeper.recover().await;
        assert_eq!(recovered.len(), 1);
        let last = round == 5;
        assert_eq!(recovered[0].successor.is_none(), last, "round {round}");
        if last {
            let message = recovered[0].lost.exit_message.clone().unwrap();
            assert!(message.contains("3 automatic recoveries"), "{message}");
        }
    }
    assert_eq!(keeper.claim(LONG).await, None);
}

/// A person's stop outlives the process that was to obey it.
pub async fn what_was_being_stopped_is_stopped_and_not_restarted(backend: &dyn Backend) {
    let (dead, keeper) = (Process::start(backend).await, Process::start(backend).await);
    let lease = dead.run(1, NONE).await;
    dead.start_step(&lease, "Step").await;
    keeper.repository.request_stop(lease.execution_id()).await.unwrap();
    drop(dead);
    let recovered = keeper.recover().await;
    assert_eq!((recovered[0].lost.status, recovered[0].successor), (Status::Stopped, None));
    assert_eq!(keeper.repository.steps(lease.execution_id()).await.unwrap()[0].status, Status::Stopped);
    assert!(keeper.recover().await.is_empty());
}

/// An execution that a shutdown stopped goes on by itself, once; one that was launched meanwhile is left alone.
pub async fn a_shutdown_is_resumed_once_and_only_if_nobody_was_faster(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let (one, two) = (process.run(1, LONG).await, process.run(2, LONG).await);
    for lease in [&one, &two] {
        process.repository.finish_execution(lease, outcome(StatusEvent::Stop, true)).await.unwrap();
    }
    let launched = process.launch(launch_of(2)).await.unwrap().execution.id;
    let recovered = process.recover().await;
    assert_eq!(recovered.len(), 1);
    assert_eq!((recovered[0].lost.id, recovered[0].lost.status), (one.execution_id(), Status::Stopped));
    assert!(process.recover().await.is_empty());
    let claimed = [process.claim(LONG).await, process.claim(LONG).await, process.claim(LONG).await];
    let ids: Vec<_> = claimed.into_iter().flatten().map(|claimed| claimed.execution.id).collect();
    assert_eq!(ids, [launched, recovered[0].successor.unwrap()]);
}

/// A launch in the foreground frees its instance from a dead owner, without a successor and without touching others.
pub async fn a_foreground_launch_clears_its_own_instance_alone(backend: &dyn Backend) {
    let (dead, keeper) = (Process::start(backend).await, Process::start(backend).await);
    let (one, two) = (dead.run(1, NONE).await, dead.run(2, NONE).await);
    drop(dead);
    let only = Some((JOB.to_owned(), launch_of(1).parameters.job_key()));
    let request = RecoverRequest { only, ..keeper.recovery() };
    let recovered = keeper.repository.recover(request).await.unwrap();
    assert_eq!(recovered.len(), 1);
    assert_eq!((recovered[0].lost.id, recovered[0].successor), (one.execution_id(), None));
    assert_eq!(keeper.execution(two.execution_id()).await.status, Status::Started);
    let by_policy = RecoverRequest { policy: RecoverPolicy::Fail, ..keeper.recovery() };
    let recovered = keeper.repository.recover(by_policy).await.unwrap();
    assert_eq!((recovered[0].lost.id, recovered[0].successor), (two.execution_id(), None));
}

/// A failed or stopped execution is the end of an instance whose job is not restartable, by what the job says at the
/// launch; a forced launch begins anew. After a completed one there is nothing to resume.
pub async fn what_is_not_restartable_is_refused_until_it_is_forced(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let once = |key| LaunchRequest { restartable: false, ..launch_of(key) };
    for (key, event, status) in [(1, StatusEvent::Fail, Status::Failed), (2, StatusEvent::Stop, Status::Stopped)] {
        let lease = process.run_once(key, LONG).await;
        process.run_step(&lease, "Step", StatusEvent::Complete).await;
        process.end(&lease, event).await;
        match process.launch(once(key)).await {
            Err(LaunchError::NotRestartable { execution_id, status: found }) => {
                assert_eq!((execution_id, found), (lease.execution_id(), status));
            }
            other => panic!("{other:?}"),
        }
        let forced = process.force(key).await;
        process.start_step(&forced, "Step").await;
        process.end(&forced, event).await;
        let resumed = process.launch(launch_of(key)).await;
        assert!(resumed.is_ok(), "by now the job is restartable: {resumed:?}");
    }
    let lease = process.run_once(3, LONG).await;
    process.end(&lease, StatusEvent::Complete).await;
    assert!(process.launch(once(3)).await.is_ok());
}

/// No node resumes it, although it has progressed: the row of the execution records it, since a node may not know the
/// job.
pub async fn what_is_not_restartable_stays_failed_when_its_owner_dies(backend: &dyn Backend) {
    let (dead, keeper) = (Process::start(backend).await, Process::start(backend).await);
    let lease = dead.run_once(1, Duration::ZERO).await;
    let step = dead.start_step(&lease, "Step").await;
    dead.commit(&step, "{}").await;
    drop(dead);
    let recovered = keeper.recover().await;
    assert_eq!((recovered[0].lost.id, recovered[0].successor), (lease.execution_id(), None));
    let lost = keeper.execution(lease.execution_id()).await;
    assert_eq!((lost.status, lost.exit_code.as_deref()), (Status::Failed, Some(EXIT_ABORTED)));
    assert!(lost.exit_message.is_some_and(|message| message.contains("its job is not restartable")));
    assert!(keeper.recover().await.is_empty());
    assert_eq!(keeper.claim(LONG).await, None);
}

/// It stays STOPPED, and says so.
pub async fn a_shutdown_resumes_nothing_that_is_not_restartable(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let lease = process.run_once(1, LONG).await;
    let stopped = process.repository.finish_execution(&lease, outcome(StatusEvent::Stop, true)).await.unwrap();
    assert_eq!(stopped.status, Status::Stopped);
    assert!(stopped.exit_message.is_some_and(|message| message.contains("not restartable")));
    assert!(process.recover().await.is_empty());
    assert_eq!(process.claim(LONG).await, None);
}
