//! The flow history: what earlier executions have finished, and what is recorded of this one.

use super::error::StoreError;
use super::finish::storable;
use super::rows;
use super::session::Session;
use super::sql::{attempt_columns, flow_columns};
use crate::conditions::past_attempts;
use crate::rows::microseconds;
use oxbatch_core::execution::{ExecutionId, FlowEntry, MainResult, StepSummaries, StepSummary};
use oxbatch_core::repository::rules::flow::{latest_rounds, rounds};
use oxbatch_core::repository::rules::launch::LastExecution;
use oxbatch_core::repository::{
    FlowPast, FlowRecord, InstancePast, Lease, Missing, PastAttempt, PreviousExecution, RepositoryError,
};

/// The instance of an execution and the execution from which completed elements count.
async fn lineage(session: &Session, id: ExecutionId) -> Result<(i64, i64), StoreError> {
    let sql = "SELECT job_instance_id, coalesce(first_execution_id, id) FROM oxbatch_job_execution WHERE id = $1";
    match session.optional(sql, &[&id.0]).await? {
        Some(row) => Ok((row.try_get(0)?, row.try_get(1)?)),
        None => Err(RepositoryError::NotFound { what: Missing::Execution, id: id.0 }.into()),
    }
}

async fn entries(session: &Session, (instance, first): (i64, i64)) -> Result<Vec<FlowEntry>, StoreError> {
    let sql = concat!(
        "SELECT ",
        flow_columns!(),
        " FROM oxbatch_flow_entry WHERE job_instance_id = $1 AND first_execution_id = $2 ORDER BY position"
    );
    session.query(sql, &[&instance, &first]).await?.iter().map(rows::flow_entry).collect()
}

/// The flow history of the instance of an execution.
pub(super) async fn history(session: &Session, id: ExecutionId) -> Result<Vec<FlowEntry>, StoreError> {
    entries(session, lineage(session, id).await?).await
}

/// The past of the instance of an execution: the history, and the steps that have run.
pub(super) async fn reached(session: &Session, id: ExecutionId) -> Result<(Vec<FlowEntry>, StepSummaries), StoreError> {
    let of = lineage(session, id).await?;
    Ok((entries(session, of).await?, latest_rounds(&steps(session, of).await?)))
}

/// The past that an execution goes on with.
pub(super) async fn past(session: &Session, id: ExecutionId) -> Result<FlowPast, StoreError> {
    let of = lineage(session, id).await?;
    let previous = previous(session, of, id.0).await?;
    let sql = "SELECT context FROM oxbatch_job_execution WHERE id = $1";
    let job_context = session.one(sql, &[&id.0]).await?.try_get(0)?;
    Ok(FlowPast { entries: entries(session, of).await?, rounds: steps(session, of).await?, previous, job_context })
}

/// The last execution before one.
async fn previous(
    session: &Session,
    (instance, first): (i64, i64),
    before: i64,
) -> Result<Option<PreviousExecution>, StoreError> {
    let sql = "SELECT id, status, exit_code, main_execution_id, main_status, main_exit_code, main_exit_message,
                 main_time
               FROM oxbatch_job_execution WHERE job_instance_id = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT 1";
    session.optional(sql, &[&instance, &first, &before]).await?.as_ref().map(rows::previous).transpose()
}

/// The past that the next execution of an instance would go on with.
pub(super) async fn instance_past(session: &Session, id: ExecutionId) -> Result<InstancePast, StoreError> {
    let (instance, _) = lineage(session, id).await?;
    let sql = "SELECT id, status, coalesce(first_execution_id, id), context, definition, past_definition, exit_code
               FROM oxbatch_job_execution WHERE job_instance_id = $1 ORDER BY id DESC LIMIT 1";
    let LastExecution { id: last, lineage, definition, .. } =
        rows::last_execution(&session.one(sql, &[&instance]).await?, 0)?;
    let of = (instance, lineage.0);
    let previous = previous(session, of, i64::MAX).await?;
    let main = previous.as_ref().and_then(|previous| previous.main.as_ref()).map_or(0, |main| main.execution_id.0);
    let mut attempts = Vec::new();
    for row in session.query(past_attempts!("$1", "$2", "$3"), &[&of.0, &of.1, &main]).await? {
        let (count, count_since_main) = (row.try_get(rows::ATTEMPT_COLUMNS)?, row.try_get(rows::ATTEMPT_COLUMNS + 1)?);
        attempts.push(PastAttempt { last: rows::attempt(&row)?, count, count_since_main });
    }
    Ok(InstancePast { last, definition, entries: entries(session, of).await?, previous, attempts })
}

