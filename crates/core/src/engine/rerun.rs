//! Re-runs of the skipped items of an execution.

use super::operator::{Claim, Operator};
use super::refusal::OperatorError;
use super::rerun_plan::{Plan, Rerun, left_skips};
use crate::execution::ExecutionId;
use crate::repository::{Admission, LaunchError, RerunRequest};

impl Operator {
    /// Runs the skipped items of an execution again, in a new execution that is linked with it: by the same processors
    /// and writers, each item at most once over all calls. A re-run that failed or was stopped is resumed instead.
    ///
    /// # Errors
    /// [`OperatorError`] says why it was refused; nothing was stored.
    pub async fn rerun_skips(&self, id: ExecutionId) -> Result<Rerun, OperatorError> {
        self.rerun_with(id, None).await
    }

    pub(super) async fn rerun_with(&self, id: ExecutionId, claim: Claim) -> Result<Rerun, OperatorError> {
        self.check_open()?;
        let execution = self.execution(id).await?;
        if execution.status.is_running() {
            return Err(LaunchError::AlreadyRunning { execution_id: id }.into());
        }
        let (repository, config) = (self.repository(), self.settings());
        let unknown = || OperatorError::UnknownJob { name: execution.job_name.clone() };
        let job = self.registry().get(&execution.job_name).ok_or_else(unknown)?;
        let kept = repository.kept_skips(id, None).await?;
        let plan = Plan::new(job, &kept);
        // Read before the launch: afterwards the rows may be marked already.
        let left = left_skips(repository.as_ref(), id, &plan).await?;
        let request = RerunRequest {
            execution_id: id,
            steps: plan.steps.clone(),
            admission: Admission {
                time: config.clock.now(),
                claim,
                priority: execution.priority,
                limits: self.limits().clone(),
                queue_limit: config.queue_limit,
            },
        };
        let launched = repository.rerun(request).await.map_err(|error| match error {
            LaunchError::NothingToRerun { .. } => OperatorError::NotRerunnable { id, reason: plan.refusal() },
            LaunchError::Repository(error) => error.into(),
            error => error.into(),
        })?;
        self.announce(&launched);
        Ok(Rerun { launched, items: plan.items, left_count: plan.left_count(), left })
    }
}
