//! `purge`: executions that ended long ago are removed in small batches, also while a service runs.

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use oxbatch_core::Status;
use oxbatch_core::repository::PurgeRequest;
use serde::Serialize;

use super::executions::parse_status;
use crate::database::Access;
use crate::duration::parse_duration;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;

/// Executions that one transaction removes: few enough that a service that writes beside it hardly waits.
const BATCH: u32 = 500;

/// Arguments of `purge`.
#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// Remove what ended longer ago than this, such as 30d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    older_than: Option<Duration>,
    /// Only with this status; can be repeated
    #[arg(long, value_parser = parse_status)]
    status: Vec<Status>,
    /// Leave this many of the newest ended executions of each job
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Remove also the last execution of an instance that could still be restarted
    #[arg(long)]
    include_restartable: bool,
    /// Only tell how many would be removed
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct PurgeView {
    executions: i64,
    instances: i64,
    dry_run: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: PurgeArgs) -> Result<Exit, CliError> {
    let PurgeArgs { older_than, status: statuses, keep, include_restartable, dry_run, json } = arguments;
    if older_than.is_none() && keep.is_none() {
        return Err(CliError::PurgeWithoutBound);
    }
    if let Some(status) = statuses.iter().copied().find(|status| status.is_running()) {
        return Err(CliError::PurgeRunning { status });
    }
    let operator = program.operator(Access::Write).await?;
    let repository = operator.repository();
    let request = PurgeRequest {
        ended_before: older_than.map(ago),
        statuses,
        keep_per_job: keep,
        include_restartable,
        dry_run,
        batch: BATCH,
    };
    let mut view = PurgeView { executions: 0, instances: 0, dry_run };
    loop {
        let report = repository.purge(request.clone()).await?;
        view.executions += report.executions;
        view.instances += report.instances;
        if dry_run || !report.more {
            break;
        }
    }
    if json {
        output::json(&view)?;
    } else {
        let verb = if dry_run { "would remove" } else { "removed" };
        let executions = count(view.executions, "execution");
        output::line(format!("{verb} {executions} and {}", count(view.instances, "instance")))?;
    }
    Ok(Exit::Completed)
}

/// The moment that long ago; the beginning of time when that is longer ago than can be told.
fn ago(time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).ok();
    time.and_then(|time| Timestamp::now().checked_sub(time).ok()).unwrap_or(Timestamp::MIN)
}

fn count(number: i64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
