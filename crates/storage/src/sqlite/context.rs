//! The job's context: entries are set and removed one by one, so that steps do not overwrite what others have put.

use oxbatch_core::execution::ContextChanges;
use oxbatch_core::repository::rules::context::check_stored;
use oxbatch_core::repository::{Lease, RepositoryError};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;

/// A value that is not changed stays as it was written, digit by digit: `->` gives the text of a value. json_patch
/// would merge objects, and take a null for a removal.
const SAVE: &str = "UPDATE oxbatch_job_execution SET context = (SELECT json_group_object(key, json(entry)) FROM (
         SELECT key, coalesce(context, '{}') -> fullkey AS entry FROM json_each(coalesce(context, '{}'))
         WHERE key NOT IN (SELECT value FROM json_each(?4))
         UNION ALL SELECT key, ?3 -> fullkey FROM json_each(?3)))
     WHERE id = ?1 AND lease_epoch = ?2 RETURNING octet_length(context)";

/// Saves changes of the job's context under the execution's fence.
pub(super) fn save(connection: &Connection, lease: Lease, changes: &ContextChanges) -> Result<(), StoreError> {
    let set = changes.set_json().map_err(RepositoryError::from)?;
    let keys = serde_json::Value::from(changes.keys()).to_string();
    let bytes = connection
        .prepare_cached(SAVE)?
        .query_row(params![lease.execution_id().0, lease.epoch, set, keys], |row| row.get(0))
        .optional()?
        .ok_or(RepositoryError::LeaseLost { id: lease.execution_id() })?;
    Ok(check_stored(bytes).map_err(RepositoryError::from)?)
}
