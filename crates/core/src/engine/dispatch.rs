//! The dispatcher: polls for waiting executions while slots (permits) are free, and recovers those of dead owners.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::run_job;
use super::state::EngineState;
use crate::event::Event;
use crate::repository::{ClaimRequest, RecoverRequest, RepositoryError};

/// Takes the foremost waiting executions whenever permits are free, until the node closes.
pub(super) async fn take_work(state: Arc<EngineState>) {
    let permits = Arc::new(Semaphore::new(state.config.concurrency));
    state.tasks.spawn(watch_for_the_dead(Arc::clone(&state)));
    let mut busy = false;
    loop {
        // The permit comes first: what is claimed runs at once and never waits with a lease in hand.
        let permit = tokio::select! {
            biased;
            () = state.local.closing.cancelled() => return,
            permit = Arc::clone(&permits).acquire_owned() => permit,
        };
        let Ok(permit) = permit else { return };
        let mut free = vec![permit];
        // Where there was work there may be more, for all permits at once: their claims share a wait for the disk.
        while busy && let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            free.push(permit);
        }
        let taken = join_all(free.into_iter().map(|permit| take_one(&state, permit))).await;
        busy = taken.contains(&true);
        if busy {
            continue;
        }
        tokio::select! {
            biased;
            () = state.local.closing.cancelled() => return,
            () = state.local.work.notified() => {}
            () = tokio::time::sleep(state.config.poll_every) => {}
        }
    }
}

/// Runs the foremost waiting execution with this permit; whether there was one.
async fn take_one(state: &Arc<EngineState>, permit: OwnedSemaphorePermit) -> bool {
    let request = ClaimRequest {
        node: state.config.node.clone(),
        lease: state.config.lease,
        jobs: Arc::clone(&state.known),
        limits: state.limits.clone(),
        time: state.config.clock.now(),
        only: None,
    };
    match state.repository.claim(request).await {
        Ok(Some(claimed)) => {
            run_job::spawn(state, claimed, Some(permit));
            true
        }
        Ok(None) => false,
        Err(error) => {
            state.report_trouble("take work", &error);
            false
        }
    }
}

/// Searches for executions whose owner is dead, again and again.
async fn watch_for_the_dead(state: Arc<EngineState>) {
    let mut pause = state.config.poll_every;
    loop {
        tokio::select! {
            biased;
            () = state.local.closing.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = match recover(&state).await {
            Ok(()) => state.config.poll_every,
            Err(error) => {
                state.report_trouble("search for dead nodes", &error);
                (pause * 2).min(Duration::from_secs(30))
            }
        };
    }
}

/// Recovers what dead owners left and what a shutdown stopped.
pub(super) async fn recover(state: &EngineState) -> Result<(), RepositoryError> {
    let config = &state.config;
    let request = RecoverRequest {
        node: config.node.clone(),
        held: state.local.running.held(),
        policy: config.recover,
        max_recoveries: config.max_recoveries,
        time: config.clock.now(),
        only: None,
    };
    for recovered in state.repository.recover(request).await? {
        state.events.emit(&Event::ExecutionRecovered { recovered: &recovered });
        state.local.work.notify_one();
    }
    Ok(())
}
