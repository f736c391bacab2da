//! Retention: which executions may go, and their removal in batches.

use oxbatch_core::execution::Status;
use oxbatch_core::repository::{PurgeReport, PurgeRequest};
use rusqlite::{Connection, params};

use super::error::Fault;

/// `execution` may go by what was asked for; it is known to have ended.
///
/// ?1 ended before, ?2 statuses as JSON, ?3 how many of each job stay, ?4 whether the last of an instance that could
/// be restarted may go too.
///
/// One whose skipped items are being run again, or whose re-run could be restarted, stays: they would go with it, and the
/// re-run would find nothing left to do.
macro_rules! asked_for {
    ($execution:literal) => {
        concat!(
            $execution,
            ".end_time < ?1 AND ",
            $execution,
            ".status IN (SELECT value FROM json_each(?2))
             AND (?3 = 0 OR (SELECT count(*) FROM (SELECT 1 FROM oxbatch_job_execution AS newer
                 WHERE newer.job_name = ",
            $execution,
            ".job_name AND newer.id > ",
            $execution,
            ".id AND newer.end_time IS NOT NULL LIMIT ?3)) >= ?3)
             AND NOT EXISTS (SELECT 1 FROM oxbatch_job_execution AS rerun
                 WHERE rerun.rerun_of = ",
            $execution,
            ".id AND (rerun.end_time IS NULL OR (rerun.status IN ('STOPPED', 'FAILED')
                     AND NOT EXISTS (SELECT 1 FROM oxbatch_job_execution AS next
                         WHERE next.job_instance_id = rerun.job_instance_id AND next.id > rerun.id))))
             AND (?4 OR ",
            $execution,
            ".status NOT IN ('STOPPED', 'FAILED') OR EXISTS (SELECT 1 FROM oxbatch_job_execution AS newer
                 WHERE newer.job_instance_id = ",
            $execution,
            ".job_instance_id AND newer.id > ",
            $execution,
            ".id))"
        )
    };
}

/// Ended executions that were asked for and are not needed: a later execution that stays and resumes from this one
/// must still find which steps this one has completed, or it would run them twice. Nor may one go while an earlier one of
/// its instance stays: that one would become the last, and what came of it later would be forgotten.
macro_rules! removable {
    () => {
        concat!(
            "FROM oxbatch_job_execution AS old WHERE ",
            asked_for!("old"),
            " AND NOT EXISTS (
                 SELECT 1 FROM oxbatch_job_execution AS later
                 WHERE later.job_instance_id = old.job_instance_id AND later.id > old.id
                     AND later.first_execution_id <= old.id
                     AND NOT (later.end_time IS NOT NULL AND ",
            asked_for!("later"),
            ") AND EXISTS (
                         SELECT 1 FROM oxbatch_step_execution AS needed
                         WHERE needed.job_execution_id = old.id AND NOT EXISTS (
                             SELECT 1 FROM oxbatch_step_execution AS repeated
                             WHERE repeated.job_instance_id = needed.job_instance_id
                                 AND repeated.step_name = needed.step_name
                                 AND repeated.job_execution_id > old.id)))
             AND NOT EXISTS (
                 SELECT 1 FROM oxbatch_job_execution AS earlier
                 WHERE earlier.job_instance_id = old.job_instance_id AND earlier.id < old.id
                     AND NOT (earlier.end_time IS NOT NULL AND ",
            asked_for!("earlier"),
            "))"
        )
    };
}

/// Removes one batch, or counts what all batches together would remove.
pub(super) fn purge(connection: &Connection, request: &PurgeRequest) -> Result<PurgeReport, Fault> {
    let ended_before = request.ended_before.map_or(i64::MAX, |time| time.as_microsecond());
    let statuses: Vec<&str> = Status::ALL
        .iter()
        .filter(|status| !status.is_running())
        .filter(|status| request.statuses.is_empty() || request.statuses.contains(status))
        .map(|status| status.as_str())
        .collect();
    let statuses = serde_json::Value::from(statuses).to_string();
    let keep = request.keep_per_job.unwrap_or(0);
    if request.dry_run {
        return count(connection, params![ended_before, statuses, keep, request.include_restartable]);
    }
    let batch = request.batch.max(1);
    let ids: Vec<(i64, i64)> = connection
        .prepare_cached(concat!(
            "SELECT old.id, old.job_instance_id ",
            removable!(),
            " ORDER BY old.end_time LIMIT ?5"
        ))?
        .query_map(params![ended_before, statuses, keep, request.include_restartable, batch], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let more = ids.len() >= batch as usize;
    let executions: serde_json::Value = ids.iter().map(|(id, _)| *id).collect();
    let instances: serde_json::Value = ids.iter().map(|(_, id)| *id).collect();
    // Those that resume from what goes away go with it: they were asked for too, else it would stay.
    let removed = connection
        .prepare_cached(concat!(
            "DELETE FROM oxbatch_job_execution AS gone WHERE id IN (SELECT value FROM json_each(?5)
                 UNION SELECT later.id FROM json_each(?5) AS chosen
                 JOIN oxbatch_job_execution AS old ON old.id = chosen.value
                 JOIN oxbatch_job_execution AS later ON later.job_instance_id = old.job_instance_id
                     AND later.id > old.id AND later.first_execution_id <= old.id
                 WHERE later.end_time IS NOT NULL AND ",
            asked_for!("later"),
            ")"
        ))?
        .execute(params![ended_before, statuses, keep, request.include_restartable, executions.to_string()])?;
    let empty = connection
        .prepare_cached(
            "DELETE FROM oxbatch_job_instance AS instance WHERE id IN (SELECT value FROM json_each(?1))
                 AND NOT EXISTS (SELECT 1 FROM oxbatch_job_execution WHERE job_instance_id = instance.id)",
        )?
        .execute([instances.to_string()])?;
    let count = |rows: usize| i64::try_from(rows).unwrap_or(i64::MAX);
    Ok(PurgeReport { executions: count(removed), instances: count(empty), more })
}

fn count(connection: &Connection, values: &[&dyn rusqlite::ToSql]) -> Result<PurgeReport, Fault> {
    let (executions, instances) = connection
        .prepare_cached(concat!(
            "WITH gone AS MATERIALIZED (SELECT old.id, old.job_instance_id ",
            removable!(),
            "), per_instance AS (SELECT job_instance_id, count(*) AS gone FROM gone GROUP BY job_instance_id)
             SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM per_instance
                 WHERE gone = (SELECT count(*) FROM oxbatch_job_execution AS all_of_it
                     WHERE all_of_it.job_instance_id = per_instance.job_instance_id))"
        ))?
        .query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(PurgeReport { executions, instances, more: false })
}
