//! The beginning of steps: which have to run, and with what state.

use oxbatch_core::execution::{ExecutionId, Status, StepExecutionId};
use oxbatch_core::repository::rules::step::{Inherited, begun, check_attempts, inherited};
use oxbatch_core::repository::{Lease, NewStep, RepositoryError, StartedStep, StepFence, StepStart};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::rows;
use super::sql::step_columns;

/// The execution as a step needs it.
struct Running {
    status: Status,
    instance_id: i64,
    lineage: i64,
    context: Option<String>,
}

/// Finds out whether a step has to run, and creates its execution when it does.
pub(super) fn start(connection: &Connection, lease: Lease, step: &NewStep) -> Result<StepStart, StoreError> {
    let Some(running) = running(connection, lease)? else {
        return Err(RepositoryError::LeaseLost { id: lease.execution_id() }.into());
    };
    let since = step.since.map_or(running.lineage, |since| since.0);
    let of_step = params![running.instance_id, step.step_name, since, step.iteration];
    let last = connection
        .prepare_cached(concat!(
            "SELECT ",
            step_columns!(),
            ", state, control_totals, earlier_counters FROM oxbatch_step_execution
             WHERE job_instance_id = ?1 AND step_name = ?2 AND job_execution_id >= ?3 AND iteration = ?4
             ORDER BY job_execution_id DESC, id DESC LIMIT 1",
        ))?
        .query_row(of_step, rows::attempt)
        .optional()?;
    let inherited = match inherited(running.status, last, step)? {
        Ok(inherited) => inherited,
        Err(not_run) => return Ok(not_run),
    };
    if step.start_limit.is_some() {
        let attempts = connection
            .prepare_cached(
                "SELECT count(*) FROM oxbatch_step_execution
                 WHERE job_instance_id = ?1 AND step_name = ?2 AND job_execution_id >= ?3 AND iteration = ?4",
            )?
            .query_row(of_step, |row| row.get(0))?;
        if let Err(not_run) = check_attempts(step, attempts) {
            return Ok(not_run);
        }
    }
    let status = begun()?;
    let earlier_counters = inherited.earlier_json();
    let Inherited { state, control_totals, earlier } = inherited;
    // The state is copied: an attempt that dies before its first commit leaves what it was given to the next one.
    let id = connection
        .prepare_cached(
            "INSERT INTO oxbatch_step_execution (job_execution_id, job_instance_id, step_name, status, start_time,
                 lease_epoch, state, control_totals, iteration, earlier_counters)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .insert(params![
            lease.execution_id().0,
            running.instance_id,
            step.step_name,
            status.as_str(),
            step.time.as_microsecond(),
            lease.epoch,
            state,
            control_totals,
            step.iteration,
            earlier_counters,
        ])?;
    let fence = StepFence { lease, step_id: StepExecutionId(id) };
    let started = StartedStep { fence, state, control_totals, earlier, job_context: running.context };
    Ok(StepStart::Run(Box::new(started)))
}

/// The execution under a lease; `None` when the lease is void.
fn running(connection: &Connection, lease: Lease) -> Result<Option<Running>, StoreError> {
    let ExecutionId(id) = lease.execution_id();
    let running = connection
        .prepare_cached(
            "SELECT status, job_instance_id, coalesce(first_execution_id, id), context FROM oxbatch_job_execution
             WHERE id = ?1 AND lease_epoch = ?2 AND lease_owner IS NOT NULL",
        )?
        .query_row(params![id, lease.epoch], |row| {
            Ok(Running {
                status: rows::status(row, 0, id)?,
                instance_id: row.get(1)?,
                lineage: row.get(2)?,
                context: row.get(3)?,
            })
        })
        .optional()?;
    Ok(running)
}
