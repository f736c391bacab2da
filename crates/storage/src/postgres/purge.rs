//! Retention: reads what the next batch of a purge may remove, and removes what the rules let go.

use std::time::Instant;

use jiff::Timestamp;
use oxbatch_core::execution::{ExecutionId, InstanceId, Status};
use oxbatch_core::repository::rules::purge::{EndedExecution, InstanceHistory, PastExecution, Purge};
use oxbatch_core::repository::{Compacted, PurgeReport, PurgeRequest};
use tokio_postgres::Row;

use super::error::{StoreError, corrupt};
use super::rows;
use super::session::Session;
use crate::conditions::{ended_columns, has_newest_step, last_reruns};

/// Ended executions in the order of their ends. What may go is a first part of an instance: whether one is the first
/// left of its instance is read with it. The condition on the time alone lets the index begin there.
const ENDED: &str = concat!(
    "SELECT ",
    ended_columns!(),
    " FROM oxbatch_job_execution AS ended
     WHERE end_time IS NOT NULL AND end_time < $1 AND (end_time, id) > ($2, $3)
     ORDER BY end_time, id LIMIT $4"
);

/// The first executions of instances, after one of them where that is given: whether a step was not attempted again
/// later, and in which statuses the instances ended, or are, that run skipped items again.
const HISTORIES: &str = concat!(
    "SELECT chosen.id, last.id, last.lineage, last.job_name, past.id, past.status, past.end_time,
         ",
    has_newest_step!(),
    ",
         ARRAY (SELECT DISTINCT rerun.status FROM ",
    last_reruns!(),
    ")
     FROM unnest($1::bigint[]) WITH ORDINALITY AS chosen (id, place)
     CROSS JOIN LATERAL (SELECT id, coalesce(first_execution_id, id) AS lineage, job_name
         FROM oxbatch_job_execution WHERE job_instance_id = chosen.id ORDER BY id DESC LIMIT 1) AS last
     LEFT JOIN LATERAL (SELECT id, status, end_time FROM oxbatch_job_execution
         WHERE job_instance_id = chosen.id AND id > $2 ORDER BY id LIMIT $3) AS past ON TRUE
     ORDER BY chosen.place, past.id"
);

/// Removes what the rules let go of the next batch, or counts it.
pub(super) async fn purge(session: &Session, request: &PurgeRequest) -> Result<PurgeReport, StoreError> {
    let begun = Instant::now();
    let mut purge = Purge::new(request);
    if let Some((id, after)) = purge.unfinished() {
        let histories = histories(session, &purge, &[id.0], after).await?;
        ask_newest(session, &mut purge, &histories).await?;
        match histories.first() {
            Some(history) => purge.judge(history),
            None => purge.forget_unfinished(),
        }
    }
    if purge.goes_on() {
        purge.take_ended(ended(session, &purge).await?);
        let ahead: Vec<i64> = purge.instances_ahead().iter().map(|id| id.0).collect();
        let histories = histories(session, &purge, &ahead, None).await?;
        ask_newest(session, &mut purge, &histories).await?;
        while let Some(id) = purge.next_instance() {
            histories.iter().filter(|history| history.id == id).for_each(|history| purge.judge(history));
        }
    }
    if !request.dry_run {
        remove(session, &purge).await?;
    }
    Ok(purge.report(begun.elapsed()))
}

async fn ended(session: &Session, purge: &Purge<'_>) -> Result<Vec<EndedExecution>, StoreError> {
    // PostgreSQL's own last and first moments are beyond those of the model.
    let before = purge.ended_before().unwrap_or(Timestamp::MAX);
    let (time, id) = purge.after().map_or((rows::FIRST_TIME, 0), |(time, id)| (time, id.0));
    let batch = i64::try_from(purge.batch()).unwrap_or(i64::MAX);
    let ended = session.query(ENDED, &[&before.max(rows::FIRST_TIME), &time, &id, &batch]).await?;
    ended.iter().map(rows::ended).collect()
}

/// Reads the histories of instances, which are locked from here on where some of them may go: nobody launches one
/// while it is decided what its executions are needed for.
async fn histories(
    session: &Session,
    purge: &Purge<'_>,
    instances: &[i64],
    after: Option<ExecutionId>,
) -> Result<Vec<InstanceHistory>, StoreError> {
    if instances.is_empty() {
        return Ok(Vec::new());
    }
    if !purge.is_dry_run() {
        let sql = "SELECT 1 FROM oxbatch_job_instance WHERE id = ANY ($1) ORDER BY id FOR UPDATE";
        session.query(sql, &[&instances]).await?;
    }
    let window = i64::try_from(purge.window()).unwrap_or(i64::MAX);
    let rows = session.query(HISTORIES, &[&instances, &after.map_or(0, |id| id.0), &window]).await?;
    let mut histories: Vec<InstanceHistory> = Vec::new();
    for row in &rows {
        let id = InstanceId(row.try_get(0)?);
        if histories.last().is_none_or(|history| history.id != id) {
            let (last, lineage) = (ExecutionId(row.try_get(1)?), ExecutionId(row.try_get(2)?));
            histories.push(InstanceHistory { id, job_name: row.try_get(3)?, last, lineage, executions: Vec::new() });
        }
        if let (Some(history), Some(past)) = (histories.last_mut(), past(row)?) {
            history.executions.push(past);
        }
    }
    Ok(histories)
}

fn past(row: &Row) -> Result<Option<PastExecution>, StoreError> {
    let Some(id) = row.try_get::<_, Option<i64>>(4)? else { return Ok(None) };
    let reruns: Vec<&str> = row.try_get(8)?;
    let reruns =
        reruns.into_iter().map(|text| text.parse::<Status>().map_err(|error| corrupt("status of a re-run", id, error)));
    Ok(Some(PastExecution {
        id: ExecutionId(id),
        status: rows::status(row, 5, id)?,
        end_time: row.try_get(6)?,
        has_newest_step: row.try_get(7)?,
        reruns: reruns.collect::<Result<_, _>>()?,
    }))
}

/// Asks for the executions of each job that stay because they are the newest, once for all batches.
async fn ask_newest(session: &Session, purge: &mut Purge<'_>, histories: &[InstanceHistory]) -> Result<(), StoreError> {
    for history in histories {
        let Some(keep) = purge.asks_newest(&history.job_name) else { continue };
        let sql = "SELECT id FROM oxbatch_job_execution WHERE job_name = $1 AND end_time IS NOT NULL
             ORDER BY id DESC LIMIT 1 OFFSET $2";
        let oldest_kept = session.optional(sql, &[&history.job_name, &i64::from(keep - 1)]).await?;
        let oldest_kept = oldest_kept.map(|row| row.try_get(0).map(ExecutionId)).transpose()?;
        purge.note_newest(&history.job_name, oldest_kept);
    }
    Ok(())
}

async fn remove(session: &Session, purge: &Purge<'_>) -> Result<(), StoreError> {
    let executions: Vec<i64> = purge.executions.iter().map(|id| id.0).collect();
    let instances: Vec<i64> = purge.instances.iter().map(|id| id.0).collect();
    if !executions.is_empty() {
        session.execute("DELETE FROM oxbatch_job_execution WHERE id = ANY ($1)", &[&executions]).await?;
    }
    if !instances.is_empty() {
        session.execute("DELETE FROM oxbatch_job_instance WHERE id = ANY ($1)", &[&instances]).await?;
    }
    Ok(())
}

/// Makes the space of removed rows free for new ones. It holds up nobody, and gives back to the disk only what lies at
/// the end of a table: the rest takes `VACUUM FULL`, under which nobody can work.
pub(super) async fn compact(session: &Session) -> Result<Compacted, StoreError> {
    let before = size(session).await?;
    for statement in COMPACT {
        session.batch(statement).await?;
    }
    Ok(Compacted { before, after: size(session).await? })
}

/// Each for itself: VACUUM refuses to be sent with another statement.
const COMPACT: [&str; 6] = [
    "VACUUM (ANALYZE) oxbatch_job_execution",
    "VACUUM (ANALYZE) oxbatch_step_execution",
    "VACUUM (ANALYZE) oxbatch_skipped_item",
    "VACUUM (ANALYZE) oxbatch_job_instance",
    "VACUUM (ANALYZE) oxbatch_job_instance_parameter",
    "VACUUM (ANALYZE) oxbatch_idempotency_key",
];

async fn size(session: &Session) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
         WHERE relkind = 'r' AND starts_with(relname, 'oxbatch_')
             AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'oxbatch_job_execution'::regclass)";
    Ok(u64::try_from(session.one(sql, &[]).await?.try_get::<_, i64>(0)?).unwrap_or(0))
}
