//! The ends of steps and executions: recorded by their owner, asked for by a person.

use oxbatch_core::execution::{ExecutionId, JobExecution, Status, StatusEvent, StepExecution, StepExecutionId, next};
use oxbatch_core::repository::{ExecutionOutcome, Lease, RepositoryError, StepFence, StepOutcome};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::Fault;
use super::rows;
use super::sql::{execution_columns, now, step_columns};

/// The status after an event that somebody asks for.
fn after(id: ExecutionId, status: Status, event: StatusEvent, reason: &'static str) -> Result<Status, Fault> {
    next(status, event).map_err(|transition| Fault::Repository(RepositoryError::Refused { id, transition, reason }))
}

const NO_SUCH_END: &str = "its end was recorded as something that is no end";

/// Ends a step execution under its fence.
pub(super) fn step(connection: &Connection, fence: StepFence, outcome: &StepOutcome) -> Result<StepExecution, Fault> {
    let StepFence { lease, step_id: StepExecutionId(id) } = fence;
    let lost = || Fault::Repository(RepositoryError::LeaseLost { id: lease.execution_id });
    let kept = connection
        .prepare_cached(concat!(
            "SELECT ",
            step_columns!(),
            " FROM oxbatch_step_execution WHERE id = ?1 AND lease_epoch = ?2 AND status IN ('STARTED', 'STOPPING')"
        ))?
        .query_row(params![id, lease.epoch], rows::step)
        .optional()?
        .ok_or_else(lost)?;
    let status = after(lease.execution_id, kept.status, outcome.event, NO_SUCH_END)?;
    let (counters, progress) = outcome.counted(kept.counters);
    let step = connection
        .prepare_cached(concat!(
            "UPDATE oxbatch_step_execution
             SET status = ?3, end_time = ?4, exit_code = ?5, exit_message = ?6, state = coalesce(?7, state),
                 progress = coalesce(?8, progress), read_count = ?9, write_count = ?10, filter_count = ?11,
                 commit_count = ?12, rollback_count = ?13, read_skip_count = ?14, process_skip_count = ?15,
                 write_skip_count = ?16, retry_count = ?17
             WHERE id = ?1 AND lease_epoch = ?2 RETURNING ",
            step_columns!()
        ))?
        .query_row(
            params![
                id,
                lease.epoch,
                status.as_str(),
                outcome.time.as_microsecond(),
                outcome.exit_code.as_deref().unwrap_or(status.as_str()),
                outcome.exit_message,
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
            ],
            rows::step,
        )?;
    if let Some(context) = &outcome.job_context {
        let saved = connection
            .prepare_cached("UPDATE oxbatch_job_execution SET context = ?3 WHERE id = ?1 AND lease_epoch = ?2")?
            .execute(params![lease.execution_id.0, lease.epoch, context])?;
        if saved == 0 {
            return Err(lost());
        }
    }
    Ok(step)
}

/// Ends an execution under its lease, and gives the lease back.
pub(super) fn execution(
    connection: &Connection,
    lease: Lease,
    outcome: &ExecutionOutcome,
) -> Result<JobExecution, Fault> {
    let ExecutionId(id) = lease.execution_id;
    let status = connection
        .prepare_cached(
            "SELECT status FROM oxbatch_job_execution WHERE id = ?1 AND lease_epoch = ?2 AND lease_owner IS NOT NULL",
        )?
        .query_row(params![id, lease.epoch], |row| rows::status(row, 0, id))
        .optional()?
        .ok_or(RepositoryError::LeaseLost { id: lease.execution_id })?;
    // What a person was stopping is not resumed by itself, although the shutdown came first.
    let resume = outcome.resume && status == Status::Started;
    let status = after(lease.execution_id, status, outcome.event, NO_SUCH_END)?;
    // A step whose end could not be recorded ends here: nothing is left running. Work that is complete has no such step.
    let event = if outcome.event == StatusEvent::Stop { StatusEvent::Stop } else { StatusEvent::Fail };
    end_running_steps(connection, lease.execution_id, event, outcome.time.as_microsecond(), None, None)?;
    let execution = connection
        .prepare_cached(concat!(
            "UPDATE oxbatch_job_execution
             SET status = ?3, end_time = ?4, exit_code = ?5, exit_message = ?6, resume_pending = ?7,
                 lease_owner = NULL, lease_deadline = NULL
             WHERE id = ?1 AND lease_epoch = ?2 RETURNING ",
            execution_columns!()
        ))?
        .query_row(
            params![
                id,
                lease.epoch,
                status.as_str(),
                outcome.time.as_microsecond(),
                outcome.exit_code.as_deref().unwrap_or(status.as_str()),
                outcome.exit_message,
                resume && status == Status::Stopped,
            ],
            rows::execution,
        )?;
    Ok(execution)
}

