//! Recovery: executions whose owner is dead are ended and resumed; what a shutdown stopped is resumed.

use std::collections::HashMap;

use oxbatch_core::execution::{EXIT_ABORTED, ExecutionId, Status, StatusEvent};
use oxbatch_core::repository::{RecoverPolicy, RecoverRequest, Recovered};

use super::error::Fault;
use super::finish::end_running_steps;
use super::launch::create_successor;
use super::rows;
use super::session::Session;
use super::sql::{chunk_session, execution_columns, now};
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
pub(super) async fn candidates(
    session: &Session,
    request: &RecoverRequest,
    presence: &Presence,
) -> Result<Vec<Candidate>, Fault> {
    let own = request.node.to_string();
    let (job_name, job_key) = request.only.as_ref().map(|(name, key)| (name.as_str(), key.as_str())).unzip();
    let leased = session
        .query(
            concat!(
                "SELECT id, lease_owner, lease_epoch, lease_deadline <= ",
                now!(),
                " FROM oxbatch_job_execution
                 WHERE lease_owner IS NOT NULL AND ($1::text IS NULL OR job_instance_id =
                     (SELECT id FROM oxbatch_job_instance WHERE job_name = $1 AND job_key = $2))
                 ORDER BY id"
            ),
            &[&job_name, &job_key],
        )
        .await?;
    let mut ended: HashMap<String, bool> = HashMap::new();
    let mut found = Vec::new();
    for row in &leased {
        let owner: String = row.try_get(1)?;
        // A node that asks is alive: what has run out in a pause of its own it renews itself, if it knows of it.
        let id = row.try_get(0)?;
        if owner == own && request.held.contains(&ExecutionId(id)) {
            continue;
        }
        let process_ended = owner != own && *ended.entry(owner.clone()).or_insert_with(|| presence.is_dead(&owner));
        if process_ended || row.try_get(3)? {
            found.push(Candidate::Lost { id, owner, epoch: row.try_get(2)?, process_ended });
        }
    }
    if request.policy == RecoverPolicy::Restart && request.only.is_none() {
        let sql = "SELECT id FROM oxbatch_job_execution WHERE resume_pending ORDER BY id";
        for row in session.query(sql, &[]).await? {
            found.push(Candidate::ToResume { id: row.try_get(0)? });
        }
    }
    Ok(found)
}

/// Recovers one candidate; `None` when another caller was faster or its owner has come back.
pub(super) async fn recover(
    session: &Session,
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
            // One of several callers gets the row; the others wait for it, and find another owner then.
            let row = session
                .optional(
                    concat!(
                        "SELECT status FROM oxbatch_job_execution
                         WHERE id = $1 AND lease_owner = $2 AND lease_epoch = $3 AND ($4 OR lease_deadline <= ",
                        now!(),
                        ") FOR NO KEY UPDATE"
                    ),
                    &[id, owner, epoch, process_ended],
                )
                .await?;
            match row {
                Some(row) => {
                    end_sessions(session, *id, *epoch).await?;
                    let status = rows::status(&row, 0, *id)?;
                    end_lost(session, ExecutionId(*id), status, cause, request).await.map(Some)
                }
                None => Ok(None),
            }
        }
        Candidate::ToResume { id } => resume(session, ExecutionId(*id), request).await,
    }
}

/// Ends the sessions in which a dead owner has left a chunk: it may be frozen, or gone without the server's notice, and its
/// rows would keep its successor waiting. One that is alive writes the chunk again and finds its lease lost. A role that may
/// not see the sessions finds none.
async fn end_sessions(session: &Session, execution: i64, epoch: i64) -> Result<(), Fault> {
    let ended = session
        .query(
            concat!(
                "SELECT pg_terminate_backend(pid)
                 FROM pg_stat_activity, (SELECT $1::bigint AS execution, $2::bigint AS epoch) AS lease
                 WHERE datname = current_database() AND usename = current_user AND application_name = ",
                chunk_session!()
            ),
            &[&execution, &epoch],
        )
        .await?;
    if !ended.is_empty() {
        tracing::info!(execution, sessions = ended.len(), "ended the sessions that a dead owner had left in a chunk");
    }
    Ok(())
}

async fn end_lost(
    session: &Session,
    id: ExecutionId,
    status: Status,
    cause: &str,
    request: &RecoverRequest,
) -> Result<Recovered, Fault> {
    let event = if status == Status::Stopping { StatusEvent::Stop } else { StatusEvent::Fail };
    let ended = after(status, event)?;
    let exit_code = if ended == Status::Failed { EXIT_ABORTED } else { ended.as_str() };
    // The steps end first: what their owner still has on its way is waited for, or finds them ended.
    end_running_steps(session, id, event, request.time, Some(exit_code), Some(cause)).await?;
    let (progressed, count) = progress(session, id).await?;
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
    let row = session
        .one(
            concat!(
                "UPDATE oxbatch_job_execution
                 SET status = $2, end_time = $3, exit_code = $4, exit_message = $5, lease_owner = NULL,
                     lease_deadline = NULL, lease_epoch = lease_epoch + 1
                 WHERE id = $1 RETURNING ",
                execution_columns!()
            ),
            &[&id.0, &ended.as_str(), &request.time, &exit_code, &message],
        )
        .await?;
    let lost = rows::execution(&row)?;
    let successor = if may_restart && !exhausted {
        Some(create_successor(session, id, recovery_count, request.time).await?)
    } else {
        None
    };
    Ok(Recovered { lost, successor })
}

/// Whether the execution has committed anything, and how many recoveries in a row led to it.
async fn progress(session: &Session, id: ExecutionId) -> Result<(bool, i64), Fault> {
    let row = session
        .one(
            "SELECT EXISTS (SELECT 1 FROM oxbatch_step_execution
                     WHERE job_execution_id = $1 AND (commit_count > 0 OR status = 'COMPLETED')), recovery_count
             FROM oxbatch_job_execution WHERE id = $1",
            &[&id.0],
        )
        .await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

async fn resume(session: &Session, id: ExecutionId, request: &RecoverRequest) -> Result<Option<Recovered>, Fault> {
    let row = session
        .optional(
            concat!(
                "UPDATE oxbatch_job_execution SET resume_pending = FALSE WHERE id = $1 AND resume_pending RETURNING ",
                execution_columns!(),
                ", NOT EXISTS (SELECT 1 FROM oxbatch_job_execution AS later
                     WHERE later.job_instance_id = oxbatch_job_execution.job_instance_id
                         AND later.id > oxbatch_job_execution.id)"
            ),
            &[&id.0],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let is_last: bool = row.try_get(rows::EXECUTION_COLUMNS)?;
    // Somebody has launched the instance in the meantime.
    if !is_last {
        return Ok(None);
    }
    let lost = rows::execution(&row)?;
    let (progressed, count) = progress(session, id).await?;
    let recovery_count = if progressed { 0 } else { count };
    let successor = create_successor(session, id, recovery_count, request.time).await?;
    Ok(Some(Recovered { lost, successor: Some(successor) }))
}
