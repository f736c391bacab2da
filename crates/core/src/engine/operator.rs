//! What operators ask of a node: launch, wait, stop, restart, abandon, shut down.

use std::time::Duration;

use super::{Engine, Event};
use crate::execution::{ExecutionId, JobExecution, Status};
use crate::job::{GivenParameters, Job, JobParameters, MAX_PRIORITY, MIN_PRIORITY, ParameterFaults};
use crate::repository::{
    Drain, IdempotencyKey, LaunchError, LaunchRequest, Launched, NodeStatus, RecoverRequest, RepositoryError,
};

/// How long an idempotency key is kept.
const KEY_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Time between looks at an execution that another process runs, where the store does not tell of its end.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The same where it does, though it may fail to.
const LOOK_BESIDE_NEWS: Duration = Duration::from_secs(1);

/// How long a node that ends tries to take its row away: without, it is shown as gone for a while.
const GOODBYE: Duration = Duration::from_secs(2);

/// How a job is launched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaunchOptions {
    /// Run every step from the start.
    pub force: bool,
    /// A caller's key: the same launch within 24 hours answers the same execution.
    pub idempotency_key: Option<String>,
    /// Run it on this node at once, whatever waits; otherwise any node takes it from the queue.
    pub run_here: bool,
    /// Place in the queue: higher ones go first; `None` for what the job says.
    pub priority: Option<i32>,
}

/// Why a node refuses what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// There is no such job.
    #[error("there is no job '{name}'")]
    UnknownJob {
        /// Its name.
        name: String,
    },
    /// The parameters do not fit the job.
    #[error("{0}")]
    Parameters(#[from] ParameterFaults),
    /// The launch was refused.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The priority is out of its range.
    #[error("priority {priority} is not from {MIN_PRIORITY} to {MAX_PRIORITY}")]
    Priority {
        /// What was given.
        priority: i32,
    },
    /// There is no such execution.
    #[error("there is no execution {id}")]
    UnknownExecution {
        /// Its id.
        id: ExecutionId,
    },
    /// The execution cannot be restarted.
    #[error("execution {id} is {status} and cannot be restarted: {reason}")]
    NotRestartable {
        /// Its id.
        id: ExecutionId,
        /// Its status.
        status: Status,
        /// Why, and what to do instead.
        reason: String,
    },
    /// The skipped items of the execution cannot be run again.
    #[error("the skipped items of execution {id} cannot be run again: {reason}")]
    NotRerunnable {
        /// Its id.
        id: ExecutionId,
        /// Why, and what to do instead.
        reason: String,
    },
    /// The node takes no new work.
    #[error("the service is shutting down and takes no new work")]
    ShuttingDown,
    /// The store failed.
    #[error(transparent)]
    Repository(RepositoryError),
}

impl From<RepositoryError> for OperatorError {
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::NotFound { what: "execution", id } => Self::UnknownExecution { id: ExecutionId(id) },
            error => Self::Repository(error),
        }
    }
}

impl Engine {
    /// Launches a job. Once it has returned, the execution is durable: it runs even if this process dies.
    ///
    /// # Errors
    /// [`OperatorError`] says why it was refused; nothing was stored.
    pub async fn launch(
        &self,
        job_name: &str,
        given: GivenParameters,
        options: LaunchOptions,
    ) -> Result<Launched, OperatorError> {
        let job = self.inner.registry.get(job_name);
        let job = job.ok_or_else(|| OperatorError::UnknownJob { name: job_name.to_owned() })?;
        let parameters = job.resolve(given)?;
        self.launch_resolved(job, parameters, options).await
    }

    async fn launch_resolved(
        &self,
        job: &Job,
        parameters: JobParameters,
        options: LaunchOptions,
    ) -> Result<Launched, OperatorError> {
        if self.is_shutting_down() {
            return Err(OperatorError::ShuttingDown);
        }
        let inner = &self.inner;
        let config = &inner.config;
        let now = config.clock.now();
        let priority = options.priority.unwrap_or(job.priority());
        if !(MIN_PRIORITY..=MAX_PRIORITY).contains(&priority) {
            return Err(OperatorError::Priority { priority });
        }
        let request_hash = request_hash(job.name(), &parameters, options.force, options.priority);
        let idempotency = options.idempotency_key.map(|key| IdempotencyKey { key, request_hash, life: KEY_LIFE });
        let request = LaunchRequest {
            job_name: job.name().to_owned(),
            parameters,
            force: options.force,
            time: now,
            claim: options.run_here.then(|| (config.node.clone(), config.lease)),
            priority,
            limits: inner.limits.clone(),
            queue_limit: config.queue_limit,
            idempotency,
        };
        let launched = inner.repository.launch(request).await?;
        if !launched.replayed {
            self.begin(&launched);
        }
        Ok(launched)
    }

