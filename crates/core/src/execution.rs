//! Facts that are persisted: instances, executions, step executions, and the rules of their status.

mod context;
mod control_total;
mod counters;
mod datetime;
mod flow;
mod forecast;
mod parameters;
mod shares;
mod skip;
mod status;
mod trace_parent;

use jiff::Timestamp;

pub use context::{ContextChanges, ContextError, ExecutionContext, MAX_CONTEXT_BYTES, StepState};
pub use control_total::{ControlTotal, ControlTotals, Imbalance};
pub use counters::Counters;
pub use datetime::{DateTime, DateTimeError};
pub use flow::{
    EXIT_COMPLETED_WITH_SKIPS, EXIT_FINALLY_FAILED, FlowEntry, MainResult, StepSummaries, StepSummary, Taken,
    TakenKind, UnknownTransition,
};
pub use forecast::{RecentRuns, time_left};
pub use parameters::{
    JobParameters, Parameter, ParameterError, ParameterType, ParameterValue, SECRET_SHOWN, Secret, SecretValue,
};
pub(crate) use parameters::{Sealed, SecretForm};
pub use shares::{PhaseShares, StepPhase};
pub use skip::{MAX_SKIPPED_BYTES, SkipPhase, SkippedItem, StoredSkip, UnknownSkipPhase};
pub use status::{IllegalTransition, Status, StatusEvent, UnknownStatus, next};
pub use trace_parent::{InvalidTraceParent, TraceParent};

use crate::words::id;

id! {
    /// Id of a [`JobInstance`]; starts at 1 and is never used twice.
    InstanceId
}
id! {
    /// Id of a [`JobExecution`]; starts at 1, grows with time, is never used twice.
    ExecutionId
}
id! {
    /// Id of a [`StepExecution`]; starts at 1, grows with time, is never used twice.
    StepExecutionId
}

/// Exit code of an execution whose owner died: it was found by its lease.
pub const EXIT_ABORTED: &str = "ABORTED";
/// Exit code of an execution that stopped because its node was shut down; it resumes by itself.
pub const EXIT_SHUTDOWN: &str = "SHUTDOWN";

/// Exit code of a step or an execution that was ended by its time limit.
pub const EXIT_TIMEOUT: &str = "TIMEOUT";

/// Exit code of an execution that would have resumed by itself, and waits for a person: its job is defined otherwise by
/// now, in what its past depends on.
pub const EXIT_DEFINITION_CHANGED: &str = "DEFINITION_CHANGED";

/// Longest stored exit message in bytes; longer ones are cut and say so.
pub const MAX_EXIT_MESSAGE_BYTES: usize = 64 * 1024;

/// A job together with its identifying parameters: what "the same run" means.
#[derive(Debug, Clone, PartialEq)]
pub struct JobInstance {
    /// Id of the instance.
    pub id: InstanceId,
    /// Name of the job.
    pub job_name: String,
    /// Identity of the parameters, see [`JobParameters::job_key`].
    pub job_key: String,
    /// When the first launch created it.
    pub create_time: Timestamp,
}

/// One attempt to run an instance.
#[derive(Debug, Clone, PartialEq)]
pub struct JobExecution {
    /// Id of the execution.
    pub id: ExecutionId,
    /// Instance that it runs.
    pub instance_id: InstanceId,
    /// Name of the job.
    pub job_name: String,
    /// Where it stands.
    pub status: Status,
    /// When the launch was accepted.
    pub create_time: Timestamp,
    /// When a node began to run it.
    pub start_time: Option<Timestamp>,
    /// When it ended.
    pub end_time: Option<Timestamp>,
    /// Free text, by default the name of the final status.
    pub exit_code: Option<String>,
    /// Message on the end; for a failure the whole chain of causes.
    pub exit_message: Option<String>,
    /// The parameters of this launch.
    pub parameters: JobParameters,
    /// `true` if the launch asked for each step to run from its start.
    pub forced: bool,
    /// Node that runs or ran it.
    pub node: Option<String>,
    /// Number of automatic recoveries in a row that led here without a committed chunk between them.
    pub recovery_count: i64,
    /// Place in the queue: higher ones go first.
    pub priority: i32,
    /// The execution whose skipped items it runs again.
    pub rerun_of: Option<ExecutionId>,
    /// The newest execution that has run its skipped items again.
    pub rerun_by: Option<ExecutionId>,
    /// When its status changed last; by the clock of the store from its launch on.
    pub change_time: Timestamp,
    /// The span of the caller of its launch.
    pub trace_parent: Option<TraceParent>,
}

/// One attempt to run a step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepExecution {
    /// Id of the step execution.
    pub id: StepExecutionId,
    /// Execution that it belongs to.
    pub execution_id: ExecutionId,
    /// Name of the step.
    pub step_name: String,
    /// Number of the round of a cycle, from 1.
    pub iteration: u32,
    /// Where it stands.
    pub status: Status,
    /// When it began.
    pub start_time: Timestamp,
    /// When it ended.
    pub end_time: Option<Timestamp>,
    /// Free text, by default the name of the final status.
    pub exit_code: Option<String>,
    /// Message on the end; for a failure the whole chain of causes.
    pub exit_message: Option<String>,
    /// Counters as of the last commit.
    pub counters: Counters,
    /// The sums that the step takes, up to the last commit; empty where it takes none.
    pub control_totals: ControlTotals,
    /// Share of the input that is done, 0 to 1, where the reader can tell.
    pub progress: Option<f64>,
    /// The shares of the time that its phases took; `None` where it is no chunk step, or has not ended.
    pub shares: Option<PhaseShares>,
}

/// Joins an error and its causes into one message, cut at [`MAX_EXIT_MESSAGE_BYTES`].
pub fn cause_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Some libraries repeat their cause in their own message.
        if !message.ends_with(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    cut_message(message)
}

/// Cuts a message at [`MAX_EXIT_MESSAGE_BYTES`], at a character's boundary, and says so.
pub fn cut_message(mut message: String) -> String {
    const CUT: &str = " … (cut)";
    if message.len() > MAX_EXIT_MESSAGE_BYTES {
        let end = message.floor_char_boundary(MAX_EXIT_MESSAGE_BYTES - CUT.len());
        message.truncate(end);
        message.push_str(CUT);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character_and_says_so() {
        let cut = cut_message("ä".repeat(MAX_EXIT_MESSAGE_BYTES));
        assert!(cut.len() <= MAX_EXIT_MESSAGE_BYTES);
        assert!(cut.ends_with("(cut)"));
    }

    #[test]
    fn a_cause_chain_names_every_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("failed to open the book")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("no shelf"));
        assert_eq!(cause_chain(&error), "failed to open the book: no shelf");
    }
}
