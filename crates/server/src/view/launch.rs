//! The answer to an accepted launch.

use oxbatch_core::{JobExecution, Status};
use serde::Serialize;
use utoipa::ToSchema;

use super::StatusView;

/// An accepted launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LaunchAnswer)]
pub struct LaunchView {
    #[schema(example = "Job submitted")]
    message: &'static str,
    job_name: String,
    #[schema(minimum = 1)]
    execution_id: i64,
    #[schema(minimum = 1)]
    instance_id: i64,
    /// The status at acceptance or, when the caller waited, after the wait.
    status: StatusView,
}

impl LaunchView {
    /// The answer to the launch of an execution that stands at `status` for the caller.
    pub fn new(execution: JobExecution, status: Status) -> Self {
        Self {
            message: "Job submitted",
            job_name: execution.job_name,
            execution_id: execution.id.0,
            instance_id: execution.instance_id.0,
            status: status.into(),
        }
    }
}
