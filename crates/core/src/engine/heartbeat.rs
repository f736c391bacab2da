//! The heartbeat of a node: it renews the leases of its executions and so hears of requests to stop and to drain.

use std::sync::Arc;

use tokio::time::Instant;

use super::running::Handle;
use super::state::EngineState;
use crate::execution::Status;
use crate::repository::RenewedLease;

/// Renews all leases again and again, and reports that the node lives, until it has closed and nothing runs any more.
/// It runs on the engine's runtime, where no user code ever is.
pub(super) async fn keep(state: Arc<EngineState>) {
    // The first heartbeat was the start of the node.
    let mut next_heartbeat = Instant::now() + state.config.heartbeat_every;
    loop {
        let change = state.local.running.any_change();
        if state.local.closing.is_cancelled() && state.local.running.count() == 0 {
            return;
        }
        state.end_if_drained();
        let is_early = tokio::select! {
            () = tokio::time::sleep(state.config.renew_every) => false,
            () = state.local.renew.notified() => true,
            // The last one to end while closing or draining must not wait for the next renewal.
            () = change, if state.local.closing.is_cancelled() || state.is_draining() => continue,
            () = state.local.closing.cancelled(), if !state.local.closing.is_cancelled() => continue,
        };
        let handles = state.local.running.handles();
        // One that failed is tried again at once: the node is not ready until it succeeds.
        let beats = is_early || next_heartbeat <= Instant::now() || state.store.has_failed();
        if beats {
            next_heartbeat = Instant::now() + state.config.heartbeat_every;
        }
        // An idle node writes nothing but its heartbeat.
        tokio::join!(renew(&state, &handles), async {
            if beats {
                beat(&state).await;
            }
        });
    }
}

async fn renew(state: &EngineState, handles: &[Handle]) {
    if handles.is_empty() {
        return;
    }
    let held = handles.iter().map(|handle| handle.lease.key).collect();
    match state.repository.renew(&state.config.node, held, state.config.lease).await {
        Ok(renewed) => {
            for handle in handles {
                hear(state, handle, &renewed);
            }
        }
        Err(error) => state.report_trouble("renew leases", &error),
    }
}

async fn beat(state: &EngineState) {
    match state.repository.heartbeat(&state.report).await {
        Ok(drain) => {
            state.store.written();
            state.set_drain(drain);
        }
        Err(error) => {
            state.store.failed(&error);
            state.report_trouble("report that the node lives", &error);
        }
    }
}

fn hear(state: &EngineState, handle: &Handle, renewed: &[RenewedLease]) {
    let renewed = renewed.iter().find(|renewed| renewed.lease == handle.lease);
    if let Some(renewed) = renewed {
        handle.clock.set_stored(renewed.running);
    }
    match renewed {
        Some(renewed) if renewed.status == Status::Stopping => {
            state.local.running.stop(handle.lease.execution_id(), &state.events);
        }
        Some(_) => {}
        // Either somebody took it over, or it has just ended, and then nobody listens to this any more.
        None => handle.lose(),
    }
}
