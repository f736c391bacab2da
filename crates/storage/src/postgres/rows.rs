//! From PostgreSQL's rows to the model.

use jiff::Timestamp;
use oxbatch_core::repository::InstanceParameter;
use tokio_postgres::Row;

use super::error::{StoreError, corrupt};
use crate::rows::{self, Source, Stored, StoredRow};
pub(super) use crate::rows::{
    ATTEMPT_COLUMNS, EXECUTION_COLUMNS, attempt, claimed, ended, execution, flow_entry, instance, kept_skips,
    last_execution, last_rerun, leased, previous, progress, renewed, rerun_source, running_execution, skip, status,
    step,
};

/// A moment before all that is stored, which PostgreSQL knows: the first of the year 1.
pub(super) const FIRST_TIME: Timestamp = Timestamp::constant(-62_135_596_800, 0);

impl StoredRow for Row {
    type Error = StoreError;

    fn value<T: Stored>(&self, column: usize) -> Result<T, StoreError> {
        Ok(self.try_get(column)?)
    }

    fn text(&self, column: usize) -> Result<&str, StoreError> {
        Ok(self.try_get(column)?)
    }

    fn optional_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        Ok(self.try_get(column)?)
    }

    fn time(&self, column: usize, _: i64) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.try_get(column)?)
    }

    fn unreadable(what: &'static str, id: i64, source: impl Into<Source>) -> StoreError {
        corrupt(what, id, source)
    }
}

/// Reads id, job_instance_id, key_name, string_value, string_escaped, the three other values, date_only, identifying,
/// secret.
pub(super) fn parameter(row: &Row) -> Result<InstanceParameter, StoreError> {
    let text: Option<String> = row.try_get(3)?;
    let text = match text {
        // Text with a NUL, which PostgreSQL does not store.
        Some(escaped) if row.try_get(4)? => {
            let text = serde_json::from_str(&escaped);
            Some(text.map_err(|error| corrupt("text of parameter", row.get(0), error))?)
        }
        text => text,
    };
    rows::parameter(row, text, 5)
}