/// The last attempt of each round of each step.
async fn steps(session: &Session, (instance, first): (i64, i64)) -> Result<Vec<StepSummary>, StoreError> {
    let sql = concat!(
        "SELECT ",
        attempt_columns!(),
        " FROM oxbatch_step_execution WHERE id IN (
             SELECT max(id) FROM oxbatch_step_execution WHERE job_instance_id = $1 AND job_execution_id >= $2
             GROUP BY step_name, iteration)
         ORDER BY id"
    );
    let attempts = session.query(sql, &[&instance, &first]).await?;
    Ok(rounds(attempts.iter().map(rows::attempt).collect::<Result<_, _>>()?)?)
}

/// Records an entry of the history. The caller sees to the fence.
pub(super) async fn record(session: &Session, lease: Lease, record: &FlowRecord) -> Result<(), StoreError> {
    let (instance, first) = lineage(session, lease.execution_id()).await?;
    let FlowRecord { entry, discards_later } = record;
    let position = i64::from(entry.position);
    if *discards_later {
        let sql =
            "DELETE FROM oxbatch_flow_entry WHERE job_instance_id = $1 AND first_execution_id = $2 AND position > $3";
        session.execute(sql, &[&instance, &first, &position]).await?;
    }
    let sql = concat!(
        "INSERT INTO oxbatch_flow_entry (job_instance_id, first_execution_id, ",
        flow_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (job_instance_id, first_execution_id, position) DO UPDATE
         SET element = excluded.element, iteration = excluded.iteration, job_execution_id = excluded.job_execution_id,
             step_execution_id = excluded.step_execution_id, status = excluded.status, exit_code = excluded.exit_code,
             taken = excluded.taken, target = excluded.target, taken_exit_code = excluded.taken_exit_code"
    );
    session
        .execute(
            sql,
            &[
                &instance,
                &first,
                &position,
                &entry.element,
                &i64::from(entry.iteration),
                &entry.execution_id.0,
                &entry.step_id.map(|id| id.0),
                &entry.status.as_str(),
                &storable(&entry.exit_code),
                &entry.taken.kind().as_str(),
                &entry.taken.target(),
                &entry.taken.exit_code().map(storable),
            ],
        )
        .await?;
    Ok(())
}

/// Records an entry under the lease alone.
pub(super) async fn record_fenced(session: &Session, lease: Lease, entry: &FlowRecord) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM oxbatch_job_execution
               WHERE id = $1 AND lease_epoch = $2 AND lease_owner IS NOT NULL FOR NO KEY UPDATE";
    match session.optional(sql, &[&lease.execution_id().0, &lease.epoch]).await? {
        Some(_) => record(session, lease, entry).await,
        None => Err(RepositoryError::LeaseLost { id: lease.execution_id() }.into()),
    }
}

/// Records the result of the main part.
pub(super) async fn record_main(session: &Session, lease: Lease, main: &MainResult) -> Result<(), StoreError> {
    let sql = "UPDATE oxbatch_job_execution
               SET main_execution_id = $3, main_status = $4, main_exit_code = $5, main_exit_message = $6,
                 main_time = $7
               WHERE id = $1 AND lease_epoch = $2 AND lease_owner IS NOT NULL";
    let changed = session
        .execute(
            sql,
            &[
                &lease.execution_id().0,
                &lease.epoch,
                &main.execution_id.0,
                &main.status.as_str(),
                &main.exit_code.as_deref().map(storable),
                &main.exit_message.as_deref().map(storable),
                &microseconds(main.running),
            ],
        )
        .await?;
    Ok(lease.check(changed)?)
}