/// Ends the running steps of an execution that ends without them.
pub(super) fn end_running_steps(
    connection: &Connection,
    id: ExecutionId,
    event: StatusEvent,
    time: i64,
    exit_code: Option<&str>,
    exit_message: Option<&str>,
) -> Result<(), Fault> {
    // Both running statuses of a step lead to the same end.
    let status = after(id, Status::Started, event, NO_SUCH_END)?;
    connection
        .prepare_cached(
            "UPDATE oxbatch_step_execution SET status = ?2, end_time = ?3, exit_code = ?4, exit_message = ?5
             WHERE job_execution_id = ?1 AND status IN ('STARTED', 'STOPPING')",
        )?
        .execute(params![
            id.0,
            status.as_str(),
            time,
            exit_code.unwrap_or(status.as_str()),
            exit_message.unwrap_or("its execution ended without it")
        ])?;
    Ok(())
}

fn status_of(connection: &Connection, id: ExecutionId) -> Result<Status, Fault> {
    let found = connection
        .prepare_cached("SELECT status FROM oxbatch_job_execution WHERE id = ?1")?
        .query_row([id.0], |row| rows::status(row, 0, id.0))
        .optional()?;
    found.ok_or(Fault::Repository(RepositoryError::NotFound { what: "execution", id: id.0 }))
}

/// Records the request to stop.
pub(super) fn request_stop(connection: &Connection, id: ExecutionId) -> Result<JobExecution, Fault> {
    const REASON: &str = "it has ended, there is nothing to stop";
    let status = status_of(connection, id)?;
    if status == Status::Starting {
        let stopped = after(id, status, StatusEvent::Stop, REASON)?;
        let mut statement = connection.prepare_cached(concat!(
            "UPDATE oxbatch_job_execution
             SET status = ?2, end_time = ",
            now!(),
            ", exit_code = ?2, exit_message = 'stopped on request before a node took it'
             WHERE id = ?1 RETURNING ",
            execution_columns!()
        ))?;
        return Ok(statement.query_row(params![id.0, stopped.as_str()], rows::execution)?);
    }
    let stopping = after(id, status, StatusEvent::RequestStop, REASON)?;
    connection
        .prepare_cached(
            "UPDATE oxbatch_step_execution SET status = ?2 WHERE job_execution_id = ?1 AND status = 'STARTED'",
        )?
        .execute(params![id.0, stopping.as_str()])?;
    let mut statement = connection.prepare_cached(concat!(
        "UPDATE oxbatch_job_execution SET status = ?2 WHERE id = ?1 RETURNING ",
        execution_columns!()
    ))?;
    Ok(statement.query_row(params![id.0, stopping.as_str()], rows::execution)?)
}

/// Gives an execution up.
pub(super) fn abandon(connection: &Connection, id: ExecutionId) -> Result<JobExecution, Fault> {
    let status = status_of(connection, id)?;
    let reason = if status.is_running() { "stop it first" } else { "it was given up before" };
    let status = after(id, status, StatusEvent::Abandon, reason)?;
    let mut statement = connection.prepare_cached(concat!(
        "UPDATE oxbatch_job_execution SET status = ?2, resume_pending = 0 WHERE id = ?1 RETURNING ",
        execution_columns!()
    ))?;
    Ok(statement.query_row(params![id.0, status.as_str()], rows::execution)?)
}
