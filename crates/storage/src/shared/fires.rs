//! Lists of fires.

use jiff::Timestamp;
use oxbatch_core::repository::{Fire, FireFilter, FireId, FirePage, PageRequest, ScheduleId, WaitingFire};

use super::rows::{self, FIRE_COLUMNS, fire_columns, not_paused, schedule_columns, schedule_tables};
use super::{Database, values};
use crate::error::StoreError;

pub(crate) async fn fire_of<D: Database>(database: &D, id: FireId) -> Result<Option<Fire>, StoreError<D::Error>> {
    const FIRE: &str = concat!(
        "SELECT ",
        fire_columns!(),
        " FROM oxbatch_fire AS fire JOIN oxbatch_schedule AS schedule ON schedule.id = fire.schedule_id
         WHERE fire.id = $1"
    );
    let row = database.optional(FIRE, &values![id.0]).await?;
    Ok(row.map(|row| rows::fire(&row)).transpose()?)
}

pub(crate) async fn page<D: Database>(
    database: &D,
    filter: &FireFilter,
    page: PageRequest,
) -> Result<FirePage, StoreError<D::Error>> {
    const PAGE: &str = concat!(
        "SELECT ",
        fire_columns!(),
        " FROM oxbatch_fire AS fire JOIN oxbatch_schedule AS schedule ON schedule.id = fire.schedule_id
         WHERE fire.id < $1 AND (CAST($2 AS BIGINT) IS NULL OR fire.schedule_id = $2)
             AND (CAST($3 AS TEXT) IS NULL OR fire.outcome = $3)
             AND (CAST($4 AS BIGINT) IS NULL OR fire.backfill_id = $4)
         ORDER BY fire.id DESC LIMIT $5"
    );
    // That of one schedule alone walks its index.
    const OF_SCHEDULE: &str = concat!(
        "SELECT ",
        fire_columns!(),
        " FROM oxbatch_fire AS fire JOIN oxbatch_schedule AS schedule ON schedule.id = fire.schedule_id
         WHERE fire.id < $1 AND fire.schedule_id = $2
             AND (CAST($3 AS TEXT) IS NULL OR fire.outcome = $3)
             AND (CAST($4 AS BIGINT) IS NULL OR fire.backfill_id = $4)
         ORDER BY fire.id DESC LIMIT $5"
    );
    let bound = values![
        page.upper_bound(),
        filter.schedule_id.map(|id| id.0),
        filter.outcome.map(|outcome| outcome.as_str()),
        filter.backfill_id,
        page.rows_to_read()
    ];
    let sql = if filter.schedule_id.is_some() { OF_SCHEDULE } else { PAGE };
    let found = database.query(sql, &bound).await?;
    let fires = found.iter().map(rows::fire).collect::<Result<_, _>>()?;
    Ok(FirePage::of(fires, page.limit))
}

pub(crate) async fn waiting<D: Database>(
    database: &D,
    after: Option<(Timestamp, FireId)>,
    limit: u32,
) -> Result<Vec<WaitingFire>, StoreError<D::Error>> {
    const WAITING: &str = concat!(
        "SELECT ",
        fire_columns!(),
        ", ",
        schedule_columns!(),
        " FROM",
        schedule_tables!(),
        "JOIN oxbatch_fire AS fire ON fire.schedule_id = schedule.id
         WHERE fire.outcome = 'WAITING' AND fire.backfill_id IS NULL AND (fire.instant, fire.id) > ($1, $2)
             AND NOT EXISTS (
                 SELECT 1 FROM oxbatch_fire AS earlier
                 WHERE earlier.schedule_id = fire.schedule_id AND earlier.outcome = 'WAITING'
                     AND earlier.backfill_id IS NULL
                     AND (earlier.instant < fire.instant OR (earlier.instant = fire.instant AND earlier.id < fire.id)))
             AND",
        not_paused!(),
        "ORDER BY fire.instant, fire.id LIMIT $3"
    );
    let (instant, id) = after.map_or((i64::MIN, 0), |(instant, id)| (instant.as_microsecond(), id.0));
    let found = database.query(WAITING, &values![instant, id, i64::from(limit)]).await?;
    let fires = found
        .iter()
        .map(|row| Ok(WaitingFire { fire: rows::fire(row)?, schedule: rows::schedule(row, FIRE_COLUMNS)? }));
    Ok(fires.collect::<Result<_, oxbatch_core::repository::RepositoryError>>()?)
}

pub(crate) async fn is_there<D: Database>(
    database: &D,
    (id, instant, file): (ScheduleId, Timestamp, &str),
) -> Result<bool, StoreError<D::Error>> {
    let sql = "SELECT id FROM oxbatch_fire WHERE schedule_id = $1 AND instant = $2 AND file = $3";
    Ok(database.optional(sql, &values![id.0, instant, file]).await?.is_some())
}
