//! Old fires, notices and bulks: removed, as old executions are.

use jiff::Timestamp;

use super::{Database, values};
use crate::error::StoreError;

/// Removes fires and notices that were recorded before a moment and wait for nothing, at most so many of each. The
/// identity of a fire of the past is kept by its schedule, whose past is recorded.
pub(crate) async fn prune<D: Database>(
    database: &D,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError<D::Error>> {
    const FIRES: &str = "DELETE FROM oxbatch_fire WHERE id IN (SELECT id FROM oxbatch_fire
         WHERE record_time < $1 AND outcome NOT IN ('WAITING', 'PLANNED') ORDER BY record_time LIMIT $2)";
    const NOTICES: &str = "DELETE FROM oxbatch_notice WHERE id IN (SELECT id FROM oxbatch_notice
         WHERE create_time < $1 AND state <> 'PENDING' ORDER BY create_time LIMIT $2)";
    const BULKS: &str = "DELETE FROM oxbatch_bulk WHERE id IN (SELECT id FROM oxbatch_bulk
         WHERE end_time < $1 ORDER BY id LIMIT $2)";
    let row = values![before, i64::from(limit)];
    let removed = database.execute(FIRES, &row).await? + database.execute(NOTICES, &row).await?;
    Ok(removed + database.execute(BULKS, &row).await?)
}
