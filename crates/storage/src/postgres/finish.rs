//! The ends of steps and executions: recorded by their owner, asked for by a person.
//!
//! Whoever changes an execution and its steps takes the execution's row first, so that nobody waits for another in a
//! ring.

use jiff::Timestamp;
use oxbatch_core::execution::{Counters, ExecutionId, JobExecution, Status, StepExecution, StepExecutionId};
use oxbatch_core::repository::rules::finish::{self as rules, End, SaveCounts, StepEnd, Stop};
use oxbatch_core::repository::rules::joined::ends_execution;
use oxbatch_core::repository::{
    ExecutionOutcome, LastEnded, LastOutcome, Lease, Missing, RepositoryError, StepFence, StepOutcome,
};

use super::error::StoreError;
use super::session::{Session, Values};
use super::sql::{execution_columns, now, step_columns};
use super::{context, flow, rows};
use crate::conditions::has_notice_channels;
use crate::shared::notices;

/// Text as PostgreSQL can hold it: an author's message may have a NUL, and its end must be recorded all the same.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Ends the last step of an execution, and the execution with it.
pub(super) async fn last_step(
    session: &Session,
    fence: StepFence,
    outcome: &LastOutcome,
    saves: i64,
) -> Result<LastEnded, StoreError> {
    let held = held(session, fence.lease).await?;
    let (step, ends_execution) = end_step(session, fence, &outcome.step, saves).await?;
    let execution = match ends_execution {
        true => Some(end_execution(session, fence.lease, held, &outcome.execution).await?),
        false => None,
    };
    Ok(LastEnded { step, execution })
}

/// Ends a step execution under its fence. The commit waits for the disk, and with it everything before it in the one
/// log of the server: the chunks of the step, which did not wait, are durable then.
///
/// `saves` of its chunks are known to have been committed. A server that has fewer has lost some in a crash.
pub(super) async fn step(
    session: &Session,
    fence: StepFence,
    outcome: &StepOutcome,
    saves: i64,
) -> Result<StepExecution, StoreError> {
    end_step(session, fence, outcome, saves).await.map(|(step, _)| step)
}

/// The same; whether the execution may end with it.
async fn end_step(
    session: &Session,
    fence: StepFence,
    outcome: &StepOutcome,
    saves: i64,
) -> Result<(StepExecution, bool), StoreError> {
    let StepFence { lease, step_id: StepExecutionId(id) } = fence;
    let lost = || StoreError::Repository(RepositoryError::LeaseLost { id: lease.execution_id() });
    if let Some(changes) = &outcome.job_context {
        context::save(session, lease, changes).await?;
    }
    let running = concat!(
        "SELECT ",
        step_columns!(),
        ", revision FROM oxbatch_step_execution
         WHERE id = $1 AND lease_epoch = $2 AND status IN ('STARTED', 'STOPPING') FOR NO KEY UPDATE"
    );
    let row = session.optional(running, &[&id, &lease.epoch]).await?.ok_or_else(lost)?;
    let StepExecution { status, counters, .. } = rows::step(&row)?;
    let saves = SaveCounts { kept: row.try_get("revision")?, known: saves };
    let end = rules::step(lease.execution_id(), status, outcome, saves)?;
    let ends_execution = ends_execution(&end);
    let step = match end {
        StepEnd::AsReported(end) => {
            if let Some(record) = &outcome.flow {
                flow::record(session, lease, record).await?;
            }
            end_as_reported(session, fence, &end, outcome, counters).await?
        }
        StepEnd::AsKept(end) => end_as_kept(session, fence, &end, outcome.time).await?,
    };
    Ok((step, ends_execution))
}

