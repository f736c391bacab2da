//! The state that all handlers share: the engine, the hosts it answers for, the limits, and the request to shut down.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use oxbatch_core::engine::OperatorError;
use oxbatch_core::execution::{ExecutionId, cause_chain};
use oxbatch_core::{Engine, JobExecution};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::config::{Limits, ServerConfig};
use crate::job_counts::JobCounts;
use crate::middleware::AllowedHosts;
use crate::polls::Polls;
#[cfg(feature = "metrics")]
use crate::requests::Requests;

/// Trials of channels that are under way at the same moment; further ones wait.
const MOST_TRIALS: usize = 4;

/// The state that all handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    access: Access,
    hosts: AllowedHosts,
    limits: Limits,
    requests: Arc<Semaphore>,
    waiting: Semaphore,
    previews: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    polls: Polls,
    trials: Semaphore,
    job_counts: JobCounts,
    #[cfg(feature = "metrics")]
    sums: Requests,
    shutdown: CancellationToken,
}

impl AppState {
    /// The state of a service that listens on `address` by the settings of `config`, until `shutdown` is cancelled.
    pub fn new(engine: Engine, config: &ServerConfig, address: SocketAddr, shutdown: CancellationToken) -> Self {
        let limits = config.limits.clone();
        let hosts = AllowedHosts::new(&config.listen, address, &config.allowed_hosts);
        let requests = Arc::new(Semaphore::new(limits.max_requests));
        let waiting = Semaphore::new(limits.max_waiting);
        let previews = Arc::new(Semaphore::new(limits.max_previews));
        let streams = Arc::new(Semaphore::new(limits.max_streams));
        Self {
            inner: Arc::new(Inner {
                engine,
                access: Access::new(config, address.ip().is_loopback()),
                hosts,
                limits,
                requests,
                waiting,
                previews,
                streams,
                polls: Polls::default(),
                trials: Semaphore::new(MOST_TRIALS),
                job_counts: JobCounts::default(),
                #[cfg(feature = "metrics")]
                sums: Requests::default(),
                shutdown,
            }),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(crate) fn access(&self) -> &Access {
        &self.inner.access
    }

    pub(crate) fn hosts(&self) -> &AllowedHosts {
        &self.inner.hosts
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// One permit for each request that is worked on.
    pub(crate) fn requests(&self) -> &Arc<Semaphore> {
        &self.inner.requests
    }

    /// One permit for each preview whose author's code may still run.
    pub(crate) fn previews(&self) -> &Arc<Semaphore> {
        &self.inner.previews
    }

    /// One permit for each stream of events.
    pub(crate) fn streams(&self) -> &Arc<Semaphore> {
        &self.inner.streams
    }

    /// The polls that streams share.
    pub(crate) fn polls(&self) -> &Polls {
        &self.inner.polls
    }

    /// One permit for each trial of a channel that is under way: each takes a thread for as long as its receiver likes.
    pub(crate) fn trials(&self) -> &Semaphore {
        &self.inner.trials
    }

    /// The numbers of executions of jobs, counted now and then.
    pub(crate) fn job_counts(&self) -> &JobCounts {
        &self.inner.job_counts
    }

    /// The sums of the requests that were answered.
    #[cfg(feature = "metrics")]
    pub(crate) fn sums(&self) -> &Requests {
        &self.inner.sums
    }

    pub(crate) fn shutdown(&self) -> &CancellationToken {
        &self.inner.shutdown
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        self.inner.shutdown.is_cancelled() || self.inner.engine.is_shutting_down()
    }

    /// Waits until an execution has ended, at most `at_most`, and not through a shutdown; how it stands then. `None`
    /// when that cannot be read: what was asked for has been done, and the caller still learns of which execution.
    ///
    /// When too many requests wait already, this one is answered at once.
    pub(crate) async fn wait(&self, id: ExecutionId, at_most: Duration) -> Option<JobExecution> {
        let engine = self.engine();
        let waited = match self.inner.waiting.try_acquire() {
            Ok(_permit) => tokio::select! {
                execution = engine.wait(id, at_most) => Some(execution),
                () = self.inner.shutdown.cancelled() => None,
            },
            Err(_) => None,
        };
        let execution = match waited {
            Some(execution) => execution,
            None => engine.execution(id).await,
        };
        let log = |error: &OperatorError| {
            tracing::warn!(execution.id = id.0, cause = cause_chain(error), "its end cannot be waited for");
        };
        execution.inspect_err(log).ok()
    }
}
