//! The node's duty to remove executions that ended long ago, while it works.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::state::EngineState;
use crate::event::Event;
use crate::repository::{NodeState, PurgeRequest, RepositoryError, purge_in_batches};

/// Time from the start of a node to its first purge: what it recovers and takes first has the store for itself.
const FIRST: Duration = Duration::from_secs(60);
/// Most time between two purges; a short retention makes it shorter.
const INTERVAL: Duration = Duration::from_secs(3600);
/// Fires and notices that one transaction removes.
const PRUNED_AT_ONCE: u32 = 500;
/// The pause between two of them.
const PRUNE_PAUSE: Duration = Duration::from_millis(50);
/// Least time between two purges.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// Removes what ended longer ago than the retention, again and again, until the node closes.
pub(super) async fn keep(state: Arc<EngineState>, retention: Duration) {
    let interval = (retention / 10).clamp(LEAST_INTERVAL, INTERVAL);
    let mut pause = FIRST.min(interval);
    loop {
        tokio::select! {
            biased;
            () = state.local.closing.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = interval;
        if let Err(error) = purge(&state, retention).await {
            state.events.emit(&Event::RepositoryTrouble { doing: "remove old executions", error: &error });
        }
    }
}

async fn purge(state: &EngineState, retention: Duration) -> Result<(), RepositoryError> {
    if !is_purger(state).await? {
        return Ok(());
    }
    let now = state.config.clock.now();
    let age = SignedDuration::try_from(retention).ok();
    let ended_before = age.and_then(|age| now.checked_sub(age).ok()).unwrap_or(Timestamp::MIN);
    prune(state, ended_before).await?;
    let request = PurgeRequest { ended_before: Some(ended_before), ..PurgeRequest::default() };
    let report = purge_in_batches(state.repository.as_ref(), request, &state.local.closing).await?;
    if report.executions > 0 {
        state.events.emit(&Event::HistoryPurged { report: &report, ended_before });
    }
    Ok(())
}

/// Of the nodes of a store the one that started first does it: several at once would only wait for each other.
async fn is_purger(state: &EngineState) -> Result<bool, RepositoryError> {
    let nodes = state.repository.nodes().await?;
    let first = nodes.iter().find(|node| matches!(node.state, NodeState::Live | NodeState::Draining));
    Ok(first.is_none_or(|node| node.report.node.boot_id == state.config.node.boot_id))
}

/// Removes fires and notices of the same age, in batches with pauses for others.
async fn prune(state: &EngineState, before: Timestamp) -> Result<(), RepositoryError> {
    while state.repository.prune_fires(before, PRUNED_AT_ONCE).await? > 0 {
        tokio::select! {
            () = state.local.closing.cancelled() => return Ok(()),
            () = tokio::time::sleep(PRUNE_PAUSE) => {}
        }
    }
    Ok(())
}
