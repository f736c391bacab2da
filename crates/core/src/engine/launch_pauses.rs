//! Pauses of launches: what is launched waits until they end.

use super::operator::Operator;
use super::refusal::OperatorError;
use crate::execution::{JobExecution, Status};
use crate::repository::{LaunchPause, RepositoryError};

/// Longest reason in bytes.
const MAX_REASON_BYTES: usize = 1_000;

impl Operator {
    /// Pauses the launches of a job, or all: they are accepted and wait until [`Self::resume_launches`].
    ///
    /// # Errors
    /// When there is no such job, or the reason is empty or too long.
    pub async fn pause_launches(&self, job_name: Option<&str>, reason: &str) -> Result<LaunchPause, OperatorError> {
        if let Some(name) = job_name {
            self.check_job_name(name).await?;
        }
        let reason = reason.trim();
        if reason.is_empty() || reason.len() > MAX_REASON_BYTES {
            let problem = format!("a pause has a reason, of at most {MAX_REASON_BYTES} bytes");
            return Err(OperatorError::PauseRefused { problem });
        }
        let (job_name, since) = (job_name.map(str::to_owned), self.settings().clock.now());
        let pause = LaunchPause { job_name, reason: reason.to_owned(), since };
        self.repository().pause_launches(pause.clone()).await?;
        Ok(pause)
    }

    /// Ends a pause: what waits is run.
    ///
    /// # Errors
    /// When there is none, or no such job.
    pub async fn resume_launches(&self, job_name: Option<&str>) -> Result<(), OperatorError> {
        if self.repository().resume_launches(job_name).await? {
            self.wake_work();
            return Ok(());
        }
        let problem = match job_name {
            Some(name) => {
                self.check_job_name(name).await?;
                format!("launches of job '{name}' are not paused")
            }
            None => "launches of all jobs are not paused".to_owned(),
        };
        Err(OperatorError::PauseRefused { problem })
    }

    /// The sentence that says why an execution waits, where a pause holds it up.
    ///
    /// # Errors
    /// When the repository fails.
    pub async fn held_up_by(&self, execution: &JobExecution) -> Result<Option<String>, RepositoryError> {
        if execution.status != Status::Starting {
            return Ok(None);
        }
        let pauses = self.repository().launch_pauses().await?;
        Ok(LaunchPause::of(&pauses, &execution.job_name).map(LaunchPause::sentence))
    }
}
