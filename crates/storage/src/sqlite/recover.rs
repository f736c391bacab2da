//! Recovery: executions whose owner is dead are ended and resumed; what a shutdown stopped is resumed.

use std::collections::HashMap;

use oxbatch_core::execution::{EXIT_ABORTED, ExecutionId, JobExecution, Status, StatusEvent};
use oxbatch_core::repository::{RecoverPolicy, RecoverRequest, Recovered};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::Fault;
use super::finish::end_running_steps;
use super::launch::create_successor;
use super::rows;
use super::sql::{execution_columns, now};
use super::step::after;
use crate::presence::Presence;

/// An execution that may have to be recovered.
#[derive(Debug, Clone)]
pub(super) enum Candidate {
    /// Its owner is dead.
    Lost { id: i64, owner: String, epoch: i64, process_ended: bool },
    /// A shutdown stopped it.
    ToResume { id: i64 },
}

/// Looks for candidates; writes nothing, since mostly there are none.
pub(super) fn candidates(
    connection: &Connection,
    request: &RecoverRequest,
    presence: &Presence,
) -> Result<Vec<Candidate>, Fault> {
    let own = request.node.to_string();
    let (job_name, job_key) = request.only.as_ref().map(|(name, key)| (name.as_str(), key.as_str())).unzip();
    let mut leased = connection.prepare_cached(concat!(
        "SELECT id, lease_owner, lease_epoch, lease_deadline <= ",
        now!(),
        " FROM oxbatch_job_execution
         WHERE lease_owner IS NOT NULL AND (?1 IS NULL OR job_instance_id =
             (SELECT id FROM oxbatch_job_instance WHERE job_name = ?1 AND job_key = ?2))
         ORDER BY id"
    ))?;
    let mut leased = leased.query(params![job_name, job_key])?;
    let mut ended: HashMap<String, bool> = HashMap::new();
    let mut found = Vec::new();
    while let Some(row) = leased.next()? {
        let owner: String = row.get(1)?;
        // A node that asks is alive: what has run out in a pause of its own it renews itself, if it knows of it.
        let id = row.get(0)?;
        if owner == own && request.held.contains(&ExecutionId(id)) {
            continue;
        }
        let process_ended = owner != own && *ended.entry(owner.clone()).or_insert_with(|| presence.is_dead(&owner));
        if process_ended || row.get(3)? {
            found.push(Candidate::Lost { id, owner, epoch: row.get(2)?, process_ended });
        }
    }
    if request.policy == RecoverPolicy::Restart && request.only.is_none() {
        let mut statement =
            connection.prepare_cached("SELECT id FROM oxbatch_job_execution WHERE resume_pending = 1 ORDER BY id")?;
        let mut pending = statement.query([])?;
        while let Some(row) = pending.next()? {
            found.push(Candidate::ToResume { id: row.get(0)? });
        }
    }
    Ok(found)
}

/// Recovers one candidate; `None` when another caller was faster or its owner has come back.
pub(super) fn recover(
    connection: &Connection,
    candidate: &Candidate,
    request: &RecoverRequest,
) -> Result<Option<Recovered>, Fault> {
    match candidate {
        Candidate::Lost { id, owner, epoch, process_ended } => {
            let cause = match (process_ended, *owner == request.node.to_string()) {
                (true, _) => "the process that ran it died",
                (false, true) => "the node that took it had no answer to that, and never began it",
                (false, false) => "the node that ran it no longer answers",
            };
            let status = connection
                .prepare_cached(concat!(
                    "SELECT status FROM oxbatch_job_execution
                     WHERE id = ?1 AND lease_owner = ?2 AND lease_epoch = ?3 AND (?4 OR lease_deadline <= ",
                    now!(),
                    ")"
                ))?
                .query_row(params![id, owner, epoch, process_ended], |row| rows::status(row, 0, *id))
                .optional()?;
            match status {
                Some(status) => end_lost(connection, ExecutionId(*id), status, cause, request).map(Some),
                None => Ok(None),
            }
        }
        Candidate::ToResume { id } => resume(connection, ExecutionId(*id), request),
    }
}

fn end_lost(
    connection: &Connection,
    id: ExecutionId,
    status: Status,
    cause: &str,
    request: &RecoverRequest,
) -> Result<Recovered, Fault> {
    let event = if status == Status::Stopping { StatusEvent::Stop } else { StatusEvent::Fail };
    let ended = after(status, event)?;
    let exit_code = if ended == Status::Failed { EXIT_ABORTED } else { ended.as_str() };
    let (progressed, count) = progress(connection, id)?;
    end_running_steps(connection, id, event, request.time.as_microsecond(), Some(exit_code), Some(cause))?;
    let recovery_count = if progressed { 1 } else { count + 1 };
    let may_restart = ended == Status::Failed && request.policy == RecoverPolicy::Restart && request.only.is_none();
    let exhausted = recovery_count > request.max_recoveries;
    let message = if ended == Status::Stopped {
        format!("{cause} while it was being stopped on request; it is not restarted by itself")
    } else if may_restart && exhausted {
        format!("{cause}; it is not restarted by itself after {count} automatic recoveries in a row without progress")
    } else {
        cause.to_owned()
    };
    let lost = connection
        .prepare_cached(concat!(
            "UPDATE oxbatch_job_execution
             SET status = ?2, end_time = ?3, exit_code = ?4, exit_message = ?5, lease_owner = NULL,
                 lease_deadline = NULL, lease_epoch = lease_epoch + 1
             WHERE id = ?1 RETURNING ",
            execution_columns!()
        ))?
        .query_row(params![id.0, ended.as_str(), request.time.as_microsecond(), exit_code, message], rows::execution)?;
    let successor = if may_restart && !exhausted {
        Some(create_successor(connection, id, recovery_count, request.time)?)
    } else {
        None
    };
    Ok(Recovered { lost, successor })
}

/// Whether the execution has committed anything, and how many recoveries in a row led to it.
fn progress(connection: &Connection, id: ExecutionId) -> Result<(bool, i64), Fault> {
    let found = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM oxbatch_step_execution
                     WHERE job_execution_id = ?1 AND (commit_count > 0 OR status = 'COMPLETED')), recovery_count
             FROM oxbatch_job_execution WHERE id = ?1",
        )?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found)
}

fn resume(connection: &Connection, id: ExecutionId, request: &RecoverRequest) -> Result<Option<Recovered>, Fault> {
    let stopped: Option<(JobExecution, bool)> = connection
        .prepare_cached(concat!(
            "UPDATE oxbatch_job_execution SET resume_pending = 0 WHERE id = ?1 AND resume_pending = 1 RETURNING ",
            execution_columns!(),
            ", NOT EXISTS (SELECT 1 FROM oxbatch_job_execution AS later
                 WHERE later.job_instance_id = oxbatch_job_execution.job_instance_id
                     AND later.id > oxbatch_job_execution.id)"
        ))?
        .query_row([id.0], |row| Ok((rows::execution(row)?, row.get(rows::EXECUTION_COLUMNS)?)))
        .optional()?;
    // Somebody was faster, or has launched the instance in the meantime.
    let Some((lost, true)) = stopped else { return Ok(None) };
    let (progressed, count) = progress(connection, id)?;
    let recovery_count = if progressed { 0 } else { count };
    let successor = create_successor(connection, id, recovery_count, request.time)?;
    Ok(Some(Recovered { lost, successor: Some(successor) }))
}