/// Ends a step as its owner reports it.
async fn end_as_reported(
    session: &Session,
    StepFence { lease, step_id: StepExecutionId(id) }: StepFence,
    end: &End,
    outcome: &StepOutcome,
    counters: Counters,
) -> Result<StepExecution, StoreError> {
    let (counters, progress) = outcome.counted(counters);
    let row = session
        .one(
            concat!(
                "UPDATE oxbatch_step_execution
                 SET status = $3, end_time = $4, exit_code = $5, exit_message = $6, state = coalesce($7, state),
                     progress = coalesce($8, progress), read_count = $9, write_count = $10, filter_count = $11,
                     commit_count = $12, rollback_count = $13, read_skip_count = $14, process_skip_count = $15,
                     write_skip_count = $16, retry_count = $17, phase_shares = $18,
                     running_until = ",
                now!(),
                " WHERE id = $1 AND lease_epoch = $2 RETURNING ",
                step_columns!()
            ),
            &[
                &id,
                &lease.epoch,
                &end.status.as_str(),
                &outcome.time,
                &storable(&end.exit_code),
                &end.exit_message.as_deref().map(storable),
                &outcome.state,
                &progress,
                &counters.read,
                &counters.write,
                &counters.filter,
                &counters.commit,
                &counters.rollback,
                &counters.read_skip,
                &counters.process_skip,
                &counters.write_skip,
                &counters.retry,
                &outcome.shares.map(|shares| serde_json::json!(shares).to_string()),
            ],
        )
        .await?;
    rows::step(&row)
}

/// Ends a step of which the server knows better how far it came: it keeps the counters and the state that fit its rows.
async fn end_as_kept(
    session: &Session,
    StepFence { lease, step_id: StepExecutionId(id) }: StepFence,
    end: &End,
    time: Timestamp,
) -> Result<StepExecution, StoreError> {
    let sql = concat!(
        "UPDATE oxbatch_step_execution SET status = $3, end_time = $4, exit_code = $5, exit_message = $6,
             running_until = ",
        now!(),
        " WHERE id = $1 AND lease_epoch = $2 RETURNING ",
        step_columns!()
    );
    let message = end.exit_message.as_deref().map(storable);
    let values: Values<'_> = &[&id, &lease.epoch, &end.status.as_str(), &time, &end.exit_code, &message];
    rows::step(&session.one(sql, values).await?)
}

/// Ends an execution under its lease, and gives the lease back.
pub(super) async fn execution(
    session: &Session,
    lease: Lease,
    outcome: &ExecutionOutcome,
) -> Result<JobExecution, StoreError> {
    let held = held(session, lease).await?;
    end_execution(session, lease, held, outcome).await
}

/// The status of an execution under its lease, and whether it is restartable. Its row is locked from here on.
async fn held(session: &Session, lease: Lease) -> Result<(Status, bool), StoreError> {
    let ExecutionId(id) = lease.execution_id();
    let found = session
        .optional(
            "SELECT status, restartable FROM oxbatch_job_execution
             WHERE id = $1 AND lease_epoch = $2 AND lease_owner IS NOT NULL FOR NO KEY UPDATE",
            &[&id, &lease.epoch],
        )
        .await?
        .ok_or(RepositoryError::LeaseLost { id: lease.execution_id() })?;
    Ok((rows::status(&found, 0, id)?, found.try_get(1)?))
}

/// Ends an execution that is held under its lease.
async fn end_execution(
    session: &Session,
    lease: Lease,
    (status, restartable): (Status, bool),
    outcome: &ExecutionOutcome,
) -> Result<JobExecution, StoreError> {
    let ExecutionId(id) = lease.execution_id();
    let rules::ExecutionEnd { end, resume, steps } =
        rules::execution(lease.execution_id(), status, restartable, outcome)?;
    end_running_steps(session, lease.execution_id(), &steps, outcome.time).await?;
    let row = session
        .one(
            concat!(
                "UPDATE oxbatch_job_execution
                 SET status = $3, end_time = $4, exit_code = $5, exit_message = $6, resume_pending = $7,
                     lease_owner = NULL, lease_deadline = NULL, running_until = ",
                now!(),
                ", change_time = ",
                now!(),
                " WHERE id = $1 AND lease_epoch = $2 RETURNING ",
                execution_columns!(),
                has_notice_channels!()
            ),
            &[
                &id,
                &lease.epoch,
                &end.status.as_str(),
                &outcome.time,
                &storable(&end.exit_code),
                &end.exit_message.as_deref().map(storable),
                &resume,
            ],
        )
        .await?;
    let execution = rows::execution(&row)?;
    if row.try_get(rows::EXECUTION_COLUMNS)? {
        notices::of_end(session, &execution, resume).await?;
    }
    Ok(execution)
}

