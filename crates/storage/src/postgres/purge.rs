//! Retention: which executions may go, and their removal in batches.

use jiff::Timestamp;
use oxbatch_core::execution::Status;
use oxbatch_core::repository::{PurgeReport, PurgeRequest};

use super::error::Fault;
use super::session::Session;

/// `execution` may go by what was asked for; it is known to have ended.
///
/// $1 ended before, $2 statuses, $3 how many of each job stay, $4 whether the last of an instance that could be
/// restarted may go too.
///
/// One whose skipped items are being run again, or whose re-run could be restarted, stays: they would go with it, and the
/// re-run would find nothing left to do.
macro_rules! asked_for {
    ($execution:literal) => {
        concat!(
            "($1::timestamptz IS NULL OR ",
            $execution,
            ".end_time < $1) AND ",
            $execution,
            ".status = ANY ($2::text[])
             AND ($3::bigint = 0 OR (SELECT count(*) FROM (SELECT 1 FROM oxbatch_job_execution AS newer
                 WHERE newer.job_name = ",
            $execution,
            ".job_name AND newer.id > ",
            $execution,
            ".id AND newer.end_time IS NOT NULL LIMIT $3) AS newer) >= $3)
             AND NOT EXISTS (SELECT 1 FROM oxbatch_job_execution AS rerun
                 WHERE rerun.rerun_of = ",
            $execution,
            ".id AND (rerun.end_time IS NULL OR (rerun.status IN ('STOPPED', 'FAILED')
                     AND NOT EXISTS (SELECT 1 FROM oxbatch_job_execution AS next
                         WHERE next.job_instance_id = rerun.job_instance_id AND next.id > rerun.id))))
             AND ($4::boolean OR ",
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
            "FROM oxbatch_job_execution AS old WHERE old.end_time IS NOT NULL AND ",
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
pub(super) async fn purge(session: &Session, request: &PurgeRequest) -> Result<PurgeReport, Fault> {
    let before: Option<Timestamp> = request.ended_before;
    let statuses: Vec<&str> = Status::ALL
        .iter()
        .filter(|status| !status.is_running())
        .filter(|status| request.statuses.is_empty() || request.statuses.contains(status))
        .map(|status| status.as_str())
        .collect();
    let keep = i64::from(request.keep_per_job.unwrap_or(0));
    let restartable = request.include_restartable;
    if request.dry_run {
        return count(session, before, &statuses, keep, restartable).await;
    }
    let batch = i64::from(request.batch.max(1));
    let chosen = session
        .query(
            concat!("SELECT old.job_instance_id ", removable!(), " ORDER BY old.end_time LIMIT $5"),
            &[&before, &statuses, &keep, &restartable, &batch],
        )
        .await?;
    let more = i64::try_from(chosen.len()).is_ok_and(|chosen| chosen >= batch);
    let mut instances: Vec<i64> = chosen.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    instances.sort_unstable();
    instances.dedup();
    // Their instances are held, in order: nobody launches one while it is decided what its executions are needed for.
    session
        .query("SELECT 1 FROM oxbatch_job_instance WHERE id = ANY ($1) ORDER BY id FOR UPDATE", &[&instances])
        .await?;
    // Chosen again, since a launch may have come in between. Those that resume from what goes away go with it: they were
    // asked for too, else it would stay.
    let removed = session
        .execute(
            concat!(
                "WITH chosen AS MATERIALIZED (SELECT old.id, old.job_instance_id ",
                removable!(),
                " AND old.job_instance_id = ANY ($6) ORDER BY old.end_time LIMIT $5)
                 DELETE FROM oxbatch_job_execution WHERE id IN (SELECT id FROM chosen
                     UNION SELECT later.id FROM chosen
                     JOIN oxbatch_job_execution AS later ON later.job_instance_id = chosen.job_instance_id
                         AND later.id > chosen.id AND later.first_execution_id <= chosen.id
                     WHERE later.end_time IS NOT NULL AND ",
                asked_for!("later"),
                ")"
            ),
            &[&before, &statuses, &keep, &restartable, &batch, &instances],
        )
        .await?;
    let empty = session
        .execute(
            "DELETE FROM oxbatch_job_instance AS instance WHERE id = ANY ($1)
                 AND NOT EXISTS (SELECT 1 FROM oxbatch_job_execution WHERE job_instance_id = instance.id)",
            &[&instances],
        )
        .await?;
    let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    Ok(PurgeReport { executions: count(removed), instances: count(empty), more })
}

async fn count(
    session: &Session,
    before: Option<Timestamp>,
    statuses: &[&str],
    keep: i64,
    restartable: bool,
) -> Result<PurgeReport, Fault> {
    let row = session
        .one(
            concat!(
                "WITH gone AS MATERIALIZED (SELECT old.id, old.job_instance_id ",
                removable!(),
                "), per_instance AS (SELECT job_instance_id, count(*) AS gone FROM gone GROUP BY job_instance_id)
                 SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM per_instance
                     WHERE gone = (SELECT count(*) FROM oxbatch_job_execution AS all_of_it
                         WHERE all_of_it.job_instance_id = per_instance.job_instance_id))"
            ),
            &[&before, &statuses, &keep, &restartable],
        )
        .await?;
    Ok(PurgeReport { executions: row.try_get(0)?, instances: row.try_get(1)?, more: false })
}
