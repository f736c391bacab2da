//! The logs of executions: segments behind each other.

use oxbatch_core::execution::ExecutionId;
use oxbatch_core::log::LogLevel;
use oxbatch_core::repository::{LogPage, LogSegment, LogSegmentId, LogSize, Missing, NewLogSegment, RepositoryError};

use super::{Database, OwnedRow, values};
use crate::error::StoreError;

/// The level of a question without one: all segments fit.
const ANY: i64 = 5;

fn missing(id: ExecutionId) -> RepositoryError {
    RepositoryError::NotFound { what: Missing::Execution, id: id.0 }
}

pub(crate) async fn put<D: Database>(database: &D, new: &NewLogSegment) -> Result<LogSegmentId, StoreError<D::Error>> {
    const EXECUTION: &str = "SELECT id FROM oxbatch_job_execution WHERE id = $1";
    const ADD: &str = "INSERT INTO oxbatch_log_segment (job_execution_id, lines, worst, size, data)
         VALUES ($1, $2, $3, $4, $5) RETURNING id";
    const GROW: &str = "UPDATE oxbatch_log_segment SET lines = $1, worst = $2, size = $3, data = $4
         WHERE id = $5 AND job_execution_id = $6 RETURNING id";
    let (execution, lines, worst) = (new.execution_id.0, i64::from(new.lines), new.worst.number());
    let (size, data) = (i64::try_from(new.data.len()).unwrap_or(i64::MAX), new.data.as_slice());
    let row = match new.replaces {
        Some(id) => database.optional(GROW, &values![lines, worst, size, data, id.0, execution]).await?,
        None if database.optional(EXECUTION, &values![execution]).await?.is_none() => None,
        None => database.optional(ADD, &values![execution, lines, worst, size, data]).await?,
    };
    let row = row.ok_or_else(|| missing(new.execution_id))?;
    Ok(LogSegmentId(row.number(0)?))
}

pub(crate) async fn segments<D: Database>(
    database: &D,
    id: ExecutionId,
    page: LogPage,
    level: Option<LogLevel>,
) -> Result<Vec<LogSegment>, StoreError<D::Error>> {
    const AFTER: &str = "SELECT id, lines, data FROM oxbatch_log_segment
         WHERE job_execution_id = $1 AND id >= $2 AND worst <= $3 ORDER BY id LIMIT $4";
    const BEFORE: &str = "SELECT id, lines, data FROM oxbatch_log_segment
         WHERE job_execution_id = $1 AND id < $2 AND worst <= $3 ORDER BY id DESC LIMIT $4";
    let worst = level.map_or(ANY, LogLevel::number);
    let found = match page {
        LogPage::After { segment, limit } => {
            database.query(AFTER, &values![id.0, segment.0, worst, i64::from(limit)]).await?
        }
        LogPage::Before { segment, limit } => {
            let before = segment.map_or(i64::MAX, |segment| segment.0);
            database.query(BEFORE, &values![id.0, before, worst, i64::from(limit)]).await?
        }
    };
    Ok(found.iter().map(segment).collect::<Result<_, _>>()?)
}

fn segment(row: &OwnedRow) -> Result<LogSegment, RepositoryError> {
    Ok(LogSegment {
        id: LogSegmentId(row.number(0)?),
        lines: u32::try_from(row.number(1)?).unwrap_or(u32::MAX),
        data: row.bytes(2)?.to_vec(),
    })
}

pub(crate) async fn size<D: Database>(database: &D, id: ExecutionId) -> Result<LogSize, StoreError<D::Error>> {
    const SIZE: &str =
        "SELECT count(*), CAST(coalesce(sum(lines), 0) AS BIGINT), CAST(coalesce(sum(size), 0) AS BIGINT)
         FROM oxbatch_log_segment WHERE job_execution_id = $1";
    let row = database.optional(SIZE, &values![id.0]).await?.unwrap_or(OwnedRow(Vec::new()));
    Ok(LogSize { segments: row.number(0)?, lines: row.number(1)?, bytes: row.number(2)? })
}