/// Ends the running steps of an execution that ends without them.
pub(super) async fn end_running_steps(
    session: &Session,
    id: ExecutionId,
    end: &End,
    time: Timestamp,
) -> Result<(), StoreError> {
    session
        .execute(
            concat!(
                "UPDATE oxbatch_step_execution SET status = $2, end_time = $3, exit_code = $4, exit_message = $5,
                     running_until = least(",
                now!(),
                ", (SELECT lease_deadline FROM oxbatch_job_execution WHERE id = $1))
                 WHERE job_execution_id = $1 AND status IN ('STARTED', 'STOPPING')"
            ),
            &[&id.0, &end.status.as_str(), &time, &end.exit_code, &end.exit_message],
        )
        .await?;
    Ok(())
}

/// The status of an execution, whose row is locked from here on.
async fn status_of(session: &Session, id: ExecutionId) -> Result<Status, StoreError> {
    let sql = "SELECT status FROM oxbatch_job_execution WHERE id = $1 FOR NO KEY UPDATE";
    match session.optional(sql, &[&id.0]).await? {
        Some(row) => rows::status(&row, 0, id.0),
        None => Err(RepositoryError::NotFound { what: Missing::Execution, id: id.0 }.into()),
    }
}

/// Records the request to stop.
pub(super) async fn request_stop(session: &Session, id: ExecutionId) -> Result<JobExecution, StoreError> {
    match rules::request_stop(id, status_of(session, id).await?)? {
        Stop::AtOnce(end) => {
            let sql = concat!(
                "UPDATE oxbatch_job_execution SET status = $2, end_time = ",
                now!(),
                ", change_time = ",
                now!(),
                ", exit_code = $3, exit_message = $4 WHERE id = $1 RETURNING ",
                execution_columns!()
            );
            let values: Values<'_> = &[&id.0, &end.status.as_str(), &end.exit_code, &end.exit_message];
            rows::execution(&session.one(sql, values).await?)
        }
        Stop::Asked(stopping) => {
            let sql =
                "UPDATE oxbatch_step_execution SET status = $2 WHERE job_execution_id = $1 AND status = 'STARTED'";
            session.execute(sql, &[&id.0, &stopping.as_str()]).await?;
            let sql = concat!(
                "UPDATE oxbatch_job_execution SET status = $2, change_time = ",
                now!(),
                " WHERE id = $1 RETURNING ",
                execution_columns!()
            );
            rows::execution(&session.one(sql, &[&id.0, &stopping.as_str()]).await?)
        }
    }
}

/// Gives an execution up. A launch of its instance that is on its way is waited for.
pub(super) async fn abandon(session: &Session, id: ExecutionId) -> Result<JobExecution, StoreError> {
    session
        .query(
            "SELECT 1 FROM oxbatch_job_instance
             WHERE id = (SELECT job_instance_id FROM oxbatch_job_execution WHERE id = $1) FOR NO KEY UPDATE",
            &[&id.0],
        )
        .await?;
    let status = rules::abandon(id, status_of(session, id).await?)?;
    let sql = concat!(
        "UPDATE oxbatch_job_execution SET status = $2, resume_pending = FALSE, change_time = ",
        now!(),
        " WHERE id = $1 RETURNING ",
        execution_columns!()
    );
    rows::execution(&session.one(sql, &[&id.0, &status.as_str()]).await?)
}
