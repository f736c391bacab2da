//! Backfills: planned fires, launched within their own limit.

use jiff::Timestamp;
use oxbatch_core::repository::{
    Backfill, BackfillId, BackfillWork, NewBackfill, RepositoryError, ScheduleFilter, ScheduleId,
};
use oxbatch_core::schedule::rules::LastRun;

use super::rows::{self, fire_columns, last_run, not_paused};
use super::{Database, OwnedRow, Value, schedules, values};
use crate::error::StoreError;

/// Backfills in a list.
const MOST: i64 = 500;
/// Fires that one poll launches.
const MOST_NEXT: i64 = 100;

/// The last executions of the instances of the fires of a backfill.
macro_rules! runs {
    () => {
        "SELECT fire.backfill_id AS backfill_id, fire.outcome AS outcome,
             (SELECT run.status FROM oxbatch_job_execution AS run WHERE run.id =
                 (SELECT max(execution.id) FROM oxbatch_job_execution AS execution
                  WHERE execution.job_instance_id = fire.job_instance_id)) AS status
         FROM oxbatch_fire AS fire WHERE fire.backfill_id IS NOT NULL"
    };
}

/// The columns of a backfill with its counts, and its tables.
macro_rules! backfill_query {
    () => {
        concat!(
            "SELECT backfill.id, backfill.schedule_id, schedule.name, schedule.job_name, backfill.first_day,
                 backfill.last_day, backfill.which, backfill.max_running, backfill.newest_first, backfill.status,
                 backfill.create_time, backfill.end_time, count(runs.outcome),
                 coalesce(sum(CASE WHEN runs.outcome IN ('PLANNED', 'WAITING') THEN 1 ELSE 0 END), 0),
                 coalesce(sum(CASE WHEN runs.outcome = 'LAUNCHED' AND runs.status IN ('STARTING', 'STARTED', 'STOPPING')
                     THEN 1 ELSE 0 END), 0),
                 coalesce(sum(CASE WHEN runs.outcome = 'LAUNCHED' AND runs.status = 'COMPLETED' THEN 1 ELSE 0 END), 0)
             FROM oxbatch_backfill AS backfill
             JOIN oxbatch_schedule AS schedule ON schedule.id = backfill.schedule_id
             LEFT JOIN (",
            runs!(),
            ") AS runs ON runs.backfill_id = backfill.id "
        )
    };
}

macro_rules! backfill_group {
    () => {
        " GROUP BY backfill.id, backfill.schedule_id, schedule.name, schedule.job_name, backfill.first_day,
              backfill.last_day, backfill.which, backfill.max_running, backfill.newest_first, backfill.status,
              backfill.create_time, backfill.end_time"
    };
}

pub(crate) async fn last_runs<D: Database>(
    database: &D,
    job_name: &str,
    keys: &[String],
) -> Result<Vec<Option<LastRun>>, StoreError<D::Error>> {
    const LAST: &str = "SELECT id, status, resume_pending FROM oxbatch_job_execution WHERE id =
         (SELECT max(execution.id) FROM oxbatch_job_execution AS execution WHERE execution.job_instance_id =
             (SELECT id FROM oxbatch_job_instance WHERE job_name = $1 AND job_key = $2))";
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let row = database.optional(LAST, &values![job_name, key]).await?;
        found.push(row.map(|row| last_run(&row, 0)).transpose()?.flatten());
    }
    Ok(found)
}

pub(crate) async fn create<D: Database>(database: &D, new: &NewBackfill) -> Result<BackfillId, StoreError<D::Error>> {
    const TAKE: &str = "UPDATE oxbatch_schedule SET settled = settled WHERE id = $1 AND NOT removed";
    const CREATE: &str = "INSERT INTO oxbatch_backfill
             (schedule_id, first_day, last_day, which, max_running, newest_first, status, create_time)
         VALUES ($1, $2, $3, $4, $5, $6, 'RUNNING', $7) RETURNING id";
    const PLAN: &str = "INSERT INTO oxbatch_fire (schedule_id, instant, file, outcome, backfill_id, record_time)
         VALUES ($1, $2, '', 'PLANNED', $3, $4)
         ON CONFLICT (schedule_id, instant, file) DO UPDATE SET outcome = 'PLANNED', message = NULL,
             backfill_id = excluded.backfill_id, record_time = excluded.record_time
         WHERE oxbatch_fire.outcome NOT IN ('WAITING', 'PLANNED')";
    database.execute(TAKE, &values![new.schedule_id.0]).await?;
    let row = values![
        new.schedule_id.0,
        &new.first_day.to_string(),
        &new.last_day.to_string(),
        new.which.as_str(),
        i64::from(new.max_running),
        new.newest_first,
        new.time
    ];
    let created = database.optional(CREATE, &row).await?.unwrap_or(OwnedRow(Vec::new()));
    let id = created.number(0)?;
    let plan: Vec<Vec<Value>> =
        new.fires.iter().map(|instant| values![new.schedule_id.0, *instant, id, new.time].to_vec()).collect();
    if !plan.is_empty() {
        database.execute_all(PLAN, &plan).await?;
    }
    Ok(BackfillId(id))
}

