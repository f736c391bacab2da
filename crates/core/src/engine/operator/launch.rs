//! Launches by an operator.

use std::time::Duration;

use super::Operator;
use super::config::{Claim, LaunchOptions};
use crate::engine::refusal::OperatorError;
use crate::event::Event;
use crate::execution::ExecutionId;
use crate::job::{GivenParameters, Job, JobParameters, MAX_PRIORITY, MIN_PRIORITY, ParameterValue, Resolved};
use crate::repository::{Admission, IdempotencyKey, LaunchRequest, Launched};
use crate::secret::Secrets;

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
        self.launch_resolved(job, resolved, (options, None), claim).await
    }

    pub(in crate::engine) fn job(&self, name: &str) -> Result<&Job, OperatorError> {
        self.inner.registry.get(name).ok_or_else(|| OperatorError::UnknownJob { name: name.to_owned() })
    }

    /// Launches a job with checked parameters, where a certain execution is the last of the instance if one is named.
    pub(in crate::engine) async fn launch_resolved(
        &self,
        job: &Job,
        resolved: Resolved,
        (options, after): (LaunchOptions, Option<ExecutionId>),
        claim: Claim,
    ) -> Result<Launched, OperatorError> {
        self.check_open()?;
        let request = LaunchRequest { after, ..self.request_of(job, resolved, options, claim)? };
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
        let request_hash = request_hash(job.name(), &resolved, &options, &config.secrets);
        let mut parameters = resolved.parameters;
        config.secrets.keep(job.name(), &mut parameters)?;
        let idempotency = options.idempotency_key.map(|key| IdempotencyKey { key, request_hash, life: KEY_LIFE });
        Ok(LaunchRequest {
            job_name: job.name().to_owned(),
            parameters,
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
            after: None,
            idempotency,
            trace_parent: options.trace_parent,
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
}

/// Everything in a launch but its key. What the moment decides is no part of it: the same launch a day later is the
/// same. Of a secret it has a digest that nobody can check a guess against.
fn request_hash(job_name: &str, resolved: &Resolved, options: &LaunchOptions, secrets: &Secrets) -> String {
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
    for (name, parameter) in parameters.iter() {
        if let ParameterValue::Secret(value) = &parameter.value {
            hash.update(format!(" secret {name} {}", secrets.digest(job_name, name, value)));
        }
    }
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
