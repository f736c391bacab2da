//! The beginning of steps: which have to run, and with what state.

use oxbatch_core::execution::{ExecutionId, Status, StepExecutionId};
use oxbatch_core::repository::rules::step::{Inherited, begun, check_attempts, inherited};
use oxbatch_core::repository::{Lease, NewStep, RepositoryError, StartedStep, StepFence, StepStart};

use super::error::StoreError;
use super::rows;
use super::session::{Session, Values};
use super::sql::step_columns;

/// The execution as a step needs it.
struct Running {
    status: Status,
    instance_id: i64,
    lineage: i64,
    context: Option<String>,
}

/// Finds out whether a step has to run, and creates its execution when it does.
pub(super) async fn start(session: &Session, lease: Lease, step: &NewStep) -> Result<StepStart, StoreError> {
    let Some(running) = running(session, lease).await? else {
        return Err(RepositoryError::LeaseLost { id: lease.execution_id() }.into());
    };
    let (since, iteration) = (step.since.map_or(running.lineage, |since| since.0), i64::from(step.iteration));
    let of_step: Values<'_> = &[&running.instance_id, &step.step_name, &since, &iteration];
    let last = session
        .optional(
            concat!(
                "SELECT ",
                step_columns!(),
                ", state, control_totals, earlier_counters FROM oxbatch_step_execution
                 WHERE job_instance_id = $1 AND step_name = $2 AND job_execution_id >= $3 AND iteration = $4
                 ORDER BY job_execution_id DESC, id DESC LIMIT 1"
            ),
            of_step,
        )
        .await?;
    let last = last.as_ref().map(rows::attempt).transpose()?;
    let inherited = match inherited(running.status, last, step)? {
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
    let earlier_counters = inherited.earlier_json();
    let Inherited { state, control_totals, earlier } = inherited;
    // The state is copied: an attempt that dies before its first commit leaves what it was given to the next one.
    let id: i64 = session
        .one(
            "INSERT INTO oxbatch_step_execution (job_execution_id, job_instance_id, step_name, status, start_time,
                 lease_epoch, state, control_totals, iteration, earlier_counters)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id",
            &[
                &lease.execution_id().0,
                &running.instance_id,
                &step.step_name,
                &status.as_str(),
                &step.time,
                &lease.epoch,
                &state,
                &control_totals,
                &iteration,
                &earlier_counters,
            ],
        )
        .await?
        .try_get(0)?;
    let fence = StepFence { lease, step_id: StepExecutionId(id) };
    let started = StartedStep { fence, state, control_totals, earlier, job_context: running.context };
    Ok(StepStart::Run(Box::new(started)))
}

/// The execution under a lease; `None` when the lease is void. Its row is locked: a recovery or a request to stop that
/// comes now finds the step that is about to be created.
async fn running(session: &Session, lease: Lease) -> Result<Option<Running>, StoreError> {
    let ExecutionId(id) = lease.execution_id();
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
        lineage: row.try_get(2)?,
        context: row.try_get(3)?,
    }))
}
