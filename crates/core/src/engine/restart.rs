//! Restarts: which are refused, what one would do, and the launch itself.

use sha2::{Digest, Sha256};

use super::operator::{Claim, LaunchOptions, Operator};
use super::refusal::OperatorError;
use super::rerun_plan::{StepsOf, gone, steps_of};
use super::restart_plan::{Course, RestartPlan, course};
use crate::execution::{ExecutionId, JobExecution, Status};
use crate::job::{FlowGraph, Job, Reached, Resolved, definition_difference};
use crate::repository::rules::flow::{latest_rounds, rounds};
use crate::repository::{ExecutionFilter, InstancePast, LaunchError, Launched, PageRequest, RepositoryError};

/// Bytes of a hash that are a tag.
const TAG_BYTES: usize = 12;

impl Operator {
    /// The plan of a restart. It says what [`Self::restart`] would do now, and changes nothing.
    ///
    /// # Errors
    /// When the execution or its job is not known, or the repository fails.
    pub async fn restart_plan(&self, id: ExecutionId) -> Result<RestartPlan, OperatorError> {
        let execution = self.execution(id).await?;
        let job = self.job(&execution.job_name)?;
        let repository = self.repository();
        let past = repository.instance_past(id).await?;
        let last_status = match past.last == id {
            true => execution.status,
            false => self.execution(past.last).await?.status,
        };
        let (graph, is_rerun) = match steps_of(repository.as_ref(), job, &execution).await? {
            StepsOf::All => (Ok(job.flow().clone()), false),
            StepsOf::Some(steps) => (Ok(FlowGraph::sequence(steps.into_iter().cloned())), true),
            StepsOf::Gone(of) => (Err(gone(of)), true),
        };
        let restart = match (refusal(&execution, past.last, job), &graph) {
            (Some(reason), _) => Err(reason),
            (None, Err(reason)) => Err(reason.clone()),
            (None, Ok(graph)) => Ok(course(graph, &execution, &past, is_rerun)?),
        };
        let definition_change = match restart.is_ok() && !is_rerun {
            true => definition_change(job, &past)?,
            false => None,
        };
        let (last, none) = (past.last, Vec::new());
        let nothing = InstancePast { last, definition: None, entries: none, previous: None, attempts: Vec::new() };
        let force = match forced_refusal(&execution, past.last, last_status) {
            Some(reason) => Err(reason),
            None => Ok(course(job.flow(), &execution, &nothing, false)?),
        };
        let tag = tag_of(&execution, past.last, (&restart, &definition_change, &force));
        let JobExecution { job_name, status, .. } = execution;
        Ok(RestartPlan { execution_id: id, job_name, status, restart, definition_change, force, tag })
    }

    /// Launches the instance of an execution again, with the same parameters: it goes on where it was.
    ///
    /// # Errors
    /// [`OperatorError::NotRestartable`] unless it is the last of its instance, and FAILED or STOPPED.
    /// [`LaunchError::DefinitionChanged`] when its job is defined otherwise by now, in what the past of the instance
    /// depends on.
    pub async fn restart(&self, id: ExecutionId) -> Result<Launched, OperatorError> {
        self.restart_with(id, None, None, false).await
    }

    /// As [`Self::restart`], whatever has changed in the definition of the job.
    ///
    /// # Errors
    /// [`OperatorError::NotRestartable`] as above.
    pub async fn restart_accepting_changes(&self, id: ExecutionId) -> Result<Launched, OperatorError> {
        self.restart_with(id, None, None, true).await
    }

    /// Restarts an execution as a plan says, where its tag is given; also where the definition of the job has changed
    /// if changes are accepted.
    ///
    /// # Errors
    /// [`OperatorError::StalePlan`] with the new plan when another one holds by now; those of [`Self::restart`].
    pub async fn restart_as_planned(
        &self,
        id: ExecutionId,
        plan: Option<&str>,
        accept_changes: bool,
    ) -> Result<Launched, OperatorError> {
        self.restart_with(id, plan, None, accept_changes).await
    }

