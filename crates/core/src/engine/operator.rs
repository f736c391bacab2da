//! Operators: what a person or a program asks of a store and the nodes that share it. It takes no running node.

mod config;
mod launch;
mod wait;

use std::sync::Arc;

use uuid::Uuid;

use super::local::LocalNode;
use super::preview::{Preview, PreviewError, PreviewOptions, preview};
use super::refusal::OperatorError;
use super::running::LiveStep;
use super::seen_files::SeenFiles;
use crate::event::{Event, EventSink};
use crate::execution::{ExecutionId, JobExecution, Status, cause_chain};
use crate::job::{GivenParameters, InvalidParameter, InvalidParameters, Job, JobRegistry};
use crate::repository::{Drain, JobRepository, NodeStatus, RecoverPolicy, RecoverRequest, RepositoryError, RunLimits};
pub(super) use config::Claim;
pub use config::{LaunchOptions, OperatorConfig};

/// Launches, stops, restarts, abandons, re-runs and previews jobs, and asks how they are: all of it through the store,
/// so that it takes a registry and a repository, not a running node. Cheap to clone.
#[derive(Clone)]
pub struct Operator {
    inner: Arc<Inner>,
}

struct Inner {
    registry: JobRegistry,
    repository: Arc<dyn JobRepository>,
    config: OperatorConfig,
    limits: RunLimits,
    events: EventSink,
    local: Arc<LocalNode>,
    seen_files: SeenFiles,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").field("node", &self.inner.config.node).finish_non_exhaustive()
    }
}

impl Operator {
    /// An operator in a process without a node: what it launches waits for one.
    pub fn new(registry: JobRegistry, repository: Arc<dyn JobRepository>, config: OperatorConfig) -> Self {
        let local = Arc::new(LocalNode::new(config.node.clone(), false));
        Self::sharing(registry, repository, config, EventSink::default(), local)
    }

    /// The operator of a node.
    pub(super) fn sharing(
        registry: JobRegistry,
        repository: Arc<dyn JobRepository>,
        config: OperatorConfig,
        events: EventSink,
        local: Arc<LocalNode>,
    ) -> Self {
        let limits = limits(&registry, config.max_running);
        let seen_files = SeenFiles::default();
        Self { inner: Arc::new(Inner { registry, repository, config, limits, events, local, seen_files }) }
    }

    /// The jobs that are known.
    pub fn registry(&self) -> &JobRegistry {
        &self.inner.registry
    }

    /// The repository.
    pub fn repository(&self) -> &Arc<dyn JobRepository> {
        &self.inner.repository
    }

    /// The limits that launches keep to: its own setting, and those of the jobs that it knows.
    pub(super) fn limits(&self) -> &RunLimits {
        &self.inner.limits
    }

    pub(super) fn settings(&self) -> &OperatorConfig {
        &self.inner.config
    }

    pub(super) fn events(&self) -> &EventSink {
        &self.inner.events
    }

    /// `true` if the node of this process closes.
    pub(super) fn is_closing(&self) -> bool {
        self.inner.local.closing.is_cancelled()
    }

    /// The files that the schedules of this process have seen.
    pub(super) fn seen_files(&self) -> &SeenFiles {
        &self.inner.seen_files
    }

    /// Wakes the node of this process, if one runs: a schedule was changed.
    pub(super) fn wake_schedules(&self) {
        self.inner.local.schedules.notify_one();
    }

    /// Wakes the node of this process, if one runs: there may be work to take.
    pub(super) fn wake_work(&self) {
        self.inner.local.work.notify_one();
    }

    /// Wakes the node of this process, if one runs: bulk work was begun.
    pub(super) fn wake_bulks(&self) {
        self.inner.local.bulks.notify_one();
    }

    /// Ends a running execution whose process is dead, as a node would at its next poll; a living one is left alone.
    /// The result is its state then.
    ///
    /// # Errors
    /// When it does not exist, or the repository fails.
    pub async fn end_if_dead(&self, id: ExecutionId) -> Result<JobExecution, OperatorError> {
        let execution = self.execution(id).await?;
        if !execution.status.is_running() {
            return Ok(execution);
        }
        let Some(instance) = self.inner.repository.instance(execution.instance_id).await? else {
            return Ok(execution);
        };
        self.recover_instance(instance.job_name, instance.job_key).await?;
        self.execution(id).await
    }

    async fn recover_instance(&self, job_name: String, job_key: String) -> Result<(), RepositoryError> {
        let inner = &self.inner;
        let request = RecoverRequest {
            node: inner.config.node.clone(),
            held: inner.local.running.held(),
            policy: RecoverPolicy::Fail,
            max_recoveries: inner.config.max_recoveries,
            time: inner.config.clock.now(),
            only: Some((job_name, job_key)),
        };
        for recovered in inner.repository.recover(request).await? {
            inner.events.emit(&Event::ExecutionRecovered { recovered: &recovered });
        }
        Ok(())
    }

