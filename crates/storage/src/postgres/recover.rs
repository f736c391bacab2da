//! Recovery: executions whose owner is dead are ended and resumed; what a shutdown stopped is resumed.

use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::rules::recover::{self as rules, Candidate, Loss, Progress};
use oxbatch_core::repository::{RecoverRequest, Recovered};

use super::error::StoreError;
use super::finish::end_running_steps;
use super::launch::create_successor;
use super::rows;
use super::session::{Session, Values};
use super::sql::{chunk_session, execution_columns, now, running_columns};
use crate::conditions::is_last_of_instance;
use crate::presence::Presence;
use crate::rows::running_time;
use crate::shared::notices;

/// Looks for candidates; writes nothing, since mostly there are none.
pub(super) async fn candidates(
    session: &Session,
    request: &RecoverRequest,
    presence: &Presence,
) -> Result<Vec<Candidate>, StoreError> {
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
            &[&request.only().0, &request.only().1],
        )
        .await?;
    let leased = leased.iter().map(rows::leased).collect::<Result<_, _>>()?;
    let mut found = rules::lost(leased, request, |owner| presence.is_dead(owner));
    if rules::resumes(request) {
        let sql = "SELECT id FROM oxbatch_job_execution WHERE resume_pending ORDER BY id";
        for row in session.query(sql, &[]).await? {
            found.push(Candidate::ToResume(ExecutionId(row.try_get(0)?)));
        }
    }
    Ok(found)
}

/// Recovers one candidate; `None` when another caller was faster or its owner has come back.
pub(super) async fn recover(
    session: &Session,
    candidate: &Candidate,
    request: &RecoverRequest,
) -> Result<Option<Recovered>, StoreError> {
    let (lease, process_ended) = match candidate {
        Candidate::Lost { lease, process_ended } => (lease, *process_ended),
        Candidate::ToResume(id) => return resume(session, *id, request).await,
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
            &[&lease.id.0, &lease.owner, &lease.epoch, &process_ended],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    end_sessions(session, lease.id.0, lease.epoch).await?;
    let status = rows::status(&row, 0, lease.id.0)?;
    end_lost(session, lease.id, &Loss::new(lease, process_ended, status, request), request).await.map(Some)
}

/// Ends the sessions in which a dead owner has left a chunk: it may be frozen, or gone without the server's notice, and
/// its rows would keep its successor waiting. One that is alive writes the chunk again and finds its lease lost. A role
/// that may not see the sessions finds none.
async fn end_sessions(session: &Session, execution: i64, epoch: i64) -> Result<(), StoreError> {
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
    loss: &Loss,
    request: &RecoverRequest,
) -> Result<Recovered, StoreError> {
    // The steps end first: what their owner still has on its way is waited for, or finds them ended.
    end_running_steps(session, id, &loss.steps()?, request.time).await?;
    let (end, recoveries) = loss.end(progress(session, id).await?, request)?;
    let sql = concat!(
        "UPDATE oxbatch_job_execution
         SET status = $2, end_time = $3, exit_code = $4, exit_message = $5, lease_owner = NULL,
             lease_deadline = NULL, lease_epoch = lease_epoch + 1, change_time = ",
        now!(),
        ", running_until = least(",
        now!(),
        ", lease_deadline) WHERE id = $1 RETURNING ",
        execution_columns!(),
        ", ",
        running_columns!()
    );
    let values: Values<'_> = &[&id.0, &end.status.as_str(), &request.time, &end.exit_code, &end.exit_message];
    let row = session.one(sql, values).await?;
    let (lost, running) = (rows::execution(&row)?, running_time(&row, rows::EXECUTION_COLUMNS, id.0)?);
    let successor = match recoveries {
        Some(count) => Some(create_successor(session, (id, running), count, request.time).await?),
        None => None,
    };
    notices::of_end(session, &lost, successor.is_some()).await?;
    Ok(Recovered { lost, successor })
}

/// The progress of an execution, as its recovery judges it.
async fn progress(session: &Session, id: ExecutionId) -> Result<Progress, StoreError> {
    let row = session
        .one(
            "SELECT EXISTS (SELECT 1 FROM oxbatch_step_execution
                     WHERE job_execution_id = $1 AND (commit_count > 0 OR status = 'COMPLETED')), recovery_count,
                 restartable
             FROM oxbatch_job_execution WHERE id = $1",
            &[&id.0],
        )
        .await?;
    rows::progress(&row)
}

async fn resume(session: &Session, id: ExecutionId, request: &RecoverRequest) -> Result<Option<Recovered>, StoreError> {
    let row = session
        .optional(
            concat!(
                "UPDATE oxbatch_job_execution SET resume_pending = FALSE WHERE id = $1 AND resume_pending RETURNING ",
                execution_columns!(),
                ", ",
                is_last_of_instance!(),
                ", ",
                running_columns!()
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
    let (lost, running) = (rows::execution(&row)?, running_time(&row, rows::EXECUTION_COLUMNS + 1, id.0)?);
    let recoveries = rules::recoveries_after_shutdown(progress(session, id).await?);
    let successor = create_successor(session, (id, running), recoveries, request.time).await?;
    Ok(Some(Recovered { lost, successor: Some(successor) }))
}