    pub(super) async fn restart_with(
        &self,
        id: ExecutionId,
        plan: Option<&str>,
        claim: Claim,
        accept_changes: bool,
    ) -> Result<Launched, OperatorError> {
        let Some(tag) = plan else { return self.restart_now(id, claim, accept_changes).await };
        let plan = self.restart_plan(id).await?;
        if plan.tag != tag {
            return Err(OperatorError::StalePlan { id, plan: Box::new(plan) });
        }
        match self.restart_now(id, claim, accept_changes).await {
            // Somebody was faster.
            Err(
                OperatorError::NotRestartable { .. }
                | OperatorError::Launch(LaunchError::NotLast { .. } | LaunchError::AlreadyRunning { .. }),
            ) => Err(OperatorError::StalePlan { id, plan: Box::new(self.restart_plan(id).await?) }),
            done => done,
        }
    }

    async fn restart_now(
        &self,
        id: ExecutionId,
        claim: Claim,
        accept_changes: bool,
    ) -> Result<Launched, OperatorError> {
        let execution = self.execution(id).await?;
        let refuse = |reason: String| OperatorError::NotRestartable { id, status: execution.status, reason };
        let job = self.job(&execution.job_name)?;
        let filter = ExecutionFilter { instance_id: Some(execution.instance_id), ..ExecutionFilter::default() };
        let page = self.repository().executions(filter, PageRequest { before: None, limit: 1 }).await?;
        let last = page.executions.first().map_or(id, |last| last.id);
        if let Some(reason) = refusal(&execution, last, job) {
            return Err(refuse(reason));
        }
        if let Some(of) = execution.rerun_of {
            if self.repository().execution(of).await?.is_none() {
                return Err(refuse(gone(of)));
            }
            // Its instance is that of a re-run, which no parameters lead to.
            return Ok(self.rerun_with(of, claim).await?.launched);
        }
        let options = LaunchOptions { priority: Some(execution.priority), accept_changes, ..LaunchOptions::default() };
        // The values of the execution, also of those that the moment of its launch decided.
        let resolved = Resolved { parameters: execution.parameters.clone(), computed: Vec::new() };
        self.launch_resolved(job, resolved, (options, Some(id)), claim).await
    }
}

/// The reason why an execution cannot be restarted, and the alternative; `last` is the last one of its instance.
fn refusal(execution: &JobExecution, last: ExecutionId, job: &Job) -> Option<String> {
    let by_status = match execution.status {
        Status::Stopped | Status::Failed => None,
        Status::Completed => Some("it has done all its work; launch with force to run it again"),
        Status::Abandoned => Some("it was given up; launch with force to run it from the start"),
        Status::Starting | Status::Started | Status::Stopping => Some("it is still running"),
    };
    if let Some(reason) = by_status {
        return Some(reason.to_owned());
    }
    if last != execution.id {
        return Some(format!("execution {last} of the same instance came after it"));
    }
    let is_final = execution.rerun_of.is_none() && !job.is_restartable();
    let reason = "its job is not restartable; launch it as a new run, or with force to run every step from the start";
    is_final.then(|| reason.to_owned())
}

/// The difference for which a launch that goes on with this past is refused, by the rule that it is refused by.
fn definition_change(job: &Job, past: &InstancePast) -> Result<Option<String>, RepositoryError> {
    let now = job.fingerprint();
    let Some(definition) = past.definition.as_deref().filter(|definition| *definition != now) else { return Ok(None) };
    let steps = latest_rounds(&rounds(past.attempts.iter().map(|attempt| attempt.last.clone()).collect())?);
    let reached = Reached { entries: &past.entries, steps: &steps };
    definition_difference(definition, now, reached).map_err(|error| {
        let what = format!("definition of the job of execution {}", past.last);
        RepositoryError::Corrupt { what, source: error.into() }
    })
}

/// The reason why the instance of an execution cannot be launched with force.
fn forced_refusal(execution: &JobExecution, last: ExecutionId, last_status: Status) -> Option<String> {
    if execution.rerun_of.is_some() {
        return Some("it runs skipped items again, which is never done twice".to_owned());
    }
    last_status.is_running().then(|| format!("execution {last} of the same instance is running"))
}

/// Everything that a plan says, and the execution behind which it goes on. What ended stays as it is, so the same
/// tag at the launch means the same deed.
fn tag_of(
    execution: &JobExecution,
    last: ExecutionId,
    courses: (&Result<Course, String>, &Option<String>, &Result<Course, String>),
) -> String {
    let hash = Sha256::digest(format!("{} {last} {} {courses:?}", execution.id, execution.status));
    hash.iter().take(TAG_BYTES).map(|byte| format!("{byte:02x}")).collect()
}
