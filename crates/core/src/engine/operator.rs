//! Operators: what a person or a program asks of a store and the nodes that share it. It takes no running node.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::clock::Clock;
use super::config::{DEFAULT_MAX_RECOVERIES, DEFAULT_QUEUE_LIMIT, EngineConfig};
use super::local::LocalNode;
use super::preview::{Preview, PreviewError, PreviewOptions, preview};
use super::refusal::OperatorError;
use super::rerun_plan::gone;
use super::running::LiveStep;
use crate::event::{Event, EventSink};
use crate::execution::{ExecutionId, JobExecution, Status};
use crate::job::{GivenParameters, Job, JobParameters, JobRegistry, MAX_PRIORITY, MIN_PRIORITY, Resolved};
use crate::repository::{
    Admission, Drain, ExecutionFilter, IdempotencyKey, JobRepository, LaunchRequest, Launched, Node, NodeStatus,
    PageRequest, RecoverPolicy, RecoverRequest, RepositoryError, RunLimits,
};

/// The time that an idempotency key is kept.
const KEY_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Time between polls of an execution that another process runs, where the store does not notify of its end.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// The same where it does, though a notification may be lost.
const POLL_BESIDE_NOTIFICATIONS: Duration = Duration::from_secs(1);

/// The options of a launch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaunchOptions {
    /// Run every step from the start.
    pub force: bool,
    /// Launch a new run: an instance of its own, with the parameter [`RUN_PARAMETER`](crate::job::RUN_PARAMETER), one
    /// more than the greatest of the job's.
    pub new_run: bool,
    /// A caller's key: the same launch within 24 hours answers the same execution.
    pub idempotency_key: Option<String>,
    /// Rank in the queue: higher ones go first; `None` for what the job says.
    pub priority: Option<i32>,
}

/// The settings of an operator. Everything but the node has a default.
#[derive(Clone)]
#[non_exhaustive]
pub struct OperatorConfig {
    /// The node that asks: the one that runs in this process, or the name of this process.
    pub node: Node,
    /// Executions that may run at once on all nodes together; `None` for any number.
    pub max_running: Option<u32>,
    /// Launches that may wait; one more is refused. [`DEFAULT_QUEUE_LIMIT`]
    pub queue_limit: u32,
    /// Recoveries in a row without progress. [`DEFAULT_MAX_RECOVERIES`]
    pub max_recoveries: i64,
    /// The clock of the times that are shown.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for OperatorConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorConfig").field("node", &self.node).finish_non_exhaustive()
    }
}

impl OperatorConfig {
    /// The defaults for a process of this name.
    pub fn new(node: Node) -> Self {
        Self {
            node,
            max_running: None,
            queue_limit: DEFAULT_QUEUE_LIMIT,
            max_recoveries: DEFAULT_MAX_RECOVERIES,
            clock: Arc::new(super::clock::SystemClock),
        }
    }

    /// The settings of the operator of a node.
    pub(super) fn of(config: &EngineConfig) -> Self {
        Self {
            node: config.node.clone(),
            max_running: config.max_running,
            queue_limit: config.queue_limit,
            max_recoveries: config.max_recoveries,
            clock: Arc::clone(&config.clock),
        }
    }
}

