//! The ends of steps and executions: recorded by their owner, asked for by a person.
//!
//! Whoever changes an execution and its steps takes the execution's row first, so that nobody waits for another in a ring.

use jiff::Timestamp;
use oxbatch_core::execution::{ExecutionId, JobExecution, Status, StatusEvent, StepExecution, StepExecutionId, next};
use oxbatch_core::repository::{ExecutionOutcome, Lease, RepositoryError, StepFence, StepOutcome};

use super::error::Fault;
use super::rows;
use super::session::Session;
use super::sql::{execution_columns, now, step_columns};

/// The status after an event that somebody asks for.
fn after(id: ExecutionId, status: Status, event: StatusEvent, reason: &'static str) -> Result<Status, Fault> {
    next(status, event).map_err(|transition| Fault::Repository(RepositoryError::Refused { id, transition, reason }))
}

const NO_SUCH_END: &str = "its end was recorded as something that is no end";

/// Text as PostgreSQL can hold it: an author's message may have a NUL, and its end must be recorded all the same.
fn storable(text: Option<&str>) -> Option<String> {
    text.map(|text| text.replace('\0', "\u{fffd}"))
}

/// Ends a step execution under its fence. The commit waits for the disk, and with it everything before it in the one log
/// of the server: the chunks of the step, which did not wait, are durable then.
///
/// `saves` of its chunks are known to have been committed. A server that has fewer has lost some in a crash.
pub(super) async fn step(
    session: &Session,
    fence: StepFence,
    outcome: &StepOutcome,
    saves: i64,
) -> Result<StepExecution, Fault> {
    let StepFence { lease, step_id: StepExecutionId(id) } = fence;
    let lost = || Fault::Repository(RepositoryError::LeaseLost { id: lease.execution_id });
    if let Some(context) = &outcome.job_context {
        let saved = session
            .execute(
                "UPDATE oxbatch_job_execution SET context = $3 WHERE id = $1 AND lease_epoch = $2",
                &[&lease.execution_id.0, &lease.epoch, context],
            )
            .await?;
        if saved == 0 {
            return Err(lost());
        }
    }
    let running = concat!(
        "SELECT ",
        step_columns!(),
        ", revision FROM oxbatch_step_execution
         WHERE id = $1 AND lease_epoch = $2 AND status IN ('STARTED', 'STOPPING') FOR NO KEY UPDATE"
    );
    let row = session.optional(running, &[&id, &lease.epoch]).await?.ok_or_else(lost)?;
    let StepExecution { status, counters, .. } = rows::step(&row)?;
    let kept: i64 = row.try_get("revision")?;
    if kept < saves {
        let message = RepositoryError::WentBack { id: lease.execution_id }.to_string();
        return end_as_kept(session, fence, status, StatusEvent::Fail, message, outcome).await;
    }
    // A save that this process has never heard of again was made: the row knows better how far the step came.
    if kept > saves {
        let event = if outcome.event == StatusEvent::Stop { StatusEvent::Stop } else { StatusEvent::Fail };
        let message = RepositoryError::AnswerLost { id: lease.execution_id }.to_string();
        return end_as_kept(session, fence, status, event, message, outcome).await;
    }
    let status = after(lease.execution_id, status, outcome.event, NO_SUCH_END)?;
    let (counters, progress) = outcome.counted(counters);
    let row = session
        .one(
            concat!(
                "UPDATE oxbatch_step_execution
                 SET status = $3, end_time = $4, exit_code = $5, exit_message = $6, state = coalesce($7, state),
                     progress = coalesce($8, progress), read_count = $9, write_count = $10, filter_count = $11,
                     commit_count = $12, rollback_count = $13, read_skip_count = $14, process_skip_count = $15,
                     write_skip_count = $16, retry_count = $17
                 WHERE id = $1 AND lease_epoch = $2 RETURNING ",
                step_columns!()
            ),
            &[
                &id,
                &lease.epoch,
                &status.as_str(),
                &outcome.time,
                &storable(outcome.exit_code.as_deref()).unwrap_or_else(|| status.as_str().to_owned()),
                &storable(outcome.exit_message.as_deref()),
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
            ],
        )
        .await?;
    rows::step(&row)
}

/// Ends a step of which the server knows better how far it came: it keeps the counters and the state that fit its rows.
async fn end_as_kept(
    session: &Session,
    StepFence { lease, step_id: StepExecutionId(id) }: StepFence,
    status: Status,
    event: StatusEvent,
    mut message: String,
    outcome: &StepOutcome,
) -> Result<StepExecution, Fault> {
    let status = after(lease.execution_id, status, event, NO_SUCH_END)?;
    if let Some(said) = storable(outcome.exit_message.as_deref()).filter(|said| !said.contains(&message)) {
        message = format!("{message}; {said}");
    }
    let sql = concat!(
        "UPDATE oxbatch_step_execution SET status = $3, end_time = $4, exit_code = $3, exit_message = $5
         WHERE id = $1 AND lease_epoch = $2 RETURNING ",
        step_columns!()
    );
    let row = session.one(sql, &[&id, &lease.epoch, &status.as_str(), &outcome.time, &message]).await?;
    rows::step(&row)
}

