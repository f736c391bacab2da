//! Retention: reads what the next batch of a purge may remove, and removes what the rules let go.

use std::time::Instant;

use jiff::Timestamp;
use oxbatch_core::execution::{ExecutionId, InstanceId};
use oxbatch_core::repository::rules::purge::{EndedExecution, InstanceHistory, PastExecution, Purge};
use oxbatch_core::repository::{PurgeReport, PurgeRequest};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::{StoreError, unreadable};
use super::rows;
use crate::conditions::{ended_columns, has_newest_step, last_reruns};
use crate::rows::StoredRow;

/// Ended executions in the order of their ends. What may go is a first part of an instance: whether one is the first
/// left of its instance is read with it.
const ENDED: &str = concat!(
    "SELECT ",
    ended_columns!(),
    " FROM oxbatch_job_execution AS ended INDEXED BY oxbatch_job_execution_ended
     WHERE end_time IS NOT NULL AND end_time < ?1 AND (end_time, id) > (?2, ?3)
     ORDER BY end_time, id LIMIT ?4"
);

/// The executions of an instance after one, oldest first: whether a step was not attempted again later, and in which
/// statuses the instances ended, or are, that run skipped items again.
const HISTORY: &str = concat!(
    "SELECT id, status, end_time,
         ",
    has_newest_step!(),
    ",
         (SELECT json_group_array(DISTINCT rerun.status) FROM ",
    last_reruns!(),
    ")
     FROM oxbatch_job_execution AS past WHERE job_instance_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
);

/// Removes what the rules let go of the next batch, or counts it, in the transaction of the caller.
pub(super) fn purge(connection: &Connection, request: &PurgeRequest) -> Result<PurgeReport, StoreError> {
    let begun = Instant::now();
    let mut purge = Purge::new(request);
    if let Some((id, after)) = purge.unfinished() {
        match history(connection, &purge, id, after)? {
            Some(history) => judge(connection, &mut purge, &history)?,
            None => purge.forget_unfinished(),
        }
    }
    if purge.goes_on() {
        let ended = ended(connection, &purge)?;
        purge.take_ended(ended);
    }
    while let Some(id) = purge.next_instance() {
        if let Some(history) = history(connection, &purge, id, None)? {
            judge(connection, &mut purge, &history)?;
        }
    }
    if !request.dry_run {
        remove(connection, &purge)?;
    }
    Ok(purge.report(begun.elapsed()))
}

fn ended(connection: &Connection, purge: &Purge<'_>) -> Result<Vec<EndedExecution>, StoreError> {
    let before = purge.ended_before().map_or(i64::MAX, Timestamp::as_microsecond);
    let (time, id) = purge.after().map_or((i64::MIN, 0), |(time, id)| (time.as_microsecond(), id.0));
    let batch = i64::try_from(purge.batch()).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(ENDED)?;
    let ended = statement.query_map(params![before, time, id, batch], rows::ended)?;
    Ok(ended.collect::<Result<_, _>>()?)
}

/// Reads the history of an instance; `None` when it is gone.
fn history(
    connection: &Connection,
    purge: &Purge<'_>,
    id: InstanceId,
    after: Option<ExecutionId>,
) -> Result<Option<InstanceHistory>, StoreError> {
    let last = connection
        .prepare_cached(
            "SELECT id, coalesce(first_execution_id, id), job_name FROM oxbatch_job_execution
             WHERE job_instance_id = ?1 ORDER BY id DESC LIMIT 1",
        )?
        .query_row([id.0], |row| Ok((ExecutionId(row.get(0)?), ExecutionId(row.get(1)?), row.get(2)?)))
        .optional()?;
    let Some((last, lineage, job_name)) = last else { return Ok(None) };
    let (after, window) = (after.map_or(0, |id| id.0), i64::try_from(purge.window()).unwrap_or(i64::MAX));
    let mut statement = connection.prepare_cached(HISTORY)?;
    let executions = statement.query_map([id.0, after, window], past)?.collect::<Result<_, _>>()?;
    Ok(Some(InstanceHistory { id, job_name, last, lineage, executions }))
}

fn past(row: &Row<'_>) -> rusqlite::Result<PastExecution> {
    let id = row.get(0)?;
    let reruns = row.get_ref(4)?.as_str()?;
    Ok(PastExecution {
        id: ExecutionId(id),
        status: rows::status(row, 1, id)?,
        end_time: row.time(2, id)?,
        has_newest_step: row.get(3)?,
        reruns: serde_json::from_str(reruns).map_err(|error| unreadable("status of a re-run of", id, error))?,
    })
}

fn judge(connection: &Connection, purge: &mut Purge<'_>, history: &InstanceHistory) -> Result<(), StoreError> {
    if let Some(keep) = purge.asks_newest(&history.job_name) {
        let oldest_kept = connection
            .prepare_cached(
                "SELECT id FROM oxbatch_job_execution INDEXED BY oxbatch_job_execution_of_job
                 WHERE job_name = ?1 AND end_time IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?2",
            )?
            .query_row(params![history.job_name, keep - 1], |row| row.get(0).map(ExecutionId))
            .optional()?;
        purge.note_newest(&history.job_name, oldest_kept);
    }
    purge.judge(history);
    Ok(())
}

fn remove(connection: &Connection, purge: &Purge<'_>) -> Result<(), StoreError> {
    if !purge.executions.is_empty() {
        let ids: serde_json::Value = purge.executions.iter().map(|id| id.0).collect();
        connection
            .prepare_cached("DELETE FROM oxbatch_job_execution WHERE id IN (SELECT value FROM json_each(?1))")?
            .execute([ids.to_string()])?;
    }
    if !purge.instances.is_empty() {
        let ids: serde_json::Value = purge.instances.iter().map(|id| id.0).collect();
        connection
            .prepare_cached("DELETE FROM oxbatch_job_instance WHERE id IN (SELECT value FROM json_each(?1))")?
            .execute([ids.to_string()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteRepository;
    use crate::sqlite::open::{self, Durability};

    /// Without an index a batch would take longer the more there is, while all others wait for it.
    #[test]
    fn a_batch_looks_everything_up_by_an_index_and_sorts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let _repository = SqliteRepository::open(&folder.path().join("oxbatch.db")).unwrap();
        let connection = open::writer(&folder.path().join("oxbatch.db"), Durability::Later).unwrap();
        let removals = [
            "DELETE FROM oxbatch_job_execution WHERE id IN (SELECT value FROM json_each('[1]'))",
            "UPDATE oxbatch_job_execution SET rerun_by = NULL WHERE rerun_by = 1",
            "DELETE FROM oxbatch_step_execution WHERE job_execution_id = 1",
            "DELETE FROM oxbatch_step_execution WHERE job_instance_id = 1",
            "DELETE FROM oxbatch_log_segment WHERE job_execution_id = 1",
        ];
        for sql in [ENDED, HISTORY].into_iter().chain(removals) {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let plan: Vec<String> = statement.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>().unwrap();
            let scans = plan.iter().filter(|line| line.starts_with("SCAN") && !line.contains("json_each"));
            assert_eq!(scans.count(), 0, "{plan:#?}");
            let sorts = plan.iter().any(|line| line.contains("TEMP B-TREE FOR ORDER BY"));
            assert!(!sorts, "{plan:#?}");
        }
    }
}
