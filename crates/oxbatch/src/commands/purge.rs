//! `purge`: executions that ended long ago are removed in small batches, also while a service runs.

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use oxbatch_core::Status;
use oxbatch_core::repository::{Compacted, PurgeRequest, purge_in_batches};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::executions::parse_status;
use crate::database::Access;
use crate::duration::parse_duration;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;

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
    /// Only print how many would be removed
    #[arg(long)]
    dry_run: bool,
    /// Give the free space back to the disk afterwards; with SQLite no service may work meanwhile
    #[arg(long, conflicts_with = "dry_run")]
    vacuum: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct PurgeView {
    executions: i64,
    instances: i64,
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_freed: Option<u64>,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: PurgeArgs) -> Result<Exit, CliError> {
    let PurgeArgs { older_than, status: statuses, keep, include_restartable, dry_run, vacuum, json } = arguments;
    if older_than.is_none() && keep.is_none() {
        return Err(CliError::PurgeWithoutBound);
    }
    if let Some(status) = statuses.iter().copied().find(|status| status.is_running()) {
        return Err(CliError::PurgeRunning { status });
    }
    if !dry_run {
        program.trail.about("purge", "ended executions");
    }
    let operator = program.operator(Access::Write).await?;
    let repository = operator.repository();
    let request = PurgeRequest {
        ended_before: older_than.map(ago),
        statuses,
        keep_per_job: keep,
        include_restartable,
        dry_run,
        ..PurgeRequest::default()
    };
    // A signal ends the process between two transactions or undoes the one that has begun: nothing is to be done first.
    let report = purge_in_batches(repository.as_ref(), request, &CancellationToken::new()).await?;
    let compacted = if vacuum { Some(repository.compact().await?) } else { None };
    let bytes_freed = compacted.map(|Compacted { before, after }| before.saturating_sub(after));
    let view = PurgeView { executions: report.executions, instances: report.instances, dry_run, bytes_freed };
    if json {
        output::json(&view)?;
        return Ok(Exit::Completed);
    }
    let verb = if dry_run { "would remove" } else { "removed" };
    let executions = count(view.executions, "execution");
    output::line(format!("{verb} {executions} and {}", count(view.instances, "instance")))?;
    match compacted {
        Some(Compacted { before, after }) => {
            output::line(format!(
                "the database has {} now, before {}",
                output::megabytes(after),
                output::megabytes(before)
            ))?;
        }
        None if !dry_run && view.executions > 0 => output::line(
            "the database is not smaller now: new executions use the free space; --vacuum gives it back to the disk",
        )?,
        None => {}
    }
    Ok(Exit::Completed)
}

/// The moment that long ago; the beginning of time when that is longer ago than can be reported.
fn ago(time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).ok();
    time.and_then(|time| Timestamp::now().checked_sub(time).ok()).unwrap_or(Timestamp::MIN)
}

fn count(number: i64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
