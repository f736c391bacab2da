//! Runs jobs: takes executions, runs their steps on threads of their own, keeps leases, recovers, stops, shuts down.

mod clock;
mod config;
mod dispatch;
mod event;
mod finish;
mod lease;
mod news;
mod operator;
mod preview;
mod rerun;
mod run_job;
mod run_step;
mod running;
mod store;

use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use clock::{Clock, SystemClock};
pub use config::{
    DEFAULT_CONCURRENCY, DEFAULT_HEARTBEAT, DEFAULT_LEASE, DEFAULT_MAX_RECOVERIES, DEFAULT_QUEUE_LIMIT,
    DEFAULT_SHUTDOWN_TIMEOUT, DEFAULT_STOP_GRACE, EngineConfig,
};
pub(crate) use event::EventSink;
pub use event::{Event, EventConsumer};
pub use operator::{LaunchOptions, OperatorError};
pub use preview::{
    DEFAULT_PREVIEW_ITEMS, DEFAULT_PREVIEW_TIME, MAX_PREVIEW_ITEMS, Preview, PreviewEnd, PreviewError, PreviewOptions,
    preview,
};
pub use rerun::{LeftSkip, MAX_LEFT_SHOWN, Rerun};
pub use running::LiveStep;
pub use store::NotReady;

use crate::job::JobRegistry;
use crate::repository::{Drain, JobRepository, NodeReport, RepositoryError, RunLimits};
use running::Running;
use store::StoreHealth;

/// A node that launches and runs jobs. Cheap to clone; all clones are the same node.
///
/// It lives in a tokio runtime with timers. User code never runs on that runtime's threads: each step has a thread of
/// its own, so a job that burns CPU or blocks for ever cannot make the service deaf.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    registry: JobRegistry,
    repository: Arc<dyn JobRepository>,
    config: EngineConfig,
    events: EventSink,
    running: Running,
    store: StoreHealth,
    /// Rung when there may be work to take.
    work: Notify,
    /// Whether the repository tells of what other processes do.
    hears_news: bool,
    /// Rung when leases are to be renewed, and with them requests to stop and to drain heard, before their time.
    look: Notify,
    /// What the node tells of itself.
    report: NodeReport,
    limits: RunLimits,
    /// The request to drain, as it was last heard.
    drain: watch::Sender<Option<Drain>>,
    /// Cancelled when nothing runs any more on a node that is to end once it is drained.
    drained: CancellationToken,
    /// No new work is taken once it is cancelled.
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("node", &self.inner.config.node).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts a node: announces it, recovers what dead owners left, and begins to take waiting executions.
    ///
    /// # Errors
    /// When the repository cannot be used.
    pub async fn start(
        registry: JobRegistry,
        repository: Arc<dyn JobRepository>,
        config: EngineConfig,
    ) -> Result<Self, RepositoryError> {
        repository.register_node(&config.node).await?;
        let report = news::report(&registry, &config);
        repository.heartbeat(&report).await?;
        let inner = Arc::new(Inner {
            hears_news: repository.listen().is_some(),
            look: Notify::new(),
            report,
            limits: news::limits(&registry, &config),
            drain: watch::Sender::new(None),
            drained: CancellationToken::new(),
            registry,
            repository,
            events: EventSink::new(config.consumers.clone()),
            running: Running::default(),
            store: StoreHealth::new(),
            work: Notify::new(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
            config,
        });
        inner.tasks.spawn(lease::keep(Arc::clone(&inner)));
        inner.tasks.spawn(news::hear(Arc::clone(&inner)));
        if inner.config.take_work {
            dispatch::recover(&inner).await?;
            inner.tasks.spawn(dispatch::take_work(Arc::clone(&inner)));
        }
        Ok(Self { inner })
    }

    /// The jobs that the node knows.
    pub fn registry(&self) -> &JobRegistry {
        &self.inner.registry
    }

    /// Where everything is kept.
    pub fn repository(&self) -> &Arc<dyn JobRepository> {
        &self.inner.repository
    }

    /// The settings of the node.
    pub fn config(&self) -> &EngineConfig {
        &self.inner.config
    }

    /// Waits until the node was asked to drain and then to end, and nothing runs on it any more.
    pub async fn drained(&self) {
        self.inner.drained.cancelled().await;
    }

    /// Waits until the store is gone under the node, and says what became of it. Nothing can be kept any more: what ran was
    /// dropped, and what is left is to end the process.
    pub async fn store_gone(&self) -> RepositoryError {
        self.inner.store.until_gone().await
    }

    /// Whether the node can take work: it does not shut down, and its heartbeats are written down.
    ///
    /// # Errors
    /// [`NotReady`] says why it cannot.
    pub fn check_ready(&self) -> Result<(), NotReady> {
        let inner = &self.inner;
        let checked = inner.store.check(inner.config.heartbeat_every);
        match checked {
            Ok(()) if inner.closing.is_cancelled() => Err(NotReady::ShuttingDown),
            checked => checked,
        }
    }

    /// Whether it has begun to shut down: launches are refused.
    pub fn is_shutting_down(&self) -> bool {
        self.inner.closing.is_cancelled()
    }
}
