//! The reasons for which executions wait, as of one moment.

use super::operator::Operator;
use crate::repository::rules::wait::{WaitReason, wait_reason};
use crate::repository::{NodeStatus, RepositoryError, RunLimits, Workload};

/// The nodes, what runs and the limits, as of one moment: they say why something waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    limits: RunLimits,
    nodes: Vec<NodeStatus>,
    workload: Vec<Workload>,
}

impl Operator {
    /// Looks at the nodes, at what runs and at the limits.
    ///
    /// # Errors
    /// When the repository fails.
    pub async fn waiting(&self) -> Result<Waiting, RepositoryError> {
        let nodes = self.repository().nodes().await?;
        Ok(Waiting { limits: self.limits().clone(), nodes, workload: self.repository().workload().await? })
    }
}

impl Waiting {
    /// The reason why an execution of a job waits, where no pause holds it up.
    pub fn reason(&self, job: &str) -> WaitReason {
        wait_reason(job, &self.limits, &self.nodes, &self.workload)
    }
}
