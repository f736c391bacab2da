//! Notices: written with their cause, taken and delivered afterwards.

use std::time::Duration;

use jiff::Timestamp;
use oxbatch_core::execution::{ExecutionId, JobExecution};
use oxbatch_core::notice::rules::{self, EndFacts, MissedFires, NewNotice};
use oxbatch_core::notice::{Notice, NoticeAttempt, NoticeId, NoticeState};
use oxbatch_core::repository::{AttemptEnd, LateFire, Missing, NoticePage, PageRequest, RepositoryError};

use super::{Database, OwnedRow, Value, channels, values};
use crate::error::StoreError;

/// Attempts of a notice that are shown.
const MOST_ATTEMPTS: i64 = 100;

/// The columns of a notice in the order in which `notice` reads them.
macro_rules! notice_columns {
    () => {
        "id, channel, kind, job_name, execution_id, schedule, instant, message, create_time, state, attempts, next_attempt"
    };
}

/// Writes notices that are due at once.
async fn write<D: Database>(
    database: &D,
    notices: Vec<NewNotice>,
    time: Timestamp,
) -> Result<(), StoreError<D::Error>> {
    const WRITE: &str = "INSERT INTO oxbatch_notice
             (channel, kind, job_name, execution_id, schedule, instant, message, create_time, state, next_attempt)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'PENDING', $8)";
    let row = |notice: &NewNotice| {
        let execution = notice.execution_id.map(|id| id.0);
        let (schedule, instant) = (notice.schedule.as_ref(), notice.instant);
        let (channel, kind, job, message) = (&notice.channel, notice.kind.as_str(), &notice.job_name, &notice.message);
        values![channel, kind, job, execution, schedule, instant, message, time].to_vec()
    };
    let rows: Vec<Vec<Value>> = notices.iter().map(row).collect();
    if !rows.is_empty() {
        database.execute_all(WRITE, &rows).await?;
    }
    Ok(())
}

/// Writes the notices of an execution that has ended. `goes_on` is set for one that has a successor.
pub(crate) async fn of_end<D: Database>(
    database: &D,
    execution: &JobExecution,
    goes_on: bool,
) -> Result<(), StoreError<D::Error>> {
    const FACTS: &str = "SELECT
         (SELECT earlier.status FROM oxbatch_job_execution AS earlier WHERE earlier.id =
             (SELECT max(id) FROM oxbatch_job_execution WHERE job_name = $1 AND id < $2)),
         (SELECT CAST(sum(read_skip_count + process_skip_count + write_skip_count) AS BIGINT)
          FROM oxbatch_step_execution WHERE job_execution_id = $2)";
    if goes_on {
        return Ok(());
    }
    let channels = channels::united(database).await?;
    let row = match channels.is_empty() {
        true => None,
        false => database.optional(FACTS, &values![&execution.job_name, execution.id.0]).await?,
    };
    let Some(row) = row else { return Ok(()) };
    let previous = row.optional_text(0)?.is_some().then(|| row.word(0)).transpose()?;
    let skipped = row.optional_number(1)?.unwrap_or(0);
    let time = execution.end_time.ok_or_else(|| RepositoryError::Corrupt {
        what: format!("end of execution {}", execution.id),
        source: "it has no time".into(),
    })?;
    write(database, rules::of_end(EndFacts { execution, goes_on, previous, skipped }, &channels), time).await
}

/// Writes the notices of a late fire.
pub(crate) async fn of_late<D: Database>(
    database: &D,
    late: &LateFire,
    time: Timestamp,
) -> Result<(), StoreError<D::Error>> {
    let channels = channels::united(database).await?;
    write(database, rules::of_late(late, &channels), time).await
}

/// Writes one notice of fires that were missed together.
pub(crate) async fn of_missed<D: Database>(
    database: &D,
    schedule_id: i64,
    missed: (Timestamp, Timestamp, usize),
    time: Timestamp,
) -> Result<(), StoreError<D::Error>> {
    let channels = channels::united(database).await?;
    let sql = "SELECT name, job_name FROM oxbatch_schedule WHERE id = $1";
    let Some(row) = database.optional(sql, &values![schedule_id]).await? else { return Ok(()) };
    let (first, last, count) = missed;
    let missed = MissedFires { schedule: row.text(0)?, job_name: row.text(1)?, first, last, count };
    write(database, rules::of_missed(missed, &channels), time).await
}