    /// Begins what was launched: here where it was claimed at once, otherwise when a node takes it.
    pub(super) fn begin(&self, launched: &Launched) {
        let inner = &self.inner;
        inner.events.emit(&Event::ExecutionLaunched { execution: &launched.execution });
        match launched.lease {
            Some(lease) => super::run_job::spawn(inner, launched.execution.clone(), lease, None),
            None => inner.work.notify_one(),
        }
    }

    /// Frees the instance of a launch from an execution whose owner is dead, so that the launch can resume it: what a
    /// process in the foreground does for itself where no service would.
    ///
    /// # Errors
    /// When the parameters do not fit the job, or the repository fails.
    pub async fn clear_the_way(&self, job_name: &str, given: GivenParameters) -> Result<(), OperatorError> {
        let job = self.inner.registry.get(job_name);
        let job = job.ok_or_else(|| OperatorError::UnknownJob { name: job_name.to_owned() })?;
        let key = job.resolve(given)?.job_key();
        let config = &self.inner.config;
        let request = RecoverRequest {
            node: config.node.clone(),
            held: self.inner.running.held(),
            policy: crate::repository::RecoverPolicy::Fail,
            max_recoveries: config.max_recoveries,
            time: config.clock.now(),
            only: Some((job_name.to_owned(), key)),
        };
        for recovered in self.inner.repository.recover(request).await? {
            self.inner.events.emit(&Event::ExecutionRecovered { recovered: &recovered });
        }
        Ok(())
    }

    /// Launches the instance of an execution again, with the same parameters: it goes on where it was.
    ///
    /// # Errors
    /// [`OperatorError::NotRestartable`] unless it is the last of its instance, and FAILED or STOPPED.
    pub async fn restart(&self, id: ExecutionId, run_here: bool) -> Result<Launched, OperatorError> {
        let execution = self.execution(id).await?;
        let refuse = |reason: String| OperatorError::NotRestartable { id, status: execution.status, reason };
        match execution.status {
            Status::Stopped | Status::Failed => {}
            Status::Completed => {
                return Err(refuse("it has done all its work; launch with force to run it again".into()));
            }
            Status::Abandoned => {
                return Err(refuse("it was given up; launch with force to run it from the start".into()));
            }
            Status::Starting | Status::Started | Status::Stopping => return Err(refuse("it is still running".into())),
        }
        let Some(job) = self.inner.registry.get(&execution.job_name) else {
            return Err(OperatorError::UnknownJob { name: execution.job_name });
        };
        let filter =
            crate::repository::ExecutionFilter { instance_id: Some(execution.instance_id), ..Default::default() };
        let page = crate::repository::PageRequest { before: None, limit: 1 };
        let newest = self.inner.repository.executions(filter, page).await?.executions;
        if let Some(newest) = newest.first().filter(|newest| newest.id != id) {
            return Err(refuse(format!("execution {} of the same instance came after it", newest.id)));
        }
        if let Some(of) = execution.rerun_of {
            if self.inner.repository.execution(of).await?.is_none() {
                return Err(refuse(super::rerun::gone(of)));
            }
            // Its instance is that of a re-run, which no parameters lead to.
            return Ok(self.rerun_skips(of, run_here).await?.launched);
        }
        let options = LaunchOptions { run_here, priority: Some(execution.priority), ..LaunchOptions::default() };
        self.launch_resolved(job, execution.parameters.clone(), options).await
    }

