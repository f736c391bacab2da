//! Takes waiting executions while there are places, and recovers what dead owners left.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Event, Inner, run_job};
use crate::repository::{ClaimRequest, RecoverRequest, RepositoryError};

/// Takes the foremost waiting executions whenever places are free, until the node closes.
pub(super) async fn take_work(inner: Arc<Inner>) {
    let places = Arc::new(Semaphore::new(inner.config.concurrency));
    inner.tasks.spawn(watch_for_the_dead(Arc::clone(&inner)));
    let mut busy = false;
    loop {
        // The place comes first: what is claimed runs at once and never waits with a lease in hand.
        let place = tokio::select! {
            biased;
            () = inner.closing.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(place) = place else { return };
        let mut free = vec![place];
        // Where there was work there may be more, for all places at once: their claims share a wait for the disk.
        while busy && let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            free.push(place);
        }
        let taken = join_all(free.into_iter().map(|place| take_one(&inner, place))).await;
        busy = taken.contains(&true);
        if busy {
            continue;
        }
        tokio::select! {
            biased;
            () = inner.closing.cancelled() => return,
            () = inner.work.notified() => {}
            () = tokio::time::sleep(inner.config.poll_every) => {}
        }
    }
}

/// Runs the foremost waiting execution in this place; whether there was one.
async fn take_one(inner: &Arc<Inner>, place: OwnedSemaphorePermit) -> bool {
    let request = ClaimRequest {
        node: inner.config.node.clone(),
        lease: inner.config.lease,
        jobs: Arc::clone(&inner.report.jobs),
        limits: inner.limits.clone(),
        time: inner.config.clock.now(),
        only: None,
    };
    match inner.repository.claim(request).await {
        Ok(Some(claimed)) => {
            run_job::spawn(inner, claimed.execution, claimed.lease, Some(place));
            true
        }
        Ok(None) => false,
        Err(error) => {
            inner.report_trouble("take work", &error);
            false
        }
    }
}

/// Looks for executions whose owner is dead, again and again.
async fn watch_for_the_dead(inner: Arc<Inner>) {
    let mut pause = inner.config.poll_every;
    loop {
        tokio::select! {
            biased;
            () = inner.closing.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = match recover(&inner).await {
            Ok(()) => inner.config.poll_every,
            Err(error) => {
                inner.report_trouble("look for dead nodes", &error);
                (pause * 2).min(Duration::from_secs(30))
            }
        };
    }
}

/// Recovers what dead owners left and what a shutdown stopped.
pub(super) async fn recover(inner: &Inner) -> Result<(), RepositoryError> {
    let config = &inner.config;
    let request = RecoverRequest {
        node: config.node.clone(),
        held: inner.running.held(),
        policy: config.recover,
        max_recoveries: config.max_recoveries,
        time: config.clock.now(),
        only: None,
    };
    for recovered in inner.repository.recover(request).await? {
        inner.events.emit(&Event::ExecutionRecovered { recovered: &recovered });
        inner.work.notify_one();
    }
    Ok(())
}
