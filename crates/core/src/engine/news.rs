//! What the nodes tell each other: hints that shorten the wait for the next look, and the request to drain.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;

use super::{EngineConfig, Event, Inner};
use crate::job::JobRegistry;
use crate::repository::{Drain, News, NodeReport, RunLimits};

/// What a node tells of itself.
pub(super) fn report(registry: &JobRegistry, config: &EngineConfig) -> NodeReport {
    let capacity = if config.take_work { u32::try_from(config.concurrency).unwrap_or(u32::MAX) } else { 0 };
    NodeReport {
        node: config.node.clone(),
        version: config.version.clone(),
        jobs: registry.names().into(),
        capacity,
        lease: config.lease,
        start_time: config.clock.now(),
    }
}

/// The limits that a node keeps to: its own setting, and those of the jobs that it knows.
pub(super) fn limits(registry: &JobRegistry, config: &EngineConfig) -> RunLimits {
    let of_job = |job: &crate::job::Job| job.max_running().map(|limit| (job.name().to_owned(), limit));
    RunLimits { total: config.max_running, of_jobs: registry.iter().filter_map(of_job).collect() }
}

/// Listens to the store until the node closes. Each hint only rings for a look that would come anyway.
pub(super) async fn hear(inner: Arc<Inner>) {
    let Some(mut news) = inner.repository.listen() else { return };
    loop {
        let heard = tokio::select! {
            biased;
            () = inner.closing.cancelled() => return,
            heard = news.recv() => heard,
        };
        match heard {
            Ok(News::Work) => {
                inner.work.notify_one();
                inner.running.touch_new();
            }
            Ok(News::StopRequested(id)) if inner.running.has(id) => inner.look.notify_one(),
            // What waits can also be stopped, and then it has ended.
            Ok(News::StopRequested(id) | News::Started(id)) => inner.running.touch(id),
            Ok(News::Ended(id)) => {
                inner.running.touch(id);
                inner.ring_for_limits();
            }
            Ok(News::Drain) => inner.look.notify_one(),
            Ok(News::Missed) | Err(RecvError::Lagged(_)) => {
                inner.work.notify_one();
                inner.look.notify_one();
                inner.running.touch_all();
            }
            Err(RecvError::Closed) => return,
        }
    }
}

impl Inner {
    /// An execution has ended: another one that its limit has held up may run now.
    pub(super) fn ring_for_limits(&self) {
        if !self.limits.is_empty() {
            self.work.notify_one();
        }
    }

    /// Takes note of the request to drain, or of its end.
    pub(super) fn hear_drain(&self, drain: Option<Drain>) {
        let before = self.drain.send_replace(drain);
        if before != drain {
            self.events.emit(&Event::DrainChanged { drain });
            self.work.notify_one();
        }
        // Again at each heartbeat: an execution may have been taken in the very moment of the request.
        if drain.is_some_and(|drain| drain.stop) {
            self.running.shut_down();
        }
        self.end_if_drained();
    }

    /// Tells that the node may end, when it was asked to and nothing runs any more.
    pub(super) fn end_if_drained(&self) {
        let exit = self.drain.borrow().is_some_and(|drain| drain.exit);
        if exit && self.running.count() == 0 {
            self.drained.cancel();
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.drain.borrow().is_some()
    }
}
