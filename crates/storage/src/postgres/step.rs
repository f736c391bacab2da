//! The beginning of steps: which have to run, and with what state.

use oxbatch_core::execution::{ExecutionId, Status, StatusEvent, StepExecutionId, next};
use oxbatch_core::repository::{Lease, NewStep, RepositoryError, StartedStep, StepFence, StepStart};

use super::error::Fault;
use super::rows;
use super::session::Session;

/// The status after an event that the caller knows to be possible; anything else is a defect, and refused.
pub(super) fn after(status: Status, event: StatusEvent) -> Result<Status, Fault> {
    next(status, event).map_err(|transition| {
        Fault::Repository(RepositoryError::Corrupt { what: "status".to_owned(), source: Box::new(transition) })
    })
}

/// The execution as a step needs it.
struct Running {
    status: Status,
    instance_id: i64,
    first_execution_id: i64,
    context: Option<String>,
}

/// Finds out whether a step has to run, and creates its execution when it does.
pub(super) async fn start(session: &Session, lease: Lease, step: &NewStep) -> Result<StepStart, Fault> {
    let Some(running) = running(session, lease).await? else {
        return Err(RepositoryError::LeaseLost { id: lease.execution_id }.into());
    };
    if running.status == Status::Stopping {
        return Ok(StepStart::StopRequested);
    }
    let last = session
        .optional(
            "SELECT id, status, state, control_totals FROM oxbatch_step_execution
             WHERE job_instance_id = $1 AND step_name = $2 AND job_execution_id >= $3
             ORDER BY job_execution_id DESC, id DESC LIMIT 1",
            &[&running.instance_id, &step.step_name, &running.first_execution_id],
        )
        .await?;
    let last: Option<(Status, Option<String>, Option<String>)> = match last {
        Some(row) => Some((rows::status(&row, 1, row.try_get(0)?)?, row.try_get(2)?, row.try_get(3)?)),
        None => None,
    };
    let (state, control_totals) = match last {
        Some((Status::Completed, ..)) if !step.rerun_if_complete => return Ok(StepStart::AlreadyComplete),
        Some((Status::Completed, ..)) | None => (None, None),
        Some((_, state, control_totals)) => (state, control_totals),
    };
    if let Some(limit) = step.start_limit {
        let attempts: i64 = session
            .one(
                "SELECT count(*) FROM oxbatch_step_execution
                 WHERE job_instance_id = $1 AND step_name = $2 AND job_execution_id >= $3",
                &[&running.instance_id, &step.step_name, &running.first_execution_id],
            )
            .await?
            .try_get(0)?;
        if attempts >= i64::from(limit) {
            return Ok(StepStart::StartLimitReached { attempts });
        }
    }
    let status = after(Status::Starting, StatusEvent::Start)?;
    // The state is copied: an attempt that dies before its first commit leaves what it was given to the next one.
    let id: i64 = session
        .one(
            "INSERT INTO oxbatch_step_execution (job_execution_id, job_instance_id, step_name, status, start_time,
                 lease_epoch, state, control_totals) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
            &[
                &lease.execution_id.0,
                &running.instance_id,
                &step.step_name,
                &status.as_str(),
                &step.time,
                &lease.epoch,
                &state,
                &control_totals,
            ],
        )
        .await?
        .try_get(0)?;
    let fence = StepFence { lease, step_id: StepExecutionId(id) };
    Ok(StepStart::Run(StartedStep { fence, state, control_totals, job_context: running.context }))
}

/// The execution under a lease; `None` when the lease is void. Its row is locked: a recovery or a request to stop that
/// comes now finds the step that is about to be created.
async fn running(session: &Session, lease: Lease) -> Result<Option<Running>, Fault> {
    let ExecutionId(id) = lease.execution_id;
    let row = session
        .optional(
            "SELECT status, job_instance_id, coalesce(first_execution_id, id), context FROM oxbatch_job_execution
             WHERE id = $1 AND lease_epoch = $2 AND lease_owner IS NOT NULL FOR NO KEY UPDATE",
            &[&id, &lease.epoch],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Running {
        status: rows::status(&row, 0, id)?,
        instance_id: row.try_get(1)?,
        first_execution_id: row.try_get(2)?,
        context: row.try_get(3)?,
    }))
}
