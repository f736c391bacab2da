//! Recovery: executions whose owner is dead are ended and resumed; what a shutdown stopped is resumed.

use oxbatch_core::execution::{ExecutionId, JobExecution};
use oxbatch_core::repository::rules::recover::{self as rules, Candidate, Loss, Progress};
use oxbatch_core::repository::rules::time::RunningTime;
use oxbatch_core::repository::{RecoverRequest, Recovered};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::finish::{end_running_steps, write_notices};
use super::launch::create_successor;
use super::rows;
use super::sql::{execution_columns, now, running_columns};
use crate::conditions::is_last_of_instance;
use crate::presence::Presence;
use crate::rows::running_time;

/// Executions that have an owner, by the index of leases: `+id` keeps SQLite from a scan of the whole table in the
/// order of its ids, at each look.
pub(super) const LEASED: &str = concat!(
    "SELECT id, lease_owner, lease_epoch, lease_deadline <= ",
    now!(),
    " FROM oxbatch_job_execution
         WHERE lease_owner IS NOT NULL AND (?1 IS NULL OR job_instance_id =
             (SELECT id FROM oxbatch_job_instance WHERE job_name = ?1 AND job_key = ?2))
         ORDER BY +id"
);

/// Looks for candidates; writes nothing, since mostly there are none.
pub(super) fn candidates(
    connection: &Connection,
    request: &RecoverRequest,
    presence: &Presence,
) -> Result<Vec<Candidate>, StoreError> {
    let mut statement = connection.prepare_cached(LEASED)?;
    let leased = statement.query_map(request.only(), rows::leased)?;
    let mut found = rules::lost(leased.collect::<Result<_, _>>()?, request, |owner| presence.is_dead(owner));
    if rules::resumes(request) {
        let mut statement =
            connection.prepare_cached("SELECT id FROM oxbatch_job_execution WHERE resume_pending = 1 ORDER BY id")?;
        let pending = statement.query_map([], |row| Ok(Candidate::ToResume(ExecutionId(row.get(0)?))))?;
        found.extend(pending.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(found)
}

/// Recovers one candidate; `None` when another caller was faster or its owner has come back.
pub(super) fn recover(
    connection: &Connection,
    candidate: &Candidate,
    request: &RecoverRequest,
) -> Result<Option<Recovered>, StoreError> {
    let (lease, process_ended) = match candidate {
        Candidate::Lost { lease, process_ended } => (lease, *process_ended),
        Candidate::ToResume(id) => return resume(connection, *id, request),
    };
    let status = connection
        .prepare_cached(concat!(
            "SELECT status FROM oxbatch_job_execution
             WHERE id = ?1 AND lease_owner = ?2 AND lease_epoch = ?3 AND (?4 OR lease_deadline <= ",
            now!(),
            ")"
        ))?
        .query_row(params![lease.id.0, lease.owner, lease.epoch, process_ended], |row| rows::status(row, 0, lease.id.0))
        .optional()?;
    let Some(status) = status else { return Ok(None) };
    end_lost(connection, lease.id, &Loss::new(lease, process_ended, status, request), request).map(Some)
}

fn end_lost(
    connection: &Connection,
    id: ExecutionId,
    loss: &Loss,
    request: &RecoverRequest,
) -> Result<Recovered, StoreError> {
    end_running_steps(connection, id, &loss.steps()?, request.time)?;
    let (end, recoveries) = loss.end(progress(connection, id)?, request)?;
    let (lost, running) = connection
        .prepare_cached(concat!(
            "UPDATE oxbatch_job_execution
             SET status = ?2, end_time = ?3, exit_code = ?4, exit_message = ?5, lease_owner = NULL,
                 lease_deadline = NULL, lease_epoch = lease_epoch + 1, change_time = ",
            now!(),
            ", running_until = min(",
            now!(),
            ", lease_deadline) WHERE id = ?1 RETURNING ",
            execution_columns!(),
            ", ",
            running_columns!()
        ))?
        .query_row(
            params![id.0, end.status.as_str(), request.time.as_microsecond(), end.exit_code, end.exit_message],
            |row| Ok((rows::execution(row)?, running_time(row, rows::EXECUTION_COLUMNS, id.0)?)),
        )?;
    let successor = recoveries.map(|count| create_successor(connection, (id, running), count, request.time));
    let successor = successor.transpose()?;
    write_notices(connection, &lost, successor.is_some())?;
    Ok(Recovered { lost, successor })
}

/// The progress of an execution, as its recovery judges it.
fn progress(connection: &Connection, id: ExecutionId) -> Result<Progress, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM oxbatch_step_execution
                     WHERE job_execution_id = ?1 AND (commit_count > 0 OR status = 'COMPLETED')), recovery_count,
                 restartable
             FROM oxbatch_job_execution WHERE id = ?1",
        )?
        .query_row([id.0], rows::progress)?;
    Ok(found)
}

fn resume(connection: &Connection, id: ExecutionId, request: &RecoverRequest) -> Result<Option<Recovered>, StoreError> {
    let stopped: Option<(JobExecution, bool, RunningTime)> = connection
        .prepare_cached(concat!(
            "UPDATE oxbatch_job_execution SET resume_pending = 0 WHERE id = ?1 AND resume_pending = 1 RETURNING ",
            execution_columns!(),
            ", ",
            is_last_of_instance!(),
            ", ",
            running_columns!()
        ))?
        .query_row([id.0], |row| {
            let running = running_time(row, rows::EXECUTION_COLUMNS + 1, id.0)?;
            Ok((rows::execution(row)?, row.get(rows::EXECUTION_COLUMNS)?, running))
        })
        .optional()?;
    // Somebody was faster, or has launched the instance in the meantime.
    let Some((lost, true, running)) = stopped else { return Ok(None) };
    let recoveries = rules::recoveries_after_shutdown(progress(connection, id)?);
    let successor = create_successor(connection, (id, running), recoveries, request.time)?;
    Ok(Some(Recovered { lost, successor: Some(successor) }))
}
