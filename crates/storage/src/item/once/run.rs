//! A run of a step, as a target knows it.

use oxbatch_core::StepContext;

/// The step and the run.
#[derive(Debug, Clone)]
pub(in crate::item) struct RunKey {
    pub(in crate::item) job_name: String,
    pub(in crate::item) step_name: String,
    pub(in crate::item) instance_id: i64,
    pub(in crate::item) execution_id: i64,
    /// The name of the target, so that two writers of a step do not share a row.
    pub(in crate::item) target: String,
}

/// The row of the run, as it was before it was taken over.
#[derive(Debug)]
pub(in crate::item) struct Found {
    /// The execution that could commit.
    pub(in crate::item) owner: i64,
    pub(in crate::item) written: i64,
    pub(in crate::item) unsettled: Vec<u8>,
}

/// The row of another run of the same step.
#[derive(Debug, Clone, Copy)]
pub(in crate::item) struct Left {
    pub(in crate::item) instance_id: i64,
    pub(in crate::item) instance_created: jiff::Timestamp,
    pub(in crate::item) execution_id: i64,
}

/// A run as the target's row has it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::item) enum Resumed {
    /// It begins here: the row has to be saved.
    Anew,
    GoesOn {
        /// Rows of this run are there already.
        holds_rows: bool,
    },
}

impl RunKey {
    pub(in crate::item) fn new(context: &StepContext, target: String) -> Self {
        Self {
            job_name: context.job_name().to_owned(),
            step_name: context.step_name().to_owned(),
            instance_id: context.instance_id().0,
            execution_id: context.execution_id().0,
            target,
        }
    }
}
