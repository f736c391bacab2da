//! The answer to an accepted re-run of skipped items.

use oxbatch_core::Status;
use oxbatch_core::engine::{LeftSkip, Rerun};
use oxbatch_core::execution::ExecutionId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{SkipView, StatusView};

/// An accepted re-run of skipped items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RerunAnswer)]
pub struct RerunView {
    #[schema(example = "Skipped items submitted")]
    pub(crate) message: &'static str,
    pub(crate) job_name: String,
    /// The execution that runs them.
    #[schema(minimum = 1)]
    pub(crate) execution_id: i64,
    #[schema(minimum = 1)]
    pub(crate) instance_id: i64,
    /// The execution that skipped them.
    #[schema(minimum = 1)]
    pub(crate) rerun_of: i64,
    /// The status at acceptance or, when the caller waited, after the wait.
    pub(crate) status: StatusView,
    /// Items that are run again.
    #[schema(minimum = 0)]
    pub(crate) item_count: i64,
    /// Items that cannot be run again; they stay where they are.
    #[schema(minimum = 0)]
    pub(crate) left_count: i64,
    /// The first hundred of those.
    pub(crate) left: Vec<LeftView>,
}

/// A skipped item that cannot be run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LeftItem)]
pub struct LeftView {
    pub(crate) step_name: String,
    /// The reason, and the remedy.
    pub(crate) reason: String,
    pub(crate) skip: SkipView,
}

impl RerunView {
    /// The answer to the re-run of what `of` has skipped, by an execution that stands at `status` for the caller.
    pub fn new(rerun: Rerun, of: ExecutionId, status: Status) -> Self {
        let execution = rerun.launched.execution;
        Self {
            message: "Skipped items submitted",
            job_name: execution.job_name,
            execution_id: execution.id.0,
            instance_id: execution.instance_id.0,
            rerun_of: of.0,
            status: status.into(),
            item_count: rerun.items,
            left_count: rerun.left_count,
            left: rerun.left.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<LeftSkip> for LeftView {
    fn from(left: LeftSkip) -> Self {
        Self { step_name: left.step_name, reason: left.reason, skip: left.skip.into() }
    }
}
