//! The beginning of steps: which have to run, and with what state.

use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::rules::step::{LastAttempt, RunningExecution, begun, check_attempts, inherited};
use oxbatch_core::repository::{Lease, NewStep, RepositoryError, StepStart};

use super::error::StoreError;
use super::rows;
use super::session::{Session, Values};
use super::sql::{attempt_columns, now, started_columns};
use crate::rows::microseconds;

/// Finds out whether a step has to run, and creates its execution when it does.
pub(super) async fn start(session: &Session, lease: Lease, step: &NewStep) -> Result<StepStart, StoreError> {
    match running(session, lease).await? {
        Some(running) => begin(session, lease, running, step).await,
        None => Err(RepositoryError::LeaseLost { id: lease.execution_id() }.into()),
    }
}

/// The same for an execution that runs under the lease and whose row is locked.
pub(super) async fn begin(
    session: &Session,
    lease: Lease,
    running: RunningExecution,
    step: &NewStep,
) -> Result<StepStart, StoreError> {
    let (since, iteration) = (step.since.map_or(running.lineage, |since| since.0), i64::from(step.iteration));
    let of_step: Values<'_> = &[&running.instance_id.0, &step.step_name, &since, &iteration];
    let inherited = match inherited(&running, last_attempt(session, of_step).await?, step)? {
        Ok(inherited) => inherited,
        Err(not_run) => return Ok(not_run),
    };
    if step.start_limit.is_some() {
        let attempts = session
            .one(
                "SELECT count(*) FROM oxbatch_step_execution
                 WHERE job_instance_id = $1 AND step_name = $2 AND job_execution_id >= $3 AND iteration = $4",
                of_step,
            )
            .await?;
        if let Err(not_run) = check_attempts(step, attempts.try_get(0)?) {
            return Ok(not_run);
        }
    }
    let status = begun()?;
    // The state is copied: an attempt that dies before its first commit leaves what it was given to the next one.
    let id: i64 = session
        .one(
            concat!(
                "INSERT INTO oxbatch_step_execution (job_execution_id, job_instance_id, step_name, status, start_time,
                     lease_epoch, state, control_totals, iteration, earlier_counters, earlier_time, running_since)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, ",
                now!(),
                ") RETURNING id"
            ),
            &[
                &lease.execution_id().0,
                &running.instance_id.0,
                &step.step_name,
                &status.as_str(),
                &step.time,
                &lease.epoch,
                &inherited.state,
                &inherited.control_totals,
                &iteration,
                &inherited.earlier_json(),
                &microseconds(inherited.running),
            ],
        )
        .await?
        .try_get(0)?;
    Ok(inherited.into_start(lease, id, running))
}

/// The last attempt at a step.
async fn last_attempt(session: &Session, of_step: Values<'_>) -> Result<Option<LastAttempt>, StoreError> {
    let last = session
        .optional(
            concat!(
                "SELECT ",
                attempt_columns!(),
                " FROM oxbatch_step_execution
                 WHERE job_instance_id = $1 AND step_name = $2 AND job_execution_id >= $3 AND iteration = $4
                 ORDER BY job_execution_id DESC, id DESC LIMIT 1"
            ),
            of_step,
        )
        .await?;
    last.as_ref().map(rows::attempt).transpose()
}

/// The execution under a lease; `None` when the lease is void. Its row is locked: a recovery or a request to stop that
/// comes now finds the step that is about to be created.
async fn running(session: &Session, lease: Lease) -> Result<Option<RunningExecution>, StoreError> {
    let ExecutionId(id) = lease.execution_id();
    let row = session
        .optional(
            concat!(
                "SELECT ",
                started_columns!(),
                " FROM oxbatch_job_execution
                 WHERE id = $1 AND lease_epoch = $2 AND lease_owner IS NOT NULL FOR NO KEY UPDATE"
            ),
            &[&id, &lease.epoch],
        )
        .await?;
    row.map(|row| rows::running_execution(&row, 0, id)).transpose()
}
