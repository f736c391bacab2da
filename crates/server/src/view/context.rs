//! The context of an execution or of a step.

use oxbatch_core::execution::{ExecutionContext, ExecutionId, StepExecutionId};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::columns::ColumnMask;

/// The context of an execution or of one of its steps: named values that it carries from attempt to attempt.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Context)]
pub struct ContextView {
    #[schema(minimum = 1)]
    pub(crate) execution_id: i64,
    /// The step execution; null for the context of the execution, which its steps share.
    #[schema(required, minimum = 1)]
    pub(crate) step_execution_id: Option<i64>,
    /// The values by their names; masked columns are `***`.
    #[schema(value_type = Object)]
    pub(crate) entries: Map<String, Value>,
}

impl ContextView {
    pub(crate) fn new(
        id: ExecutionId,
        step: Option<StepExecutionId>,
        context: ExecutionContext,
        mask: &ColumnMask,
    ) -> Self {
        let entries = mask.entries(context.into_entries());
        Self { execution_id: id.0, step_execution_id: step.map(|step| step.0), entries }
    }
}