    /// Asks an execution to stop. It is STOPPING until its step has reached a safe point.
    ///
    /// # Errors
    /// When it does not exist or is not running.
    pub async fn stop(&self, id: ExecutionId) -> Result<JobExecution, OperatorError> {
        // What runs here is told first: it stops although the repository may be busy, even by its own doing.
        let is_told = self.inner.running.stop(id, &self.inner.events);
        match self.inner.repository.request_stop(id).await {
            // It has stopped of this very request before the request was recorded.
            Err(RepositoryError::Refused { transition, .. }) if is_told && transition.from == Status::Stopped => {
                self.execution(id).await
            }
            requested => Ok(requested?),
        }
    }

    /// Gives an execution up: its instance can then only be forced.
    ///
    /// # Errors
    /// When it does not exist or is running.
    pub async fn abandon(&self, id: ExecutionId) -> Result<JobExecution, OperatorError> {
        Ok(self.inner.repository.abandon(id).await?)
    }

    /// Waits until an execution has ended, but not longer than `at_most`, and tells how it stands then.
    ///
    /// # Errors
    /// When it does not exist, or the repository fails.
    pub async fn wait(&self, id: ExecutionId, at_most: Duration) -> Result<JobExecution, OperatorError> {
        let deadline = tokio::time::Instant::now() + at_most;
        let look_every = if self.inner.hears_news { LOOK_BESIDE_NEWS } else { LOOK_EVERY };
        let watcher = self.inner.running.watch(id);
        loop {
            // Taken before the look, so that no change between the look and the wait is missed.
            let change = watcher.change();
            let runs_here = self.inner.running.has(id);
            let execution = self.execution(id).await?;
            let now = tokio::time::Instant::now();
            if !execution.status.is_running() || now >= deadline {
                return Ok(execution);
            }
            // What runs here tells when it ends; what waits or runs elsewhere is looked at again.
            let look_again = if runs_here { deadline } else { deadline.min(now + look_every) };
            tokio::select! {
                () = change => {}
                () = tokio::time::sleep_until(look_again) => {}
            }
        }
    }

    /// Waits until something may have happened to an execution, but not longer than `at_most`. What happens on another
    /// node is heard only where the repository tells of it.
    pub async fn change(&self, id: ExecutionId, at_most: Duration) {
        let watcher = self.inner.running.watch(id);
        // Who waited in vain looks too.
        let _ = tokio::time::timeout(at_most, watcher.change()).await;
    }

    /// Waits until something may have happened to any execution, but not longer than `at_most`; as [`Self::change`].
    pub async fn any_change(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.inner.running.any_touch()).await;
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
    pub async fn drain(&self, boot_id: uuid::Uuid, drain: Option<Drain>) -> Result<NodeStatus, RepositoryError> {
        let asked = self.inner.repository.drain(boot_id, drain).await?;
        if boot_id == self.inner.config.node.boot_id {
            self.inner.hear_drain(drain);
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

    /// The steps of an execution that run on this node now, to be sampled for progress.
    pub fn live_steps(&self, id: ExecutionId) -> Vec<super::LiveStep> {
        self.inner.running.live_steps(id)
    }

    /// Takes no new work, lets running steps go on to their next chunk boundary, records them as STOPPED with exit code
    /// SHUTDOWN, and gives all leases back. Returns within the configured time.
    pub async fn shutdown(&self) {
        let inner = &self.inner;
        if !inner.closing.is_cancelled() {
            inner.events.emit(&Event::ShuttingDown { running: inner.running.count() });
        }
        inner.closing.cancel();
        inner.running.shut_down();
        inner.tasks.close();
        // A step that ignores the request is left behind after the configured time; recording it takes a moment more.
        let bound = inner.config.shutdown_timeout + super::run_job::LEAVE_BEHIND_AFTER * 2;
        let _ = tokio::time::timeout(bound, inner.tasks.wait()).await;
        if inner.store.gone().is_none() {
            let removed = tokio::time::timeout(GOODBYE, inner.repository.remove_node(&inner.config.node)).await;
            if let Ok(Err(error)) = removed {
                inner.report_trouble("remove the node", &error);
            }
        }
        if let Err(error) = inner.repository.close().await {
            inner.report_trouble("close the repository", &error);
        }
    }
}

fn request_hash(job_name: &str, parameters: &JobParameters, force: bool, priority: Option<i32>) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(job_name);
    hash.update([0, u8::from(force)]);
    hash.update(parameters.to_json());
    if let Some(priority) = priority {
        hash.update(format!(" priority {priority}"));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
