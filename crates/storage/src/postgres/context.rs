//! The job's context: entries are set and removed one by one, so that steps do not overwrite what others have put.

use oxbatch_core::execution::ContextChanges;
use oxbatch_core::repository::rules::context::check_stored;
use oxbatch_core::repository::{Lease, RepositoryError};
use tokio_postgres::Row;

use super::error::StoreError;
use super::session::Session;

/// A value that is not changed stays as it was written, digit by digit, which jsonb would not keep; nor does it hold
/// all strings.
macro_rules! changed {
    () => {
        "(SELECT '{' || coalesce(string_agg(to_json(key)::text || ':' || value::text, ','), '') || '}' FROM (
             SELECT key, value FROM json_each(coalesce(context, '{}')::json) WHERE key <> ALL ($4::text[])
             UNION ALL SELECT key, value FROM json_each($3::text::json)) AS entry)"
    };
}

/// Without a row, which means that the lease is lost, it divides by zero: what is on its way behind it is undone then.
pub(super) const SAVE_OR_FAIL: &str = concat!(
    "WITH saved AS (UPDATE oxbatch_job_execution SET context = ",
    changed!(),
    " WHERE id = $1 AND lease_epoch = $2 RETURNING octet_length(context)::bigint AS bytes)
     SELECT min(bytes), 1 / count(*) FROM saved"
);
const SAVE: &str = concat!(
    "UPDATE oxbatch_job_execution SET context = ",
    changed!(),
    " WHERE id = $1 AND lease_epoch = $2 RETURNING octet_length(context)::bigint"
);

/// The values of a save: id and epoch come before them.
pub(super) fn values(changes: &ContextChanges) -> Result<(String, Vec<&str>), RepositoryError> {
    Ok((changes.set_json()?, changes.keys()))
}

/// Refuses what was saved when it is too large: whoever gets this undoes it.
pub(super) fn check(saved: &Row) -> Result<(), StoreError> {
    Ok(check_stored(saved.try_get(0)?).map_err(RepositoryError::from)?)
}

/// Saves changes of the job's context under the execution's fence.
pub(super) async fn save(session: &Session, lease: Lease, changes: &ContextChanges) -> Result<(), StoreError> {
    let (set, keys) = values(changes)?;
    let saved = session.optional(SAVE, &[&lease.execution_id().0, &lease.epoch, &set, &keys]).await?;
    check(&saved.ok_or(RepositoryError::LeaseLost { id: lease.execution_id() })?)
}