pub(crate) async fn list<D: Database>(
    database: &D,
    id: Option<BackfillId>,
) -> Result<Vec<Backfill>, StoreError<D::Error>> {
    const ALL: &str = concat!(backfill_query!(), backfill_group!(), " ORDER BY backfill.id DESC LIMIT $1");
    const ONE: &str = concat!(backfill_query!(), " WHERE backfill.id = $1 ", backfill_group!());
    let found = match id {
        Some(id) => database.query(ONE, &values![id.0]).await?,
        None => database.query(ALL, &values![MOST]).await?,
    };
    Ok(found.iter().map(backfill).collect::<Result<_, _>>()?)
}

fn backfill(row: &OwnedRow) -> Result<Backfill, RepositoryError> {
    let [fires, planned, running, complete] = [12, 13, 14, 15].map(|column| row.number(column));
    let (fires, planned, running, complete) = (fires?, planned?, running?, complete?);
    Ok(Backfill {
        id: BackfillId(row.number(0)?),
        schedule_id: ScheduleId(row.number(1)?),
        schedule_name: row.text(2)?.to_owned(),
        job_name: row.text(3)?.to_owned(),
        first_day: row.word(4)?,
        last_day: row.word(5)?,
        which: row.word(6)?,
        max_running: u32::try_from(row.number(7)?).unwrap_or(u32::MAX),
        newest_first: row.flag(8)?,
        state: row.word(9)?,
        create_time: row.time(10)?,
        end_time: row.optional_time(11)?,
        fires,
        planned,
        running,
        complete,
        failed: fires - planned - running - complete,
    })
}

pub(crate) async fn cancel<D: Database>(
    database: &D,
    id: BackfillId,
    time: Timestamp,
) -> Result<bool, StoreError<D::Error>> {
    const TAKE: &str = "UPDATE oxbatch_schedule SET settled = settled
         WHERE id = (SELECT schedule_id FROM oxbatch_backfill WHERE id = $1)";
    const CANCEL: &str = "UPDATE oxbatch_backfill SET status = 'CANCELLED', end_time = $1
         WHERE id = $2 AND status = 'RUNNING'";
    const FIRES: &str = "UPDATE oxbatch_fire SET outcome = 'CANCELLED', message = 'its backfill was cancelled',
             record_time = $1
         WHERE backfill_id = $2 AND outcome IN ('PLANNED', 'WAITING')";
    database.execute(TAKE, &values![id.0]).await?;
    let cancelled = database.execute(CANCEL, &values![time, id.0]).await? == 1;
    if cancelled {
        database.execute(FIRES, &values![time, id.0]).await?;
    }
    Ok(cancelled)
}

pub(crate) async fn work<D: Database>(
    database: &D,
    time: Timestamp,
) -> Result<Vec<BackfillWork>, StoreError<D::Error>> {
    const RUNNING: &str = concat!(
        "SELECT backfill.id FROM oxbatch_backfill AS backfill
         JOIN oxbatch_schedule AS schedule ON schedule.id = backfill.schedule_id
         WHERE backfill.status = 'RUNNING' AND",
        not_paused!(),
        "ORDER BY backfill.id"
    );
    const END: &str =
        "UPDATE oxbatch_backfill SET status = 'ENDED', end_time = $1 WHERE id = $2 AND status = 'RUNNING'";
    const NEXT: &str = concat!(
        "SELECT ",
        fire_columns!(),
        " FROM oxbatch_fire AS fire JOIN oxbatch_schedule AS schedule ON schedule.id = fire.schedule_id
         WHERE fire.backfill_id = $1 AND fire.outcome IN ('PLANNED', 'WAITING')
         ORDER BY CASE WHEN $2 THEN -fire.instant ELSE fire.instant END LIMIT $3"
    );
    let mut work = Vec::new();
    for row in database.query(RUNNING, &[]).await? {
        let id = BackfillId(row.number(0)?);
        let Some(backfill) = list(database, Some(id)).await?.into_iter().next() else { continue };
        if backfill.planned == 0 && backfill.running == 0 {
            database.execute(END, &values![time, id.0]).await?;
            continue;
        }
        let room = (i64::from(backfill.max_running) - backfill.running).clamp(0, MOST_NEXT);
        if room == 0 {
            continue;
        }
        let name = ScheduleFilter::Named(backfill.schedule_name.clone());
        let Some(schedule) = schedules::list(database, &name).await?.into_iter().next() else { continue };
        let found = database.query(NEXT, &values![id.0, backfill.newest_first, room]).await?;
        let next = found.iter().map(rows::fire).collect::<Result<_, _>>()?;
        work.push(BackfillWork { backfill, schedule, next });
    }
    Ok(work)
}