/// Ends an execution under its lease, and gives the lease back.
pub(super) async fn execution(
    session: &Session,
    lease: Lease,
    outcome: &ExecutionOutcome,
) -> Result<JobExecution, Fault> {
    let ExecutionId(id) = lease.execution_id;
    let status = session
        .optional(
            "SELECT status FROM oxbatch_job_execution
             WHERE id = $1 AND lease_epoch = $2 AND lease_owner IS NOT NULL FOR NO KEY UPDATE",
            &[&id, &lease.epoch],
        )
        .await?
        .ok_or(RepositoryError::LeaseLost { id: lease.execution_id })?;
    let status = rows::status(&status, 0, id)?;
    // What a person was stopping is not resumed by itself, although the shutdown came first.
    let resume = outcome.resume && status == Status::Started;
    let status = after(lease.execution_id, status, outcome.event, NO_SUCH_END)?;
    // A step whose end could not be recorded ends here: nothing is left running. Work that is complete has no such step.
    let event = if outcome.event == StatusEvent::Stop { StatusEvent::Stop } else { StatusEvent::Fail };
    end_running_steps(session, lease.execution_id, event, outcome.time, None, None).await?;
    let row = session
        .one(
            concat!(
                "UPDATE oxbatch_job_execution
                 SET status = $3, end_time = $4, exit_code = $5, exit_message = $6, resume_pending = $7,
                     lease_owner = NULL, lease_deadline = NULL
                 WHERE id = $1 AND lease_epoch = $2 RETURNING ",
                execution_columns!()
            ),
            &[
                &id,
                &lease.epoch,
                &status.as_str(),
                &outcome.time,
                &storable(outcome.exit_code.as_deref()).unwrap_or_else(|| status.as_str().to_owned()),
                &storable(outcome.exit_message.as_deref()),
                &(resume && status == Status::Stopped),
            ],
        )
        .await?;
    rows::execution(&row)
}

/// Ends the running steps of an execution that ends without them.
pub(super) async fn end_running_steps(
    session: &Session,
    id: ExecutionId,
    event: StatusEvent,
    time: Timestamp,
    exit_code: Option<&str>,
    exit_message: Option<&str>,
) -> Result<(), Fault> {
    // Both running statuses of a step lead to the same end.
    let status = after(id, Status::Started, event, NO_SUCH_END)?;
    session
        .execute(
            "UPDATE oxbatch_step_execution SET status = $2, end_time = $3, exit_code = $4, exit_message = $5
             WHERE job_execution_id = $1 AND status IN ('STARTED', 'STOPPING')",
            &[
                &id.0,
                &status.as_str(),
                &time,
                &exit_code.unwrap_or(status.as_str()),
                &exit_message.unwrap_or("its execution ended without it"),
            ],
        )
        .await?;
    Ok(())
}

/// The status of an execution, whose row is locked from here on.
async fn status_of(session: &Session, id: ExecutionId) -> Result<Status, Fault> {
    let sql = "SELECT status FROM oxbatch_job_execution WHERE id = $1 FOR NO KEY UPDATE";
    match session.optional(sql, &[&id.0]).await? {
        Some(row) => rows::status(&row, 0, id.0),
        None => Err(RepositoryError::NotFound { what: "execution", id: id.0 }.into()),
    }
}

/// Records the request to stop.
pub(super) async fn request_stop(session: &Session, id: ExecutionId) -> Result<JobExecution, Fault> {
    const REASON: &str = "it has ended, there is nothing to stop";
    let status = status_of(session, id).await?;
    if status == Status::Starting {
        let stopped = after(id, status, StatusEvent::Stop, REASON)?;
        let sql = concat!(
            "UPDATE oxbatch_job_execution
             SET status = $2, end_time = ",
            now!(),
            ", exit_code = $2, exit_message = 'stopped on request before a node took it'
             WHERE id = $1 RETURNING ",
            execution_columns!()
        );
        return rows::execution(&session.one(sql, &[&id.0, &stopped.as_str()]).await?);
    }
    let stopping = after(id, status, StatusEvent::RequestStop, REASON)?;
    session
        .execute(
            "UPDATE oxbatch_step_execution SET status = $2 WHERE job_execution_id = $1 AND status = 'STARTED'",
            &[&id.0, &stopping.as_str()],
        )
        .await?;
    let sql = concat!("UPDATE oxbatch_job_execution SET status = $2 WHERE id = $1 RETURNING ", execution_columns!());
    rows::execution(&session.one(sql, &[&id.0, &stopping.as_str()]).await?)
}

/// Gives an execution up. A launch of its instance that is on its way is waited for.
pub(super) async fn abandon(session: &Session, id: ExecutionId) -> Result<JobExecution, Fault> {
    session
        .query(
            "SELECT 1 FROM oxbatch_job_instance
             WHERE id = (SELECT job_instance_id FROM oxbatch_job_execution WHERE id = $1) FOR NO KEY UPDATE",
            &[&id.0],
        )
        .await?;
    let status = status_of(session, id).await?;
    let reason = if status.is_running() { "stop it first" } else { "it was given up before" };
    let status = after(id, status, StatusEvent::Abandon, reason)?;
    let sql = concat!(
        "UPDATE oxbatch_job_execution SET status = $2, resume_pending = FALSE WHERE id = $1 RETURNING ",
        execution_columns!()
    );
    rows::execution(&session.one(sql, &[&id.0, &status.as_str()]).await?)
}
