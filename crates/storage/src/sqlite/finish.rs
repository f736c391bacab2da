//! The ends of steps and executions: recorded by their owner, asked for by a person.

use jiff::Timestamp;
use oxbatch_core::execution::{ExecutionId, JobExecution, Status, StepExecution, StepExecutionId};
use oxbatch_core::repository::rules::finish::{self as rules, End, SaveCounts, StepEnd, Stop};
use oxbatch_core::repository::rules::joined::ends_execution;
use oxbatch_core::repository::{
    ExecutionOutcome, LastEnded, LastOutcome, Lease, Missing, RepositoryError, StepFence, StepOutcome,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::shared::done;
use super::sql::{execution_columns, now, step_columns};
use super::{context, flow, rows};
use crate::conditions::has_notice_channels;
use crate::shared::notices;

/// Ends a step execution under its fence.
pub(super) fn step(
    connection: &Connection,
    fence: StepFence,
    outcome: &StepOutcome,
) -> Result<StepExecution, StoreError> {
    end_step(connection, fence, outcome).map(|(step, _)| step)
}

/// The same; whether the execution may end with it.
fn end_step(
    connection: &Connection,
    fence: StepFence,
    outcome: &StepOutcome,
) -> Result<(StepExecution, bool), StoreError> {
    let StepFence { lease, step_id: StepExecutionId(id) } = fence;
    let kept = running_step(connection, fence)?;
    // The one file loses no save that was answered while this process lives.
    let end = rules::step(lease.execution_id(), kept.status, outcome, SaveCounts::default())?;
    let ends_execution = ends_execution(&end);
    let (StepEnd::AsReported(end) | StepEnd::AsKept(end)) = end;
    if let Some(record) = &outcome.flow {
        flow::record(connection, lease, record)?;
    }
    let (counters, progress) = outcome.counted(kept.counters);
    let step = connection
        .prepare_cached(concat!(
            "UPDATE oxbatch_step_execution
             SET status = ?3, end_time = ?4, exit_code = ?5, exit_message = ?6, state = coalesce(?7, state),
                 progress = coalesce(?8, progress), read_count = ?9, write_count = ?10, filter_count = ?11,
                 commit_count = ?12, rollback_count = ?13, read_skip_count = ?14, process_skip_count = ?15,
                 write_skip_count = ?16, retry_count = ?17, phase_shares = ?18,
                 running_until = ",
            now!(),
            " WHERE id = ?1 AND lease_epoch = ?2 RETURNING ",
            step_columns!()
        ))?
        .query_row(
            params![
                id,
                lease.epoch,
                end.status.as_str(),
                outcome.time.as_microsecond(),
                end.exit_code,
                end.exit_message,
                outcome.state,
                progress,
                counters.read,
                counters.write,
                counters.filter,
                counters.commit,
                counters.rollback,
                counters.read_skip,
                counters.process_skip,
                counters.write_skip,
                counters.retry,
                outcome.shares.map(|shares| serde_json::json!(shares).to_string()),
            ],
            rows::step,
        )?;
    if let Some(changes) = &outcome.job_context {
        context::save(connection, lease, changes)?;
    }
    Ok((step, ends_execution))
}

/// Ends the last step of an execution, and the execution with it.
pub(super) fn last_step(
    connection: &Connection,
    fence: StepFence,
    outcome: &LastOutcome,
) -> Result<LastEnded, StoreError> {
    let (step, ends_execution) = end_step(connection, fence, &outcome.step)?;
    let execution = match ends_execution {
        true => Some(execution(connection, fence.lease, &outcome.execution)?),
        false => None,
    };
    Ok(LastEnded { step, execution })
}

/// The running step under a fence.
fn running_step(connection: &Connection, fence: StepFence) -> Result<StepExecution, StoreError> {
    let StepFence { lease, step_id: StepExecutionId(id) } = fence;
    let found = connection
        .prepare_cached(concat!(
            "SELECT ",
            step_columns!(),
            " FROM oxbatch_step_execution WHERE id = ?1 AND lease_epoch = ?2 AND status IN ('STARTED', 'STOPPING')"
        ))?
        .query_row(params![id, lease.epoch], rows::step)
        .optional()?;
    found.ok_or_else(|| RepositoryError::LeaseLost { id: lease.execution_id() }.into())
}

/// Ends an execution under its lease, and gives the lease back.
pub(super) fn execution(
    connection: &Connection,
    lease: Lease,
    outcome: &ExecutionOutcome,
) -> Result<JobExecution, StoreError> {
    let ExecutionId(id) = lease.execution_id();
    let (status, restartable) = connection
        .prepare_cached(
            "SELECT status, restartable FROM oxbatch_job_execution
             WHERE id = ?1 AND lease_epoch = ?2 AND lease_owner IS NOT NULL",
        )?
        .query_row(params![id, lease.epoch], |row| Ok((rows::status(row, 0, id)?, row.get(1)?)))
        .optional()?
        .ok_or(RepositoryError::LeaseLost { id: lease.execution_id() })?;
    let rules::ExecutionEnd { end, resume, steps } =
        rules::execution(lease.execution_id(), status, restartable, outcome)?;
    end_running_steps(connection, lease.execution_id(), &steps, outcome.time)?;
    let (execution, has_channels) = connection
        .prepare_cached(concat!(
            "UPDATE oxbatch_job_execution
             SET status = ?3, end_time = ?4, exit_code = ?5, exit_message = ?6, resume_pending = ?7,
                 lease_owner = NULL, lease_deadline = NULL, running_until = ",
            now!(),
            ", change_time = ",
            now!(),
            " WHERE id = ?1 AND lease_epoch = ?2 RETURNING ",
            execution_columns!(),
            has_notice_channels!()
        ))?
        .query_row(
            params![
                id,
                lease.epoch,
                end.status.as_str(),
                outcome.time.as_microsecond(),
                end.exit_code,
                end.exit_message,
                resume,
            ],
            |row| Ok((rows::execution(row)?, row.get::<_, bool>(rows::EXECUTION_COLUMNS)?)),
        )?;
    if has_channels {
        write_notices(connection, &execution, resume)?;
    }
    Ok(execution)
}

/// Writes the notices of an execution that has ended.
pub(super) fn write_notices(
    connection: &Connection,
    execution: &JobExecution,
    goes_on: bool,
) -> Result<(), StoreError> {
    done(notices::of_end(connection, execution, goes_on))
}

/// Ends the running steps of an execution that ends without them.
pub(super) fn end_running_steps(
    connection: &Connection,
    id: ExecutionId,
    end: &End,
    time: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(concat!(
            "UPDATE oxbatch_step_execution SET status = ?2, end_time = ?3, exit_code = ?4, exit_message = ?5,
                 running_until = min(",
            now!(),
            ", (SELECT lease_deadline FROM oxbatch_job_execution WHERE id = ?1))
             WHERE job_execution_id = ?1 AND status IN ('STARTED', 'STOPPING')"
        ))?
        .execute(params![id.0, end.status.as_str(), time.as_microsecond(), end.exit_code, end.exit_message])?;
    Ok(())
}

fn status_of(connection: &Connection, id: ExecutionId) -> Result<Status, StoreError> {
    let found = connection
        .prepare_cached("SELECT status FROM oxbatch_job_execution WHERE id = ?1")?
        .query_row([id.0], |row| rows::status(row, 0, id.0))
        .optional()?;
    found.ok_or(StoreError::Repository(RepositoryError::NotFound { what: Missing::Execution, id: id.0 }))
}

/// Records the request to stop.
pub(super) fn request_stop(connection: &Connection, id: ExecutionId) -> Result<JobExecution, StoreError> {
    match rules::request_stop(id, status_of(connection, id)?)? {
        Stop::AtOnce(end) => {
            let mut statement = connection.prepare_cached(concat!(
                "UPDATE oxbatch_job_execution SET status = ?2, end_time = ",
                now!(),
                ", change_time = ",
                now!(),
                ", exit_code = ?3, exit_message = ?4 WHERE id = ?1 RETURNING ",
                execution_columns!()
            ))?;
            let values = params![id.0, end.status.as_str(), end.exit_code, end.exit_message];
            Ok(statement.query_row(values, rows::execution)?)
        }
        Stop::Asked(stopping) => {
            connection
                .prepare_cached(
                    "UPDATE oxbatch_step_execution SET status = ?2 WHERE job_execution_id = ?1 AND status = 'STARTED'",
                )?
                .execute(params![id.0, stopping.as_str()])?;
            let mut statement = connection.prepare_cached(concat!(
                "UPDATE oxbatch_job_execution SET status = ?2, change_time = ",
                now!(),
                " WHERE id = ?1 RETURNING ",
                execution_columns!()
            ))?;
            Ok(statement.query_row(params![id.0, stopping.as_str()], rows::execution)?)
        }
    }
}

/// Gives an execution up.
pub(super) fn abandon(connection: &Connection, id: ExecutionId) -> Result<JobExecution, StoreError> {
    let status = rules::abandon(id, status_of(connection, id)?)?;
    let mut statement = connection.prepare_cached(concat!(
        "UPDATE oxbatch_job_execution SET status = ?2, resume_pending = 0, change_time = ",
        now!(),
        " WHERE id = ?1 RETURNING ",
        execution_columns!()
    ))?;
    Ok(statement.query_row(params![id.0, status.as_str()], rows::execution)?)
}
