//! The changes since a poll: the numbers that the triggers of the table give in the order of the commits.

use oxbatch_core::execution::{JobExecution, StepExecution};
use oxbatch_core::repository::Changes;
use rusqlite::{Connection, params};

use super::error::StoreError;
use super::rows;
use super::sql::{execution_columns, step_columns};

/// There is one writer, so that a number that can be seen has none behind it that cannot be seen yet.
pub(super) fn changes(connection: &Connection, since: Option<&str>, limit: u32) -> Result<Changes, StoreError> {
    let newest: i64 =
        connection.prepare_cached("SELECT number FROM oxbatch_change")?.query_row([], |row| row.get(0))?;
    let since = since.and_then(read).filter(|since| *since <= newest);
    let Some(since) = since else {
        let (position, resume) = (write(newest), write(newest));
        return Ok(Changes { executions: Vec::new(), position, resume, more: false, resumed: false });
    };
    let limit = limit.max(1) as usize;
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        execution_columns!(),
        ", change FROM oxbatch_job_execution WHERE change > ?1 ORDER BY change LIMIT ?2"
    ))?;
    let mut found: Vec<(JobExecution, i64)> = statement
        .query_map(params![since, i64::try_from(limit + 1).unwrap_or(i64::MAX)], |row| {
            Ok((rows::execution(row)?, row.get("change")?))
        })?
        .collect::<Result<_, _>>()?;
    let more = found.len() > limit;
    found.truncate(limit);
    // One that changes between the two reads has a number behind the newest of the first.
    let last = found.last().map_or(newest, |(_, change)| *change);
    let position = write(if more { last } else { last.max(newest) });
    let executions = found.into_iter().map(|(execution, _)| execution).collect();
    Ok(Changes { executions, resume: position.clone(), position, more, resumed: true })
}

fn read(text: &str) -> Option<i64> {
    text.strip_prefix('s')?.parse().ok().filter(|number| *number >= 0)
}

fn write(number: i64) -> String {
    format!("s{number}")
}

/// The steps of executions that have an owner.
pub(super) fn running_steps(connection: &Connection, limit: u32) -> Result<Vec<StepExecution>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        step_columns!(),
        " FROM oxbatch_step_execution WHERE job_execution_id IN
             (SELECT id FROM oxbatch_job_execution WHERE lease_owner IS NOT NULL) ORDER BY id LIMIT ?1"
    ))?;
    Ok(statement.query_map([limit], rows::step)?.collect::<Result<_, _>>()?)
}
