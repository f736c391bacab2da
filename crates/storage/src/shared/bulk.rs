//! Bulk work: a row for each with the execution that it has come to, and the results.

use std::time::Duration;

use jiff::Timestamp;
use oxbatch_core::execution::{ExecutionId, InstanceId};
use oxbatch_core::repository::{
    BegunBulk, Bulk, BulkId, BulkPage, BulkResult, NewBulk, PageRequest, RepositoryError, bulk_digest,
    bulk_filter_from_json, bulk_filter_to_json,
};

use super::{Database, OwnedRow, values};
use crate::error::StoreError;

/// Bulks in a list.
const MOST: i64 = 500;

macro_rules! bulk_columns {
    () => {
        "id, action, filter, status, create_time, end_time, next_before, done, left_out"
    };
}

pub(crate) async fn create<D: Database>(database: &D, new: &NewBulk) -> Result<BegunBulk, StoreError<D::Error>> {
    const NEWEST: &str = "SELECT coalesce(max(id), 0) + 1 FROM oxbatch_job_execution";
    const CREATE: &str = "INSERT INTO oxbatch_bulk (action, filter, digest, status, create_time, next_before)
         VALUES ($1, $2, $3, 'RUNNING', $4, $5)
         ON CONFLICT (digest) WHERE status = 'RUNNING' DO NOTHING RETURNING id";
    const SAME: &str = "SELECT id FROM oxbatch_bulk WHERE digest = $1 AND status = 'RUNNING'";
    let before = database.optional(NEWEST, &[]).await?.unwrap_or(OwnedRow(Vec::new())).number(0)?;
    let digest = bulk_digest(new.action, &new.filter);
    let row = values![new.action.as_str(), &bulk_filter_to_json(&new.filter), &digest, new.time, before];
    if let Some(created) = database.optional(CREATE, &row).await? {
        return Ok(BegunBulk::Begun(BulkId(created.number(0)?)));
    }
    let same = database.optional(SAME, &values![&digest]).await?.unwrap_or(OwnedRow(Vec::new()));
    Ok(BegunBulk::Running(BulkId(same.number(0)?)))
}

pub(crate) async fn list<D: Database>(database: &D, id: Option<BulkId>) -> Result<Vec<Bulk>, StoreError<D::Error>> {
    const ALL: &str = concat!("SELECT ", bulk_columns!(), " FROM oxbatch_bulk ORDER BY id DESC LIMIT $1");
    const ONE: &str = concat!("SELECT ", bulk_columns!(), " FROM oxbatch_bulk WHERE id = $1");
    let found = match id {
        Some(id) => database.query(ONE, &values![id.0]).await?,
        None => database.query(ALL, &values![MOST]).await?,
    };
    Ok(found.iter().map(bulk).collect::<Result<_, _>>()?)
}

fn bulk(row: &OwnedRow) -> Result<Bulk, RepositoryError> {
    Ok(Bulk {
        id: BulkId(row.number(0)?),
        action: row.word(1)?,
        filter: bulk_filter_from_json(row.text(2)?)?,
        state: row.word(3)?,
        create_time: row.time(4)?,
        end_time: row.optional_time(5)?,
        before: row.number(6)?,
        done: row.number(7)?,
        left_out: row.number(8)?,
    })
}

pub(crate) async fn cancel<D: Database>(
    database: &D,
    id: BulkId,
    time: Timestamp,
) -> Result<bool, StoreError<D::Error>> {
    const CANCEL: &str = "UPDATE oxbatch_bulk SET status = 'CANCELLED', end_time = $1, owner = NULL
         WHERE id = $2 AND status = 'RUNNING'";
    Ok(database.execute(CANCEL, &values![time, id.0]).await? == 1)
}

/// `true` if a bulk is running.
pub(crate) async fn is_any<D: Database>(database: &D) -> Result<bool, StoreError<D::Error>> {
    const ANY: &str = "SELECT id FROM oxbatch_bulk WHERE status = 'RUNNING' LIMIT 1";
    Ok(database.optional(ANY, &[]).await?.is_some())
}

