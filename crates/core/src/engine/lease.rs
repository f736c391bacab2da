//! Keeps the leases of the node's executions, and hears of stop requests by the way.

use std::sync::Arc;

use tokio::time::Instant;

use super::Inner;
use super::running::Handle;
use crate::execution::Status;
use crate::repository::RenewedLease;

/// Renews all leases again and again, and tells that the node lives, until it has closed and nothing runs any more. It
/// runs on the engine's runtime, where no user code ever is.
pub(super) async fn keep(inner: Arc<Inner>) {
    // The first heartbeat was the start of the node.
    let mut next_heartbeat = Instant::now() + inner.config.heartbeat_every;
    loop {
        let change = inner.running.any_change();
        if inner.closing.is_cancelled() && inner.running.count() == 0 {
            return;
        }
        inner.end_if_drained();
        let rung = tokio::select! {
            () = tokio::time::sleep(inner.config.renew_every) => false,
            () = inner.look.notified() => true,
            // The last one to end while closing or draining must not wait for the next renewal.
            () = change, if inner.closing.is_cancelled() || inner.is_draining() => continue,
            () = inner.closing.cancelled(), if !inner.closing.is_cancelled() => continue,
        };
        let handles = inner.running.handles();
        // One that failed is tried again at once: the node is not ready until it succeeds.
        let beats = rung || next_heartbeat <= Instant::now() || inner.store.has_failed();
        if beats {
            next_heartbeat = Instant::now() + inner.config.heartbeat_every;
        }
        // An idle node writes nothing but its heartbeat.
        tokio::join!(renew(&inner, &handles), async {
            if beats {
                beat(&inner).await;
            }
        });
    }
}

async fn renew(inner: &Inner, handles: &[Handle]) {
    if handles.is_empty() {
        return;
    }
    let held = handles.iter().map(|handle| handle.lease.execution_id).collect();
    match inner.repository.renew(&inner.config.node, held, inner.config.lease).await {
        Ok(renewed) => {
            for handle in handles {
                hear(inner, handle, &renewed);
            }
        }
        Err(error) => inner.report_trouble("renew leases", &error),
    }
}

async fn beat(inner: &Inner) {
    match inner.repository.heartbeat(&inner.report).await {
        Ok(drain) => {
            inner.store.written();
            inner.hear_drain(drain);
        }
        Err(error) => {
            inner.store.failed(&error);
            inner.report_trouble("tell that the node lives", &error);
        }
    }
}

fn hear(inner: &Inner, handle: &Handle, renewed: &[RenewedLease]) {
    match renewed.iter().find(|renewed| renewed.lease == handle.lease) {
        Some(renewed) if renewed.status == Status::Stopping => {
            inner.running.stop(handle.lease.execution_id, &inner.events);
        }
        Some(_) => {}
        // Either somebody took it over, or it has just ended, and then nobody listens to this any more.
        None => handle.lose(),
    }
}
