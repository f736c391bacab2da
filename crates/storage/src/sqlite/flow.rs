//! The flow history: what earlier executions have finished, and what is recorded of this one.

use oxbatch_core::execution::{ExecutionId, FlowEntry, MainResult, StepSummaries, StepSummary};
use oxbatch_core::repository::rules::flow::{latest_rounds, rounds};
use oxbatch_core::repository::rules::launch::LastExecution;
use oxbatch_core::repository::{
    FlowPast, FlowRecord, InstancePast, Lease, Missing, PastAttempt, PreviousExecution, RepositoryError,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::rows;
use super::sql::{attempt_columns, flow_columns};
use crate::conditions::past_attempts;
use crate::rows::microseconds;

/// The instance of an execution and the execution from which completed elements count.
fn lineage(connection: &Connection, id: ExecutionId) -> Result<(i64, i64), StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT job_instance_id, coalesce(first_execution_id, id) FROM oxbatch_job_execution WHERE id = ?1",
        )?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.ok_or(StoreError::Repository(RepositoryError::NotFound { what: Missing::Execution, id: id.0 }))
}

fn entries(connection: &Connection, of: (i64, i64)) -> Result<Vec<FlowEntry>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        flow_columns!(),
        " FROM oxbatch_flow_entry WHERE job_instance_id = ?1 AND first_execution_id = ?2 ORDER BY position"
    ))?;
    let found = statement.query_map(of, rows::flow_entry)?.collect::<rusqlite::Result<_>>()?;
    Ok(found)
}

/// The flow history of the instance of an execution.
pub(super) fn history(connection: &Connection, id: ExecutionId) -> Result<Vec<FlowEntry>, StoreError> {
    entries(connection, lineage(connection, id)?)
}

/// The past of the instance of an execution: the history, and the steps that have run.
pub(super) fn reached(connection: &Connection, id: ExecutionId) -> Result<(Vec<FlowEntry>, StepSummaries), StoreError> {
    let of = lineage(connection, id)?;
    Ok((entries(connection, of)?, latest_rounds(&steps(connection, of)?)))
}

/// The past that an execution goes on with.
pub(super) fn past(connection: &Connection, id: ExecutionId) -> Result<FlowPast, StoreError> {
    let of = lineage(connection, id)?;
    let previous = previous(connection, of, id.0)?;
    let job_context = connection
        .prepare_cached("SELECT context FROM oxbatch_job_execution WHERE id = ?1")?
        .query_row([id.0], |row| row.get(0))?;
    Ok(FlowPast { entries: entries(connection, of)?, rounds: steps(connection, of)?, previous, job_context })
}

/// The last execution before one.
fn previous(
    connection: &Connection,
    (instance, first): (i64, i64),
    before: i64,
) -> Result<Option<PreviousExecution>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT id, status, exit_code, main_execution_id, main_status, main_exit_code, main_exit_message,
                 main_time
             FROM oxbatch_job_execution WHERE job_instance_id = ?1 AND id >= ?2 AND id < ?3 ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![instance, first, before], rows::previous)
        .optional()?;
    Ok(found)
}

/// The past that the next execution of an instance would go on with.
pub(super) fn instance_past(connection: &Connection, id: ExecutionId) -> Result<InstancePast, StoreError> {
    let (instance, _) = lineage(connection, id)?;
    let LastExecution { id: last, lineage, definition, .. } = connection
        .prepare_cached(
            "SELECT id, status, coalesce(first_execution_id, id), context, definition, past_definition, exit_code
             FROM oxbatch_job_execution WHERE job_instance_id = ?1 ORDER BY id DESC LIMIT 1",
        )?
        .query_row([instance], |row| rows::last_execution(row, 0))?;
    let of = (instance, lineage.0);
    let previous = previous(connection, of, i64::MAX)?;
    let main = previous.as_ref().and_then(|previous| previous.main.as_ref()).map_or(0, |main| main.execution_id.0);
    let mut statement = connection.prepare_cached(past_attempts!("?1", "?2", "?3"))?;
    let attempts = statement.query_map(params![of.0, of.1, main], |row| {
        let (count, count_since_main) = (row.get(rows::ATTEMPT_COLUMNS)?, row.get(rows::ATTEMPT_COLUMNS + 1)?);
        Ok(PastAttempt { last: rows::attempt(row)?, count, count_since_main })
    })?;
    let attempts = attempts.collect::<rusqlite::Result<_>>()?;
    Ok(InstancePast { last, definition, entries: entries(connection, of)?, previous, attempts })
}

/// The last attempt of each round of each step.
fn steps(connection: &Connection, of: (i64, i64)) -> Result<Vec<StepSummary>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        attempt_columns!(),
        " FROM oxbatch_step_execution WHERE id IN (
             SELECT max(id) FROM oxbatch_step_execution WHERE job_instance_id = ?1 AND job_execution_id >= ?2
             GROUP BY step_name, iteration)
         ORDER BY id"
    ))?;
    Ok(rounds(statement.query_map(of, rows::attempt)?.collect::<Result<_, _>>()?)?)
}

/// Records an entry of the history. The caller sees to the fence.
pub(super) fn record(connection: &Connection, lease: Lease, record: &FlowRecord) -> Result<(), StoreError> {
    let (instance, first) = lineage(connection, lease.execution_id())?;
    let FlowRecord { entry, discards_later } = record;
    if *discards_later {
        connection
            .prepare_cached(
                "DELETE FROM oxbatch_flow_entry WHERE job_instance_id = ?1 AND first_execution_id = ?2 AND position > ?3",
            )?
            .execute(params![instance, first, entry.position])?;
    }
    connection
        .prepare_cached(concat!(
            "INSERT OR REPLACE INTO oxbatch_flow_entry (job_instance_id, first_execution_id, ",
            flow_columns!(),
            ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        ))?
        .execute(params![
            instance,
            first,
            entry.position,
            entry.element,
            entry.iteration,
            entry.execution_id.0,
            entry.step_id.map(|id| id.0),
            entry.status.as_str(),
            entry.exit_code,
            entry.taken.kind().as_str(),
            entry.taken.target(),
            entry.taken.exit_code(),
        ])?;
    Ok(())
}

/// Records an entry under the lease alone.
pub(super) fn record_fenced(connection: &Connection, lease: Lease, entry: &FlowRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "SELECT 1 FROM oxbatch_job_execution WHERE id = ?1 AND lease_epoch = ?2 AND lease_owner IS NOT NULL",
        )?
        .query_row(params![lease.execution_id().0, lease.epoch], |_| Ok(()))
        .optional()?
        .ok_or(RepositoryError::LeaseLost { id: lease.execution_id() })?;
    record(connection, lease, entry)
}

/// Records the result of the main part.
pub(super) fn record_main(connection: &Connection, lease: Lease, main: &MainResult) -> Result<(), StoreError> {
    let changed = connection
        .prepare_cached(
            "UPDATE oxbatch_job_execution
             SET main_execution_id = ?3, main_status = ?4, main_exit_code = ?5, main_exit_message = ?6,
                 main_time = ?7
             WHERE id = ?1 AND lease_epoch = ?2 AND lease_owner IS NOT NULL",
        )?
        .execute(params![
            lease.execution_id().0,
            lease.epoch,
            main.execution_id.0,
            main.status.as_str(),
            main.exit_code,
            main.exit_message,
            microseconds(main.running),
        ])?;
    Ok(lease.check(changed as u64)?)
}