pub(crate) async fn claim<D: Database>(
    database: &D,
    channels: &[String],
    time: Timestamp,
    keep: Duration,
    limit: u32,
) -> Result<Vec<Notice>, StoreError<D::Error>> {
    const DUE: &str = concat!(
        "SELECT ",
        notice_columns!(),
        " FROM oxbatch_notice WHERE next_attempt <= $1 AND channel = $2 ORDER BY next_attempt, id LIMIT $3"
    );
    const TAKE: &str = "UPDATE oxbatch_notice SET attempts = attempts + 1, next_attempt = $1
         WHERE id = $2 AND attempts = $3 AND state = 'PENDING'";
    let until = time.checked_add(keep).unwrap_or(time);
    let mut taken = Vec::new();
    for channel in channels {
        for row in database.query(DUE, &values![time, channel, i64::from(limit)]).await? {
            let mut found = notice(&row)?;
            // Of several nodes that see it one takes it.
            if database.execute(TAKE, &values![until, found.id.0, found.attempts]).await? == 1 {
                found.attempts += 1;
                taken.push(found);
            }
        }
    }
    Ok(taken)
}

pub(crate) async fn end_attempt<D: Database>(database: &D, end: &AttemptEnd) -> Result<(), StoreError<D::Error>> {
    const END: &str = "UPDATE oxbatch_notice SET state = $1, next_attempt = $2 WHERE id = $3 AND state = 'PENDING'";
    const LOG: &str = "INSERT INTO oxbatch_notice_attempt (notice_id, time, node, error) VALUES ($1, $2, $3, $4)";
    let state = match (&end.attempt.error, end.next_attempt) {
        (None, _) => NoticeState::Delivered,
        (Some(_), Some(_)) => NoticeState::Pending,
        (Some(_), None) => NoticeState::Undelivered,
    };
    let next = end.next_attempt.filter(|_| state == NoticeState::Pending);
    database.execute(END, &values![state.as_str(), next, end.notice_id.0]).await?;
    let attempt = &end.attempt;
    let row = values![end.notice_id.0, attempt.time, &attempt.node, attempt.error.as_ref()];
    database.execute(LOG, &row).await?;
    Ok(())
}

pub(crate) async fn page<D: Database>(
    database: &D,
    state: Option<NoticeState>,
    page: PageRequest,
) -> Result<NoticePage, StoreError<D::Error>> {
    const PAGE: &str = concat!(
        "SELECT ",
        notice_columns!(),
        " FROM oxbatch_notice WHERE id < $1 AND (CAST($2 AS TEXT) IS NULL OR state = $2) ORDER BY id DESC LIMIT $3"
    );
    let row = values![page.upper_bound(), state.map(|state| state.as_str()), page.rows_to_read()];
    let found = database.query(PAGE, &row).await?;
    Ok(NoticePage::of(found.iter().map(notice).collect::<Result<_, _>>()?, page.limit))
}

pub(crate) async fn attempts<D: Database>(
    database: &D,
    id: NoticeId,
) -> Result<Vec<NoticeAttempt>, StoreError<D::Error>> {
    let sql = "SELECT time, node, error FROM oxbatch_notice_attempt WHERE notice_id = $1 ORDER BY id DESC LIMIT $2";
    let rows = database.query(sql, &values![id.0, MOST_ATTEMPTS]).await?;
    if rows.is_empty()
        && database.query("SELECT id FROM oxbatch_notice WHERE id = $1", &values![id.0]).await?.is_empty()
    {
        return Err(RepositoryError::NotFound { what: Missing::Notice, id: id.0 }.into());
    }
    let read = |row: &OwnedRow| {
        let error = row.optional_text(2)?.map(str::to_owned);
        Ok(NoticeAttempt { time: row.time(0)?, node: row.text(1)?.to_owned(), error })
    };
    Ok(rows.iter().rev().map(read).collect::<Result<_, RepositoryError>>()?)
}

fn notice(row: &OwnedRow) -> Result<Notice, RepositoryError> {
    Ok(Notice {
        id: NoticeId(row.number(0)?),
        channel: row.text(1)?.to_owned(),
        kind: row.word(2)?,
        job_name: row.optional_text(3)?.map(str::to_owned),
        execution_id: row.optional_number(4)?.map(ExecutionId),
        schedule: row.optional_text(5)?.map(str::to_owned),
        instant: row.optional_time(6)?,
        message: row.text(7)?.to_owned(),
        create_time: row.time(8)?,
        state: row.word(9)?,
        attempts: row.number(10)?,
        next_attempt: row.optional_time(11)?,
    })
}
