//! The state of a node, which its background tasks share.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::EngineConfig;
use super::local::LocalNode;
use super::store::StoreHealth;
use super::tally::Tally;
use crate::event::{Event, EventSink};
use crate::job::JobRegistry;
use crate::repository::{Drain, JobRepository, KnownJobs, NodeReport, RepositoryError, RunLimits};

/// The state of a node.
pub(super) struct EngineState {
    pub(super) registry: JobRegistry,
    pub(super) repository: Arc<dyn JobRepository>,
    pub(super) config: EngineConfig,
    pub(super) events: EventSink,
    pub(super) local: Arc<LocalNode>,
    pub(super) store: StoreHealth,
    /// The report that the heartbeats send.
    pub(super) report: NodeReport,
    /// The jobs that it knows, for its claims.
    pub(super) known: Arc<KnownJobs>,
    pub(super) limits: RunLimits,
    pub(super) tally: Arc<Tally>,
    /// The request to drain, as it was last heard.
    pub(super) drain: watch::Sender<Option<Drain>>,
    /// Cancelled when nothing runs any more on a node that is to end once it is drained.
    pub(super) drained: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl EngineState {
    /// The report of a node's heartbeats.
    pub(super) fn report_of(registry: &JobRegistry, config: &EngineConfig) -> NodeReport {
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

    /// Reports an error of the store that was met in the background. When the store itself is gone, the node drops what
    /// it runs, since nothing of it would be kept, and takes no more.
    pub(super) fn report_trouble(&self, doing: &'static str, error: &RepositoryError) {
        if !error.is_gone() {
            self.events.emit(&Event::RepositoryTrouble { doing, error });
            return;
        }
        if self.store.set_gone(error.to_string()) {
            self.events.emit(&Event::RepositoryGone { error });
        }
        self.local.closing.cancel();
        self.local.running.lose_store();
    }

    /// An execution has ended: another one that its limit has held up may run now.
    pub(super) fn wake_for_limits(&self) {
        if !self.limits.is_empty() {
            self.local.work.notify_one();
        }
    }

    /// Takes note of the request to drain, or of its end.
    pub(super) fn set_drain(&self, drain: Option<Drain>) {
        let before = self.drain.send_replace(drain);
        if before != drain {
            self.events.emit(&Event::DrainChanged { drain });
            self.local.work.notify_one();
        }
        // Again at each heartbeat: an execution may have been taken in the very moment of the request.
        if drain.is_some_and(|drain| drain.stop) {
            self.local.running.shut_down();
        }
        self.end_if_drained();
    }

    /// Lets the node end, when it was asked to and nothing runs any more.
    pub(super) fn end_if_drained(&self) {
        let exit = self.drain.borrow().is_some_and(|drain| drain.exit);
        if exit && self.local.running.count() == 0 {
            self.drained.cancel();
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.drain.borrow().is_some()
    }
}