/// The node that takes an execution at its launch, and how long its lease lasts; without one it waits in the queue.
pub(super) type Claim = Option<(Node, Duration)>;

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
        Self { inner: Arc::new(Inner { registry, repository, config, limits, events, local }) }
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

    /// Launches a job: a node takes it from the queue. Once it has returned, the execution is durable: it runs even if
    /// this process dies.
    ///
    /// # Errors
    /// [`OperatorError`] says why it was refused; nothing was stored.
    pub async fn launch(
        &self,
        job_name: &str,
        given: GivenParameters,
        options: LaunchOptions,
    ) -> Result<Launched, OperatorError> {
        self.launch_with(job_name, given, options, None).await
    }

    pub(super) async fn launch_with(
        &self,
        job_name: &str,
        given: GivenParameters,
        options: LaunchOptions,
        claim: Claim,
    ) -> Result<Launched, OperatorError> {
        let job = self.job(job_name)?;
        let resolved = job.resolve_launch(given, self.inner.config.clock.now(), options.new_run)?;
        self.launch_resolved(job, resolved, options, claim).await
    }

    fn job(&self, name: &str) -> Result<&Job, OperatorError> {
        self.inner.registry.get(name).ok_or_else(|| OperatorError::UnknownJob { name: name.to_owned() })
    }

    async fn launch_resolved(
        &self,
        job: &Job,
        resolved: Resolved,
        options: LaunchOptions,
        claim: Claim,
    ) -> Result<Launched, OperatorError> {
        self.check_open()?;
        let config = &self.inner.config;
        let priority = options.priority.unwrap_or(job.priority());
        if !(MIN_PRIORITY..=MAX_PRIORITY).contains(&priority) {
            return Err(OperatorError::Priority { priority });
        }
        let request_hash = request_hash(job.name(), &resolved, &options);
        let idempotency = options.idempotency_key.map(|key| IdempotencyKey { key, request_hash, life: KEY_LIFE });
        let request = LaunchRequest {
            job_name: job.name().to_owned(),
            parameters: resolved.parameters,
            force: options.force,
            new_run: options.new_run,
            restartable: job.is_restartable(),
            admission: Admission {
                time: config.clock.now(),
                claim,
                priority,
                limits: self.inner.limits.clone(),
                queue_limit: config.queue_limit,
            },
            idempotency,
        };
        let launched = self.inner.repository.launch(request).await?;
        self.announce(&launched);
        Ok(launched)
    }

    /// Refuses new work in a process whose node closes.
    pub(super) fn check_open(&self) -> Result<(), OperatorError> {
        if self.inner.local.closing.is_cancelled() { Err(OperatorError::ShuttingDown) } else { Ok(()) }
    }

    /// Says that a launch was accepted, and wakes the node of this process if it waits for one.
    pub(super) fn announce(&self, launched: &Launched) {
        if launched.replayed {
            return;
        }
        self.inner.events.emit(&Event::ExecutionLaunched { execution: &launched.execution });
        if launched.lease.is_none() {
            self.inner.local.work.notify_one();
        }
    }

    /// Frees the instance of a launch from an execution whose owner is dead, so that the launch can resume it: what a
    /// process in the foreground does for itself where no service would.
    ///
    /// # Errors
    /// When the parameters do not fit the job, or the repository fails.
    pub async fn clear_the_way(&self, job_name: &str, given: GivenParameters) -> Result<(), OperatorError> {
        let key = self.job(job_name)?.resolve(given, self.inner.config.clock.now())?.job_key();
        Ok(self.recover_instance(job_name.to_owned(), key).await?)
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

    /// Launches the instance of an execution again, with the same parameters: it goes on where it was.
    ///
    /// # Errors
    /// [`OperatorError::NotRestartable`] unless it is the last of its instance, and FAILED or STOPPED.
    pub async fn restart(&self, id: ExecutionId) -> Result<Launched, OperatorError> {
        self.restart_with(id, None).await
    }

    pub(super) async fn restart_with(&self, id: ExecutionId, claim: Claim) -> Result<Launched, OperatorError> {
        let execution = self.execution(id).await?;
        let refuse = |reason: String| OperatorError::NotRestartable { id, status: execution.status, reason };
        not_restartable(execution.status).map_or(Ok(()), |reason| Err(refuse(reason.to_owned())))?;
        let job = self.job(&execution.job_name)?;
        let filter = ExecutionFilter { instance_id: Some(execution.instance_id), ..ExecutionFilter::default() };
        let page = PageRequest { before: None, limit: 1 };
        let newest = self.inner.repository.executions(filter, page).await?.executions;
        if let Some(newest) = newest.first().filter(|newest| newest.id != id) {
            return Err(refuse(format!("execution {} of the same instance came after it", newest.id)));
        }
        if let Some(of) = execution.rerun_of {
            if self.inner.repository.execution(of).await?.is_none() {
                return Err(refuse(gone(of)));
            }
            // Its instance is that of a re-run, which no parameters lead to.
            return Ok(self.rerun_with(of, claim).await?.launched);
        }
        let options = LaunchOptions { priority: Some(execution.priority), ..LaunchOptions::default() };
        if !job.is_restartable() {
            let reason =
                "its job is not restartable; launch it as a new run, or with force to run every step from the start";
            return Err(refuse(reason.to_owned()));
        }
        // The values of the execution, also of those that the moment of its launch decided.
        let resolved = Resolved { parameters: execution.parameters.clone(), computed: Vec::new() };
        self.launch_resolved(job, resolved, options, claim).await
    }

    /// Refuses the name of a job that is neither known nor was ever run: a list for it would only be empty.
    ///
    /// # Errors
    /// [`OperatorError::UnknownJob`], or when the repository fails.
    pub async fn check_job_name(&self, name: &str) -> Result<(), OperatorError> {
        let is_known = self.inner.registry.get(name).is_some()
            || self.inner.repository.job_summary(name).await?.last_execution.is_some();
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
        preview(job, parameters, options, Arc::clone(&self.inner.repository), held).await
    }

    /// Waits until an execution has ended, but not longer than `at_most`; how it stands then.
    ///
    /// # Errors
    /// When it does not exist, or the repository fails.
    pub async fn wait(&self, id: ExecutionId, at_most: Duration) -> Result<JobExecution, OperatorError> {
        let deadline = Instant::now() + at_most;
        let local = &self.inner.local;
        let poll_every = if local.listens { POLL_BESIDE_NOTIFICATIONS } else { POLL_EVERY };
        let watcher = local.changes.watch(id);
        loop {
            // Taken before the poll, so that no change between the poll and the wait is missed.
            let change = watcher.change();
            let runs_here = local.running.has(id);
            let execution = self.execution(id).await?;
            let now = Instant::now();
            if !execution.status.is_running() || now >= deadline {
                return Ok(execution);
            }
            // What runs here notifies when it ends; what waits or runs elsewhere is polled.
            let next = if runs_here { deadline } else { deadline.min(now + poll_every) };
            tokio::select! {
                () = change => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Waits until something may have happened to an execution, but not longer than `at_most`. What happens on another
    /// node is heard only where the repository notifies of it.
    pub async fn change(&self, id: ExecutionId, at_most: Duration) {
        let watcher = self.inner.local.changes.watch(id);
        // A caller that waited in vain polls too.
        let _ = tokio::time::timeout(at_most, watcher.change()).await;
    }

    /// Waits until something may have happened to any execution, but not longer than `at_most`; as [`Self::change`].
    pub async fn any_change(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.inner.local.changes.any()).await;
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

    /// Waits until a node is as `is_done` wants it, but not longer than `at_most`; how it stands then, `None` when it
    /// has ended.
    ///
    /// # Errors
    /// When the repository fails.
    pub async fn wait_for_node(
        &self,
        boot_id: Uuid,
        at_most: Duration,
        is_done: impl Fn(&NodeStatus) -> bool,
    ) -> Result<Option<NodeStatus>, RepositoryError> {
        let deadline = Instant::now() + at_most;
        loop {
            let node = self.nodes().await?.into_iter().find(|node| node.report.node.boot_id == boot_id);
            let now = Instant::now();
            if now >= deadline || node.as_ref().is_none_or(&is_done) {
                return Ok(node);
            }
            tokio::time::sleep_until(deadline.min(now + POLL_EVERY)).await;
        }
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

/// The reason why an execution of this status cannot be restarted, and the alternative.
fn not_restartable(status: Status) -> Option<&'static str> {
    match status {
        Status::Stopped | Status::Failed => None,
        Status::Completed => Some("it has done all its work; launch with force to run it again"),
        Status::Abandoned => Some("it was given up; launch with force to run it from the start"),
        Status::Starting | Status::Started | Status::Stopping => Some("it is still running"),
    }
}

/// The limits of a setting and of the jobs of a registry.
fn limits(registry: &JobRegistry, total: Option<u32>) -> RunLimits {
    let of_job = |job: &Job| job.max_running().map(|limit| (job.name().to_owned(), limit));
    RunLimits { total, of_jobs: registry.iter().filter_map(of_job).collect() }
}

/// Everything in a launch but its key. What the moment decides is no part of it: the same launch a day later is the
/// same.
fn request_hash(job_name: &str, resolved: &Resolved, options: &LaunchOptions) -> String {
    use sha2::{Digest, Sha256};
    let mut parameters = JobParameters::default();
    for (name, parameter) in
        resolved.parameters.iter().filter(|(name, _)| !resolved.computed.iter().any(|it| it == name))
    {
        parameters.insert(name, parameter.clone());
    }
    let mut hash = Sha256::new();
    hash.update(job_name);
    hash.update([0, u8::from(options.force)]);
    hash.update(parameters.to_json());
    if let Some(priority) = options.priority {
        hash.update(format!(" priority {priority}"));
    }
    if options.new_run {
        hash.update(" new run");
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
