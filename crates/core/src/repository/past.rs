//! The past of an instance, as its next execution goes on with it.

use super::PreviousExecution;
use super::rules::step::LastAttempt;
use crate::execution::{ExecutionId, FlowEntry};

/// The past that the next execution of an instance goes on with, since the last forced launch.
#[derive(Debug, Clone, PartialEq)]
pub struct InstancePast {
    /// The last execution of the instance.
    pub last: ExecutionId,
    /// The fingerprint of the definition on which the past depends; `None` for what an older version has run.
    pub definition: Option<String>,
    /// The flow history, in the order of the positions.
    pub entries: Vec<FlowEntry>,
    /// The end of the last execution.
    pub previous: Option<PreviousExecution>,
    /// The last attempt of each round of each step, in the order in which they began.
    pub attempts: Vec<PastAttempt>,
}

/// The last attempt of a step in a round, and the number of them.
#[derive(Debug, Clone, PartialEq)]
pub struct PastAttempt {
    /// The last one.
    pub last: LastAttempt,
    /// Attempts of the step in this round.
    pub count: i64,
    /// Those of them that were made by the execution of the last main result or later; all where there is none.
    pub count_since_main: i64,
}