    /// Refuses the name of a job that is neither known nor was ever run: a list for it would only be empty.
    ///
    /// # Errors
    /// [`OperatorError::UnknownJob`], or when the repository fails.
    pub async fn check_job_name(&self, name: &str) -> Result<(), OperatorError> {
        let is_known =
            self.inner.registry.get(name).is_some() || self.inner.repository.newest_of_job(name).await?.is_some();
        if is_known { Ok(()) } else { Err(OperatorError::UnknownJob { name: name.to_owned() }) }
    }

    /// Asks an execution to stop. It is STOPPING until its step has reached a safe point.
    ///
    /// An execution of this process is asked first: it stops although the repository may be busy, even by its own
    /// doing. The request is then accepted without its record; the end of the execution records it.
    ///
    /// # Errors
    /// When it does not exist or is not running, or runs elsewhere and the repository fails: it is not asked to stop
    /// then.
    pub async fn stop(&self, id: ExecutionId) -> Result<JobExecution, OperatorError> {
        let (running, events) = (&self.inner.local.running, &self.inner.events);
        let asked = running.get(id);
        running.stop(id, events);
        match (self.inner.repository.request_stop(id).await, asked) {
            (Ok(execution), _) => Ok(execution),
            // It has stopped of this very request before the request was recorded.
            (Err(RepositoryError::Refused { transition, .. }), Some(_)) if transition.from == Status::Stopped => {
                self.execution(id).await
            }
            (Err(error), Some(handle)) if !is_refusal(&error) => {
                events.emit(&Event::RepositoryTrouble { doing: "record a request to stop", error: &error });
                Ok(JobExecution { status: Status::Stopping, ..(*handle.execution).clone() })
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Gives an execution up: its instance can then only be forced.
    ///
    /// # Errors
    /// When it does not exist or is running.
    pub async fn abandon(&self, id: ExecutionId) -> Result<JobExecution, OperatorError> {
        Ok(self.inner.repository.abandon(id).await?)
    }

    /// Shows the first items of a job, input next to output. Nothing is written or stored: no instance, no execution,
    /// no output. What the author's own code does besides reading is its own; [`crate::StepContext::is_preview`] says
    /// so.
    ///
    /// Dropped before it is ready, it asks the author's code to stop. `held` is dropped when the last of that code has
    /// ended.
    ///
    /// # Errors
    /// [`PreviewError`] when there is nothing to preview. The error of an item is a part of the preview, which goes on.
    pub async fn preview(
        &self,
        job: &Job,
        given: GivenParameters,
        options: PreviewOptions,
        held: impl Send + 'static,
    ) -> Result<Preview, PreviewError> {
        let parameters = job.resolve(given, self.inner.config.clock.now())?;
        let opened = self.inner.config.secrets.open_aside(job, &parameters).await.map_err(|error| {
            let message = cause_chain(&error);
            InvalidParameters { errors: vec![InvalidParameter { parameter: None, message }] }
        })?;
        preview(job, opened, options, Arc::clone(&self.inner.repository), held).await
    }

    /// The nodes that share the repository, in the order in which they started.
    ///
    /// # Errors
    /// When the repository fails.
    pub async fn nodes(&self) -> Result<Vec<NodeStatus>, RepositoryError> {
        self.inner.repository.nodes().await
    }

    /// Asks a node, this one or another, to take no new work; with `None` to take it again.
    ///
    /// # Errors
    /// When there is no such node, or the repository fails.
    pub async fn drain(&self, boot_id: Uuid, drain: Option<Drain>) -> Result<NodeStatus, RepositoryError> {
        let asked = self.inner.repository.drain(boot_id, drain).await?;
        if boot_id == self.inner.local.node.boot_id {
            self.inner.local.renew.notify_one();
        }
        Ok(asked)
    }

    /// The execution `id` as it stands.
    ///
    /// # Errors
    /// When it does not exist, or the repository fails.
    pub async fn execution(&self, id: ExecutionId) -> Result<JobExecution, OperatorError> {
        self.inner.repository.execution(id).await?.ok_or(OperatorError::UnknownExecution { id })
    }

    /// The steps of an execution that run in this process now, to be sampled for progress.
    pub fn live_steps(&self, id: ExecutionId) -> Vec<LiveStep> {
        self.inner.local.running.live_steps(id)
    }
}

/// `true` if the store has answered, and refuses.
fn is_refusal(error: &RepositoryError) -> bool {
    matches!(error, RepositoryError::Refused { .. } | RepositoryError::NotFound { .. } | RepositoryError::Gone { .. })
}

/// The limits of a setting and of the jobs of a registry.
fn limits(registry: &JobRegistry, total: Option<u32>) -> RunLimits {
    let of_job = |job: &Job| job.max_running().map(|limit| (job.name().to_owned(), limit));
    RunLimits { total, of_jobs: registry.iter().filter_map(of_job).collect() }
}
