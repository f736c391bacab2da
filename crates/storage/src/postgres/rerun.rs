//! Re-runs of skipped items: what is pending of them, and the executions that run them.

use oxbatch_core::execution::{ExecutionId, InstanceId};
use oxbatch_core::repository::rules::launch::check_queue;
use oxbatch_core::repository::rules::rerun::{self as rules, LastRerun, RerunInstance};
use oxbatch_core::repository::{
    KeptSkips, LaunchError, Launched, Missing, PendingSkips, RepositoryError, RerunRequest, SkipPage, rows_to_read,
};

use super::error::StoreError;
use super::launch;
use super::node;
use super::rows;
use super::session::Session;
use super::sql::{rerun_source_columns, skip_columns};
use crate::conditions::{kept_counts, kept_items};

/// Creates the execution of a re-run, or resumes the last one, in the transaction of the caller.
///
/// The row of the execution whose items are run is locked first: re-runs of one execution come one after the other.
pub(super) async fn launch(session: &Session, request: &RerunRequest) -> Result<Launched, StoreError> {
    let of = request.execution_id;
    let sql =
        concat!("SELECT ", rerun_source_columns!(), " FROM oxbatch_job_execution WHERE id = $1 FOR NO KEY UPDATE");
    let Some(row) = session.optional(sql, &[&of.0]).await? else {
        return Err(RepositoryError::NotFound { what: Missing::Execution, id: of.0 }.into());
    };
    let source = rows::rerun_source(&row, of.0)?;
    let running = session
        .optional(
            "SELECT id FROM oxbatch_job_execution
             WHERE job_instance_id = $1 AND status IN ('STARTING', 'STARTED', 'STOPPING')",
            &[&source.instance_id.0],
        )
        .await?;
    let running = running.map(|row| row.try_get(0).map(ExecutionId)).transpose()?;
    let found = rules::instance(of, &source, running, last(session, of.0).await?)?;
    if matches!(found, RerunInstance::New { .. }) && !is_anything_pending(session, request).await? {
        return Err(LaunchError::NothingToRerun { execution_id: of }.into());
    }
    let as_launch = source.launch(request);
    check_queue(&request.admission, launch::waiting(session, &request.admission).await?)?;
    node::keep_to_limits(session, &as_launch.job_name, &request.admission).await?;
    let (instance_id, origin) = match found {
        RerunInstance::Resumed(id, origin) => (id.0, origin),
        RerunInstance::New { job_key, origin } => {
            let (instance_id, is_new) = launch::instance(session, &as_launch, &job_key).await?;
            if is_new {
                launch::create_parameters(session, &as_launch, instance_id).await?;
            }
            (instance_id, origin)
        }
    };
    let execution = launch::create_execution(session, &as_launch, instance_id, &origin).await?;
    link(session, of.0, execution.id).await?;
    Ok(Launched::accepted(execution, &request.admission))
}

/// Shows on an execution which one has run its skipped items again.
pub(super) async fn link(session: &Session, of: i64, by: ExecutionId) -> Result<(), StoreError> {
    session.execute("UPDATE oxbatch_job_execution SET rerun_by = $2 WHERE id = $1", &[&of, &by.0]).await?;
    Ok(())
}

async fn last(session: &Session, of: i64) -> Result<Option<LastRerun>, StoreError> {
    let row = session
        .optional(
            "SELECT id, status, coalesce(first_execution_id, id), context, definition, past_definition, exit_code,
                 job_instance_id
             FROM oxbatch_job_execution WHERE rerun_of = $1 ORDER BY id DESC LIMIT 1",
            &[&of],
        )
        .await?;
    row.as_ref().map(rows::last_rerun).transpose()
}

async fn is_anything_pending(session: &Session, request: &RerunRequest) -> Result<bool, StoreError> {
    for step in &request.steps {
        if !pending(session, &PendingSkips::first_of(request.execution_id, step)).await?.skips.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The skipped items of an execution that are left, step by step.
pub(super) async fn kept(
    session: &Session,
    id: ExecutionId,
    by: Option<InstanceId>,
) -> Result<Vec<KeptSkips>, StoreError> {
    let found = session
        .query(
            concat!(
                "SELECT ",
                kept_counts!(),
                "(SELECT id FROM oxbatch_job_execution WHERE job_instance_id = $2))",
                kept_items!(),
                "WHERE step.job_execution_id = $1 GROUP BY step.step_name ORDER BY min(step.id)"
            ),
            &[&id.0, &by.map(|by| by.0)],
        )
        .await?;
    found.iter().map(rows::kept_skips).collect()
}

/// A page of the skipped items of a step that nobody has run again.
pub(super) async fn pending(session: &Session, request: &PendingSkips) -> Result<SkipPage, StoreError> {
    let sql = concat!(
        "SELECT ",
        skip_columns!(),
        " FROM oxbatch_skipped_item AS kept
         WHERE step_execution_id IN
                 (SELECT step.id FROM oxbatch_step_execution AS step
                  WHERE step.job_execution_id = $1 AND step.step_name = $2)
             AND rerun_execution_id IS NULL AND (complete AND ($4 OR phase <> 'READ')) = $3 AND kept.id > $5
         ORDER BY kept.id LIMIT $6"
    );
    let PendingSkips { execution_id, step_name, rerunnable, raw, after, limit } = request;
    let (after, most) = (after.unwrap_or(0), rows_to_read(*limit));
    let found = session.query(sql, &[&execution_id.0, step_name, rerunnable, raw, &after, &most]).await?;
    Ok(SkipPage::of(found.iter().map(rows::skip).collect::<Result<_, _>>()?, *limit))
}
