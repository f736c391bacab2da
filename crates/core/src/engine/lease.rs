//! Keeps the leases of the node's executions, and hears of stop requests by the way.

use std::sync::Arc;

use super::running::Handle;
use super::{Event, Inner};
use crate::execution::Status;
use crate::repository::RenewedLease;

/// Renews all leases again and again, until the node has closed and nothing runs any more. It runs on the engine's
/// runtime, where no user code ever is.
pub(super) async fn keep(inner: Arc<Inner>) {
    loop {
        let change = inner.running.any_change();
        if inner.closing.is_cancelled() && inner.running.count() == 0 {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(inner.config.renew_every) => {}
            // The last one to end while closing must not wait for the next renewal.
            () = change, if inner.closing.is_cancelled() => continue,
            () = inner.closing.cancelled(), if !inner.closing.is_cancelled() => continue,
        }
        let handles = inner.running.handles();
        // An idle node writes nothing.
        if handles.is_empty() {
            continue;
        }
        match inner.repository.renew(&inner.config.node, inner.config.lease).await {
            Ok(renewed) => {
                for handle in handles {
                    hear(&inner, &handle, &renewed);
                }
            }
            Err(error) => inner.events.emit(&Event::RepositoryTrouble { doing: "renew leases", error: &error }),
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
