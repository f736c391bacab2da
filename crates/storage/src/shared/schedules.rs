//! The rows of schedules, and when there is something to do for them.

use jiff::Timestamp;
use oxbatch_core::repository::{Agenda, PutSchedule, ScheduleFilter, StoredSchedule};

use super::rows::{self, not_paused, schedule_columns, schedule_tables};
use super::{Database, OwnedRow, values};
use crate::error::StoreError;

const AGENDA: &str = concat!(
    "SELECT (SELECT schedule.next_fire FROM oxbatch_schedule AS schedule WHERE schedule.next_fire IS NOT NULL AND",
    not_paused!(),
    "ORDER BY schedule.next_fire LIMIT 1),
     (SELECT min(at) FROM oxbatch_deadline), (SELECT min(until) FROM oxbatch_pause),
     EXISTS (SELECT 1 FROM oxbatch_fire WHERE outcome = 'WAITING'),
     EXISTS (SELECT 1 FROM oxbatch_schedule WHERE of_files AND NOT removed),
     (SELECT min(next_attempt) FROM oxbatch_notice WHERE next_attempt IS NOT NULL),
     EXISTS (SELECT 1 FROM oxbatch_backfill WHERE status = 'RUNNING')"
);

pub(crate) async fn agenda<D: Database>(database: &D) -> Result<Agenda, StoreError<D::Error>> {
    let now = database.now().await?;
    let row = database.optional(AGENDA, &[]).await?.unwrap_or(OwnedRow(Vec::new()));
    Ok(Agenda {
        now,
        next_fire: row.optional_time(0)?,
        next_deadline: row.optional_time(1)?,
        next_resume: row.optional_time(2)?,
        has_waiting: row.flag(3)?,
        has_files: row.flag(4)?,
        next_notice: row.optional_time(5)?,
        has_backfills: row.flag(6)?,
    })
}

pub(crate) async fn list<D: Database>(
    database: &D,
    filter: &ScheduleFilter,
) -> Result<Vec<StoredSchedule>, StoreError<D::Error>> {
    const ALL: &str = concat!(
        "SELECT ",
        schedule_columns!(),
        " FROM",
        schedule_tables!(),
        "WHERE NOT schedule.removed ORDER BY schedule.name"
    );
    const NAMED: &str = concat!(
        "SELECT ",
        schedule_columns!(),
        " FROM",
        schedule_tables!(),
        "WHERE schedule.name = $1 AND NOT schedule.removed"
    );
    const DUE: &str = concat!(
        "SELECT ",
        schedule_columns!(),
        " FROM",
        schedule_tables!(),
        "WHERE schedule.next_fire <= $1 AND (schedule.next_fire, schedule.id) > ($2, $3) AND",
        not_paused!(),
        "ORDER BY schedule.next_fire, schedule.id LIMIT $4"
    );
    const FILES: &str = concat!(
        "SELECT ",
        schedule_columns!(),
        " FROM",
        schedule_tables!(),
        "WHERE schedule.of_files AND NOT schedule.removed AND",
        not_paused!(),
        "ORDER BY schedule.id"
    );
    let rows = match filter {
        ScheduleFilter::All => database.query(ALL, &[]).await?,
        ScheduleFilter::Named(name) => database.query(NAMED, &values![name]).await?,
        ScheduleFilter::Due { until, after, limit } => {
            let (next, id) = after.map_or((i64::MIN, 0), |(next, id)| (next.as_microsecond(), id.0));
            database.query(DUE, &values![*until, next, id, i64::from(*limit)]).await?
        }
        ScheduleFilter::Files => database.query(FILES, &[]).await?,
    };
    let schedules = rows.iter().map(|row| rows::schedule(row, 0)).collect::<Result<_, _>>()?;
    Ok(schedules)
}

pub(crate) async fn put<D: Database>(database: &D, put: &PutSchedule) -> Result<bool, StoreError<D::Error>> {
    const UPDATE: &str = "UPDATE oxbatch_schedule SET job_name = $1, definition = $2, origin = $3, settled = $4,
             next_fire = $5, of_files = $6, revision = revision + 1
         WHERE name = $7 AND revision = $8 AND NOT removed";
    // A name that was removed comes back with its fires, and begins anew.
    const INSERT: &str =
        "INSERT INTO oxbatch_schedule (job_name, definition, origin, settled, next_fire, of_files, name,
             create_time)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (name) DO UPDATE SET job_name = excluded.job_name, definition = excluded.definition,
             origin = excluded.origin, settled = excluded.settled, next_fire = excluded.next_fire,
             of_files = excluded.of_files, revision = oxbatch_schedule.revision + 1, removed = FALSE
         WHERE oxbatch_schedule.removed";
    const PAUSE: &str = "INSERT INTO oxbatch_pause (scope, name, reason, since) VALUES ('SCHEDULE', $1, $2, $3)
         ON CONFLICT (scope, name) DO NOTHING";
    let mut row = values![
        &put.job_name,
        &put.definition,
        put.origin.as_str(),
        put.recorded_until,
        put.next_fire,
        put.next_fire.is_none(),
        &put.name,
    ]
    .to_vec();
    let is_new = put.revision.is_none();
    row.push(put.revision.unwrap_or_else(|| put.time.as_microsecond()).into());
    let written = database.execute(if is_new { INSERT } else { UPDATE }, &row).await? == 1;
    if let (true, true, Some(reason)) = (written, is_new, &put.paused) {
        database.execute(PAUSE, &values![&put.name, reason, put.time]).await?;
    }
    Ok(written)
}

pub(crate) async fn remove<D: Database>(
    database: &D,
    name: &str,
    time: Timestamp,
) -> Result<bool, StoreError<D::Error>> {
    const REMOVE: &str = "UPDATE oxbatch_schedule SET removed = TRUE, next_fire = NULL, revision = revision + 1
         WHERE name = $1 AND NOT removed RETURNING id";
    const CANCEL: &str = "UPDATE oxbatch_fire SET outcome = 'CANCELLED', message = 'its schedule was removed',
             record_time = $1
         WHERE schedule_id = $2 AND outcome IN ('WAITING', 'PLANNED')";
    let Some(removed) = database.optional(REMOVE, &values![name]).await? else { return Ok(false) };
    database.execute(CANCEL, &values![time, removed.number(0)?]).await?;
    let unpause = "DELETE FROM oxbatch_pause WHERE scope = 'SCHEDULE' AND name = $1";
    database.execute(unpause, &values![name]).await?;
    Ok(true)
}