pub(crate) async fn claim<D: Database>(
    database: &D,
    owner: &str,
    keep: Duration,
) -> Result<Option<Bulk>, StoreError<D::Error>> {
    const NEXT: &str = "SELECT id FROM oxbatch_bulk
         WHERE status = 'RUNNING' AND (owner IS NULL OR owner = $1 OR owned_until < $2) ORDER BY id LIMIT 1";
    const TAKE: &str = concat!(
        "UPDATE oxbatch_bulk SET owner = $1, owned_until = $2
         WHERE id = $3 AND status = 'RUNNING' AND (owner IS NULL OR owner = $1 OR owned_until < $4) RETURNING ",
        bulk_columns!()
    );
    let now = database.now().await?;
    let Some(found) = database.optional(NEXT, &values![owner, now]).await? else { return Ok(None) };
    let until = now.checked_add(keep).unwrap_or(now);
    let taken = database.optional(TAKE, &values![owner, until, found.number(0)?, now]).await?;
    Ok(taken.as_ref().map(bulk).transpose()?)
}

pub(crate) async fn record<D: Database>(
    database: &D,
    id: BulkId,
    owner: &str,
    result: Option<&BulkResult>,
    time: Timestamp,
) -> Result<bool, StoreError<D::Error>> {
    const END: &str = "UPDATE oxbatch_bulk SET status = 'ENDED', end_time = $1, owner = NULL
         WHERE id = $2 AND owner = $3 AND status = 'RUNNING'";
    const GO_ON: &str = "UPDATE oxbatch_bulk SET next_before = $1,
             done = done + CASE WHEN $2 = 'DONE' THEN 1 ELSE 0 END,
             left_out = left_out + CASE WHEN $2 = 'DONE' THEN 0 ELSE 1 END
         WHERE id = $3 AND owner = $4 AND status = 'RUNNING'";
    const RESULT: &str = "INSERT INTO oxbatch_bulk_result (bulk_id, execution_id, outcome, message, new_execution_id)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (bulk_id, execution_id) DO NOTHING";
    let Some(result) = result else {
        return Ok(database.execute(END, &values![time, id.0, owner]).await? == 1);
    };
    let (execution, outcome) = (result.execution_id.0, result.outcome.as_str());
    if database.execute(GO_ON, &values![execution, outcome, id.0, owner]).await? != 1 {
        return Ok(false);
    }
    let new = result.new_execution_id.map(|id| id.0);
    database.execute(RESULT, &values![id.0, execution, outcome, result.message.as_deref(), new]).await?;
    Ok(true)
}

pub(crate) async fn results<D: Database>(
    database: &D,
    id: BulkId,
    page: PageRequest,
) -> Result<BulkPage, StoreError<D::Error>> {
    const RESULTS: &str = "SELECT execution_id, outcome, message, new_execution_id FROM oxbatch_bulk_result
         WHERE bulk_id = $1 AND execution_id < $2 ORDER BY execution_id DESC LIMIT $3";
    let found = database.query(RESULTS, &values![id.0, page.upper_bound(), page.rows_to_read()]).await?;
    let read = |row: &OwnedRow| {
        Ok(BulkResult {
            execution_id: ExecutionId(row.number(0)?),
            outcome: row.word(1)?,
            message: row.optional_text(2)?.map(str::to_owned),
            new_execution_id: row.optional_number(3)?.map(ExecutionId),
        })
    };
    let results = found.iter().map(read).collect::<Result<_, RepositoryError>>()?;
    Ok(BulkPage::of(results, page.limit))
}

pub(crate) async fn last_executions<D: Database>(
    database: &D,
    ids: &[InstanceId],
) -> Result<Vec<Option<ExecutionId>>, StoreError<D::Error>> {
    const LAST: &str = "SELECT max(id) FROM oxbatch_job_execution WHERE job_instance_id = $1";
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let row = database.optional(LAST, &values![id.0]).await?;
        found.push(row.map(|row| row.optional_number(0)).transpose()?.flatten().map(ExecutionId));
    }
    Ok(found)
}
