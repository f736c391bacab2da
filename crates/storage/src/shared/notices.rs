//! Notices: written with what they tell of, taken and delivered afterwards.

use std::time::Duration;

use jiff::Timestamp;
use oxbatch_core::execution::{ExecutionId, JobExecution, Status};
use oxbatch_core::notice::{Notice, NoticeAttempt, NoticeChannel, NoticeId, NoticeKind, NoticeState};
use oxbatch_core::repository::{AttemptEnd, LateFire, NoticePage, PageRequest, RepositoryError};

use super::{Database, OwnedRow, Value, values};
use crate::error::StoreError;

/// Attempts of a notice that are shown.
const MOST_ATTEMPTS: i64 = 100;

/// The columns of a notice in the order in which `notice` reads them.
macro_rules! notice_columns {
    () => {
        "id, channel, kind, job_name, execution_id, schedule, instant, message, create_time, state, attempts, next_attempt"
    };
}

/// A notice of a kind to each channel that is told of it.
const TELL: &str = "INSERT INTO oxbatch_notice
         (channel, kind, job_name, execution_id, schedule, instant, message, create_time, state, next_attempt)
     SELECT channel.name, $1, $2, CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS BIGINT), $6, $7, 'PENDING', $7
     FROM oxbatch_notice_channel AS channel WHERE channel.kinds LIKE $8";

fn pattern(kind: NoticeKind) -> String {
    format!("% {kind} %")
}

/// Writes the notices of an execution that has ended, where there is anyone to be told. `goes_on` is set for one that
/// has a successor.
pub(crate) async fn of_end<D: Database>(
    database: &D,
    execution: &JobExecution,
    goes_on: bool,
) -> Result<(), StoreError<D::Error>> {
    const RECOVERED: &str = "INSERT INTO oxbatch_notice
             (channel, kind, job_name, execution_id, message, create_time, state, next_attempt)
         SELECT channel.name, 'recovered', $1, $2, $3, $4, 'PENDING', $4
         FROM oxbatch_notice_channel AS channel WHERE channel.kinds LIKE $5 AND 'FAILED' =
             (SELECT earlier.status FROM oxbatch_job_execution AS earlier WHERE earlier.id =
                 (SELECT max(id) FROM oxbatch_job_execution WHERE job_name = $1 AND id < $2))";
    const SKIPS: &str = "INSERT INTO oxbatch_notice
             (channel, kind, job_name, execution_id, message, create_time, state, next_attempt)
         SELECT channel.name, 'skips', $1, $2, $3, $4, 'PENDING', $4
         FROM oxbatch_notice_channel AS channel WHERE channel.skips_over <
             (SELECT sum(read_skip_count + process_skip_count + write_skip_count) FROM oxbatch_step_execution
              WHERE job_execution_id = $2)";
    if goes_on {
        return Ok(());
    }
    let (job, id) = (&execution.job_name, execution.id.0);
    let time = execution.end_time.unwrap_or(Timestamp::UNIX_EPOCH);
    match execution.status {
        Status::Failed => {
            let why = execution.exit_message.as_deref().unwrap_or("it gives no reason");
            let message = format!("execution {id} of job '{job}' has failed: {}", shorten(why));
            let kind = NoticeKind::Failed;
            let row = values![kind.as_str(), job, id, Value::Null, Value::Null, &message, time, &pattern(kind)];
            database.execute(TELL, &row).await?;
        }
        Status::Completed => {
            let message = format!("execution {id} of job '{job}' is complete; the one before it had failed");
            database.execute(RECOVERED, &values![job, id, &message, time, &pattern(NoticeKind::Recovered)]).await?;
        }
        _ => return Ok(()),
    }
    let message = format!("execution {id} of job '{job}' has skipped more items than the limit of this channel");
    database.execute(SKIPS, &values![job, id, &message, time]).await?;
    Ok(())
}

/// At most 2,000 bytes of a message.
fn shorten(text: &str) -> &str {
    let mut end = text.len().min(2_000);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Writes the notices of a late fire.
pub(crate) async fn of_late<D: Database>(
    database: &D,
    late: &LateFire,
    time: Timestamp,
) -> Result<(), StoreError<D::Error>> {
    let fire = &late.fire;
    let message = format!(
        "the fire of schedule '{}' at {} is late at its deadline {}: {}",
        fire.schedule_name, fire.instant, late.at, late.message
    );
    let kind = NoticeKind::Late;
    let (job, execution, name) = (&fire.job_name, fire.execution_id.map(|id| id.0), &fire.schedule_name);
    let row = values![kind.as_str(), job, execution, name, fire.instant, &message, time, &pattern(kind)];
    database.execute(TELL, &row).await?;
    Ok(())
}

/// Writes one notice of fires that were missed together.
pub(crate) async fn of_missed<D: Database>(
    database: &D,
    schedule_id: i64,
    missed: (Timestamp, Timestamp, usize),
    time: Timestamp,
) -> Result<(), StoreError<D::Error>> {
    let sql = "SELECT name, job_name FROM oxbatch_schedule WHERE id = $1";
    let Some(row) = database.optional(sql, &values![schedule_id]).await? else { return Ok(()) };
    let (first, last, count) = missed;
    let name = row.text(0)?;
    let message = match count {
        1 => format!("schedule '{name}' has missed its fire at {first}"),
        _ => format!("schedule '{name}' has missed {count} fires from {first} to {last}"),
    };
    let kind = NoticeKind::Missed;
    let row = values![kind.as_str(), row.text(1)?, Value::Null, name, last, &message, time, &pattern(kind)];
    database.execute(TELL, &row).await?;
    Ok(())
}

pub(crate) async fn set_channels<D: Database>(
    database: &D,
    channels: &[NoticeChannel],
) -> Result<(), StoreError<D::Error>> {
    const SET: &str = "INSERT INTO oxbatch_notice_channel (name, kinds, skips_over) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET kinds = excluded.kinds, skips_over = excluded.skips_over";
    database.execute("DELETE FROM oxbatch_notice_channel", &[]).await?;
    let rows = channels.iter().map(|channel| {
        let kinds: Vec<&str> = channel.kinds.iter().map(|kind| kind.as_str()).collect();
        values![&channel.name, &format!(" {} ", kinds.join(" ")), channel.skips_over.map(i64::from)].to_vec()
    });
    let rows: Vec<Vec<Value>> = rows.collect();
    if !rows.is_empty() {
        database.execute_all(SET, &rows).await?;
    }
    Ok(())
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
