//! What operators ask of a node: launch, wait, stop, restart, abandon, shut down.

use std::time::Duration;

use super::{Engine, Event};
use crate::execution::{ExecutionId, JobExecution, Status};
use crate::job::{GivenParameters, JobParameters, ParameterFaults};
use crate::repository::{IdempotencyKey, LaunchError, LaunchRequest, Launched, RecoverRequest, RepositoryError};

/// How long an idempotency key is kept.
const KEY_LIFE: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);
/// Time between looks at an execution that another process runs.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How a job is launched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaunchOptions {
    /// Run every step from the start.
    pub force: bool,
    /// A caller's key: the same launch within 24 hours answers the same execution.
    pub idempotency_key: Option<String>,
    /// Run it on this node at once, whatever waits; otherwise any node takes it from the queue.
    pub run_here: bool,
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
        self.launch_resolved(job_name, parameters, options).await
    }

    async fn launch_resolved(
        &self,
        job_name: &str,
        parameters: JobParameters,
        options: LaunchOptions,
    ) -> Result<Launched, OperatorError> {
        if self.is_shutting_down() {
            return Err(OperatorError::ShuttingDown);
        }
        let inner = &self.inner;
        let config = &inner.config;
        let now = config.clock.now();
        let idempotency = options.idempotency_key.map(|key| IdempotencyKey {
            key,
            request_hash: request_hash(job_name, &parameters, options.force),
            valid_since: now.checked_sub(KEY_LIFE).unwrap_or(jiff::Timestamp::MIN),
        });
        let request = LaunchRequest {
            job_name: job_name.to_owned(),
            parameters,
            force: options.force,
            time: now,
            claim: options.run_here.then(|| (config.node.clone(), config.lease)),
            queue_limit: config.queue_limit,
            idempotency,
        };
        let launched = inner.repository.launch(request).await?;
        if launched.replayed {
            return Ok(launched);
        }
        inner.events.emit(&Event::ExecutionLaunched { execution: &launched.execution });
        match launched.lease {
            Some(lease) => super::run_job::spawn(inner, launched.execution.clone(), lease, None),
            None => inner.work.notify_one(),
        }
        Ok(launched)
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
        if self.inner.registry.get(&execution.job_name).is_none() {
            return Err(OperatorError::UnknownJob { name: execution.job_name });
        }
        let filter =
            crate::repository::ExecutionFilter { instance_id: Some(execution.instance_id), ..Default::default() };
        let page = crate::repository::PageRequest { before: None, limit: 1 };
        let newest = self.inner.repository.executions(filter, page).await?.executions;
        if let Some(newest) = newest.first().filter(|newest| newest.id != id) {
            return Err(refuse(format!("execution {} of the same instance came after it", newest.id)));
        }
        let options = LaunchOptions { run_here, ..LaunchOptions::default() };
        self.launch_resolved(&execution.job_name, execution.parameters.clone(), options).await
    }

    /// Asks an execution to stop. It is STOPPING until its step has reached a safe point.
    ///
    /// # Errors
    /// When it does not exist or is not running.
    pub async fn stop(&self, id: ExecutionId) -> Result<JobExecution, OperatorError> {
        // What runs here is told first: it stops although the repository may be busy, even by its own doing.
        self.inner.running.stop(id, &self.inner.events);
        Ok(self.inner.repository.request_stop(id).await?)
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
        loop {
            // Taken before the look, so that no change between the look and the wait is missed.
            let change = self.inner.running.any_change();
            let ended = self.inner.running.ended(id);
            let execution = self.execution(id).await?;
            if !execution.status.is_running() || tokio::time::Instant::now() >= deadline {
                return Ok(execution);
            }
            // What runs here tells when it ends; what waits or runs elsewhere is looked at again.
            let look_again = tokio::time::sleep_until(deadline.min(tokio::time::Instant::now() + LOOK_EVERY));
            match ended {
                Some(ended) => tokio::select! {
                    () = ended.cancelled() => {}
                    () = tokio::time::sleep_until(deadline) => {}
                },
                None => tokio::select! {
                    () = change => {}
                    () = look_again => {}
                },
            }
        }
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
        if let Err(error) = inner.repository.close().await {
            inner.events.emit(&Event::RepositoryTrouble { doing: "close the repository", error: &error });
        }
    }
}

fn request_hash(job_name: &str, parameters: &JobParameters, force: bool) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(job_name);
    hash.update([0, u8::from(force)]);
    hash.update(parameters.to_json());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
