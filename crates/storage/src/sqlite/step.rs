//! The beginning of steps: which have to run, and with what state.

use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::rules::step::{RunningExecution, begun, check_attempts, inherited};
use oxbatch_core::repository::{Lease, NewStep, RepositoryError, StepStart};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::rows;
use super::sql::{attempt_columns, now, started_columns};
use crate::rows::microseconds;

/// Finds out whether a step has to run, and creates its execution when it does.
pub(super) fn start(connection: &Connection, lease: Lease, step: &NewStep) -> Result<StepStart, StoreError> {
    match running(connection, lease)? {
        Some(running) => begin(connection, lease, running, step),
        None => Err(RepositoryError::LeaseLost { id: lease.execution_id() }.into()),
    }
}

/// The same for an execution that runs under the lease.
pub(super) fn begin(
    connection: &Connection,
    lease: Lease,
    running: RunningExecution,
    step: &NewStep,
) -> Result<StepStart, StoreError> {
    let since = step.since.map_or(running.lineage, |since| since.0);
    let of_step = params![running.instance_id.0, step.step_name, since, step.iteration];
    let last = connection
        .prepare_cached(concat!(
            "SELECT ",
            attempt_columns!(),
            " FROM oxbatch_step_execution
             WHERE job_instance_id = ?1 AND step_name = ?2 AND job_execution_id >= ?3 AND iteration = ?4
             ORDER BY job_execution_id DESC, id DESC LIMIT 1",
        ))?
        .query_row(of_step, rows::attempt)
        .optional()?;
    let inherited = match inherited(&running, last, step)? {
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
    // The state is copied: an attempt that dies before its first commit leaves what it was given to the next one.
    let id = connection
        .prepare_cached(concat!(
            "INSERT INTO oxbatch_step_execution (job_execution_id, job_instance_id, step_name, status, start_time,
                 lease_epoch, state, control_totals, iteration, earlier_counters, earlier_time, running_since)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ",
            now!(),
            ")"
        ))?
        .insert(params![
            lease.execution_id().0,
            running.instance_id.0,
            step.step_name,
            status.as_str(),
            step.time.as_microsecond(),
            lease.epoch,
            inherited.state,
            inherited.control_totals,
            step.iteration,
            inherited.earlier_json(),
            microseconds(inherited.running),
        ])?;
    Ok(inherited.into_start(lease, id, running))
}

/// The execution under a lease; `None` when the lease is void.
fn running(connection: &Connection, lease: Lease) -> Result<Option<RunningExecution>, StoreError> {
    let ExecutionId(id) = lease.execution_id();
    let running = connection
        .prepare_cached(concat!(
            "SELECT ",
            started_columns!(),
            " FROM oxbatch_job_execution WHERE id = ?1 AND lease_epoch = ?2 AND lease_owner IS NOT NULL"
        ))?
        .query_row(params![id, lease.epoch], |row| rows::running_execution(row, id))
        .optional()?;
    Ok(running)
}
