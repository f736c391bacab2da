//! The commands, a file each: arguments as they are typed, and what is done.

pub(crate) mod abandon;
pub(crate) mod completions;
pub(crate) mod drain;
pub(crate) mod executions;
mod follow;
mod foreground;
pub(crate) mod jobs;
pub(crate) mod launch;
pub(crate) mod nodes;
mod preview;
pub(crate) mod purge;
pub(crate) mod rerun;
pub(crate) mod restart;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod skips;
pub(crate) mod stop;
pub(crate) mod wait;

use oxbatch_core::execution::ExecutionId;

/// Reads the id of an execution.
fn parse_id(text: &str) -> Result<ExecutionId, String> {
    let id = text.parse().ok().filter(|id| *id >= 1).map(ExecutionId);
    id.ok_or_else(|| "an id is a whole number from 1 on".to_owned())
}
