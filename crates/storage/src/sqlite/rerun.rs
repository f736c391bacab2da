//! Re-runs of skipped items: what is pending of them, and the executions that run them.

use oxbatch_core::execution::{ExecutionId, InstanceId};
use oxbatch_core::repository::rules::rerun::{self as rules, LastRerun, RerunInstance, RerunSource};
use oxbatch_core::repository::{
    KeptSkips, LaunchError, Launched, Missing, PendingSkips, RepositoryError, RerunRequest, SkipPage, rows_to_read,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::launch;
use super::rows;
use super::sql::{rerun_source_columns, skip_columns};
use crate::conditions::{kept_counts, kept_items};

/// Creates the execution of a re-run, or resumes the last one, in the transaction of the caller.
pub(super) fn launch(connection: &Connection, request: &RerunRequest) -> Result<Launched, StoreError> {
    let of = request.execution_id;
    let source = source(connection, of.0)?;
    let running = running(connection, source.instance_id)?;
    let found = rules::instance(of, &source, running, last(connection, of.0)?)?;
    if matches!(found, RerunInstance::New { .. }) && !is_anything_pending(connection, request)? {
        return Err(LaunchError::NothingToRerun { execution_id: of }.into());
    }
    let as_launch = source.launch(request);
    launch::admit(connection, &as_launch.job_name, &as_launch.admission)?;
    let (instance_id, origin) = match found {
        RerunInstance::Resumed(id, origin) => (id.0, origin),
        RerunInstance::New { job_key, origin } => (launch::create_instance(connection, &as_launch, &job_key)?, origin),
    };
    let execution = launch::create_execution(connection, &as_launch, instance_id, &origin)?;
    link(connection, of.0, execution.id)?;
    Ok(Launched::accepted(execution, &request.admission))
}

/// Shows on an execution which one has run its skipped items again.
pub(super) fn link(connection: &Connection, of: i64, by: ExecutionId) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE oxbatch_job_execution SET rerun_by = ?2 WHERE id = ?1")?
        .execute(params![of, by.0])?;
    Ok(())
}

fn source(connection: &Connection, id: i64) -> Result<RerunSource, StoreError> {
    let found = connection
        .prepare_cached(concat!("SELECT ", rerun_source_columns!(), " FROM oxbatch_job_execution WHERE id = ?1"))?
        .query_row([id], |row| rows::rerun_source(row, id))
        .optional()?;
    found.ok_or(StoreError::Repository(RepositoryError::NotFound { what: Missing::Execution, id }))
}

fn running(connection: &Connection, instance_id: InstanceId) -> Result<Option<ExecutionId>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT id FROM oxbatch_job_execution
             WHERE job_instance_id = ?1 AND status IN ('STARTING', 'STARTED', 'STOPPING')",
        )?
        .query_row([instance_id.0], |row| row.get(0).map(ExecutionId))
        .optional()?;
    Ok(found)
}

fn last(connection: &Connection, of: i64) -> Result<Option<LastRerun>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT id, status, coalesce(first_execution_id, id), context, definition, past_definition, exit_code,
                 job_instance_id
             FROM oxbatch_job_execution WHERE rerun_of = ?1 ORDER BY id DESC LIMIT 1",
        )?
        .query_row([of], rows::last_rerun)
        .optional()?;
    Ok(found)
}

fn is_anything_pending(connection: &Connection, request: &RerunRequest) -> Result<bool, StoreError> {
    for step in &request.steps {
        if !pending(connection, &PendingSkips::first_of(request.execution_id, step))?.skips.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The skipped items of an execution that are left, step by step.
pub(super) fn kept(
    connection: &Connection,
    id: ExecutionId,
    by: Option<InstanceId>,
) -> Result<Vec<KeptSkips>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        kept_counts!(),
        "(SELECT id FROM oxbatch_job_execution WHERE job_instance_id = ?2))",
        kept_items!(),
        "WHERE step.job_execution_id = ?1 GROUP BY step.step_name ORDER BY min(step.id)"
    ))?;
    let kept = statement.query_map(params![id.0, by.map(|by| by.0)], rows::kept_skips)?;
    Ok(kept.collect::<Result<_, _>>()?)
}

/// A page of the skipped items of a step that nobody has run again.
pub(super) fn pending(connection: &Connection, request: &PendingSkips) -> Result<SkipPage, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        skip_columns!(),
        " FROM oxbatch_skipped_item AS kept
         WHERE step_execution_id IN
                 (SELECT id FROM oxbatch_step_execution WHERE job_execution_id = ?1 AND step_name = ?2)
             AND rerun_execution_id IS NULL AND (complete AND (?4 OR phase <> 'READ')) = ?3 AND kept.id > ?5
         ORDER BY kept.id LIMIT ?6"
    ))?;
    let (execution, after, limit) = (request.execution_id.0, request.after.unwrap_or(0), rows_to_read(request.limit));
    let values = params![execution, request.step_name, request.rerunnable, request.raw, after, limit];
    let skips = statement.query_map(values, rows::skip)?.collect::<Result<_, _>>()?;
    Ok(SkipPage::of(skips, request.limit))
}
