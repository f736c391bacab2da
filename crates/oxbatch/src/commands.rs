//! The commands, a file each: arguments as they are typed, and what is done.

pub(crate) mod abandon;
pub(crate) mod audit;
pub(crate) mod backfill;
pub(crate) mod backup;
mod bulk;
pub(crate) mod completions;
pub(crate) mod drain;
pub(crate) mod executions;
mod follow;
mod foreground;
pub(crate) mod health;
pub(crate) mod help;
pub(crate) mod instances;
pub(crate) mod jobs;
pub(crate) mod launch;
pub(crate) mod logs;
#[cfg(feature = "man")]
pub(crate) mod man;
pub(crate) mod nodes;
pub(crate) mod notices;
pub(crate) mod pause;
mod preview;
pub(crate) mod purge;
pub(crate) mod rerun;
pub(crate) mod restart;
pub(crate) mod run;
pub(crate) mod schedules;
pub(crate) mod secrets;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod skips;
pub(crate) mod stop;
pub(crate) mod tokens;
pub(crate) mod wait;

use std::fmt::Display;

use oxbatch_core::execution::ExecutionId;

use crate::error::CliError;
use crate::output;

/// Reads the id of an execution.
fn parse_id(text: &str) -> Result<ExecutionId, String> {
    let id = text.parse().ok().filter(|id| *id >= 1).map(ExecutionId);
    id.ok_or_else(|| "an id is a whole number from 1 on".to_owned())
}

/// The start of a page in the database, by the cursor that the page before has printed.
fn before(cursor: Option<&str>) -> Result<Option<i64>, CliError> {
    let parse = |text: &str| {
        let id = text.parse().ok().filter(|id| *id >= 1);
        id.ok_or_else(|| CliError::Cursor { text: text.to_owned() })
    };
    cursor.map(parse).transpose()
}

/// Says on standard error that there is another page, and how to reach it.
fn remark_next(next: Option<impl Display>) {
    if let Some(next) = next {
        output::remark(format!("there are more: continue with --cursor {next}"));
    }
}
