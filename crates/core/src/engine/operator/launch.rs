//! Launches and restarts by an operator.

use std::time::Duration;

use super::Operator;
use super::config::{Claim, LaunchOptions};
use crate::engine::refusal::OperatorError;
use crate::engine::rerun_plan::gone;
use crate::event::Event;
use crate::execution::{ExecutionId, Status};
use crate::job::{GivenParameters, Job, JobParameters, MAX_PRIORITY, MIN_PRIORITY, Resolved};
use crate::repository::{Admission, ExecutionFilter, IdempotencyKey, LaunchRequest, Launched, PageRequest};

/// The time that an idempotency key is kept.
const KEY_LIFE: Duration = Duration::from_secs(24 * 3600);

impl Operator {
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

    pub(in crate::engine) async fn launch_with(
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
        let request = self.request_of(job, resolved, options, claim)?;
        let launched = self.inner.repository.launch(request).await?;
        self.announce(&launched);
        Ok(launched)
    }

    /// The request to launch a job with checked parameters.
    pub(in crate::engine) fn request_of(
        &self,
        job: &Job,
        resolved: Resolved,
        options: LaunchOptions,
        claim: Claim,
    ) -> Result<LaunchRequest, OperatorError> {
        let config = &self.inner.config;
        let priority = options.priority.unwrap_or(job.priority());
        if !(MIN_PRIORITY..=MAX_PRIORITY).contains(&priority) {
            return Err(OperatorError::Priority { priority });
        }
        let request_hash = request_hash(job.name(), &resolved, &options);
        let idempotency = options.idempotency_key.map(|key| IdempotencyKey { key, request_hash, life: KEY_LIFE });
        Ok(LaunchRequest {
            job_name: job.name().to_owned(),
            parameters: resolved.parameters,
            force: options.force,
            new_run: options.new_run,
            definition: Some(job.fingerprint().to_owned()),
            accept_changes: options.accept_changes,
            restartable: job.is_restartable(),
            admission: Admission {
                time: config.clock.now(),
                claim,
                priority,
                limits: self.inner.limits.clone(),
                queue_limit: config.queue_limit,
            },
            idempotency,
        })
    }

    /// Refuses new work in a process whose node closes.
    pub(in crate::engine) fn check_open(&self) -> Result<(), OperatorError> {
        if self.inner.local.closing.is_cancelled() { Err(OperatorError::ShuttingDown) } else { Ok(()) }
    }

    /// Says that a launch was accepted, and wakes the node of this process if it waits for one.
    pub(in crate::engine) fn announce(&self, launched: &Launched) {
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

    /// Launches the instance of an execution again, with the same parameters: it goes on where it was.
    ///
    /// # Errors
    /// [`OperatorError::NotRestartable`] unless it is the last of its instance, and FAILED or STOPPED.
    /// [`LaunchError::DefinitionChanged`](crate::repository::LaunchError::DefinitionChanged) when its job is defined
    /// otherwise by now, in what the past of the instance depends on.
    pub async fn restart(&self, id: ExecutionId) -> Result<Launched, OperatorError> {
        self.restart_with(id, None, false).await
    }

    /// As [`Self::restart`], whatever has changed in the definition of the job.
    ///
    /// # Errors
    /// [`OperatorError::NotRestartable`] as above.
    pub async fn restart_accepting_changes(&self, id: ExecutionId) -> Result<Launched, OperatorError> {
        self.restart_with(id, None, true).await
    }

    pub(in crate::engine) async fn restart_with(
        &self,
        id: ExecutionId,
        claim: Claim,
        accept_changes: bool,
    ) -> Result<Launched, OperatorError> {
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
        let options = LaunchOptions { priority: Some(execution.priority), accept_changes, ..LaunchOptions::default() };
        if !job.is_restartable() {
            let reason =
                "its job is not restartable; launch it as a new run, or with force to run every step from the start";
            return Err(refuse(reason.to_owned()));
        }
        // The values of the execution, also of those that the moment of its launch decided.
        let resolved = Resolved { parameters: execution.parameters.clone(), computed: Vec::new() };
        self.launch_resolved(job, resolved, options, claim).await
    }
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
    if options.accept_changes {
        hash.update(" accept changes");
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
