//! From SQLite's rows to the model.

use jiff::Timestamp;
use oxbatch_core::execution::{FlowEntry, JobExecution, JobInstance, Status, StepExecution, StoredSkip};
use oxbatch_core::repository::rules::launch::LastExecution;
use oxbatch_core::repository::rules::purge::EndedExecution;
use oxbatch_core::repository::rules::recover::{Leased, Progress};
use oxbatch_core::repository::rules::rerun::{LastRerun, RerunSource};
use oxbatch_core::repository::rules::step::{LastAttempt, RunningExecution};
use oxbatch_core::repository::{Claimed, InstanceParameter, KeptSkips, PreviousExecution, RenewedLease};
use rusqlite::{Error, Result, Row};

use super::error::unreadable;
use crate::rows::{self, Source, Stored, StoredRow};
pub(super) use crate::rows::{ATTEMPT_COLUMNS, EXECUTION_COLUMNS};

impl StoredRow for Row<'_> {
    type Error = Error;

    fn value<T: Stored>(&self, column: usize) -> Result<T> {
        self.get(column)
    }

    fn text(&self, column: usize) -> Result<&str> {
        Ok(self.get_ref(column)?.as_str()?)
    }

    fn optional_text(&self, column: usize) -> Result<Option<&str>> {
        Ok(self.get_ref(column)?.as_str_or_null()?)
    }

    fn time(&self, column: usize, id: i64) -> Result<Option<Timestamp>> {
        let microseconds: Option<i64> = self.get(column)?;
        let time = microseconds.map(Timestamp::from_microsecond).transpose();
        time.map_err(|error| unreadable("time", id, error))
    }

    fn unreadable(what: &'static str, id: i64, source: impl Into<Source>) -> Error {
        unreadable(what, id, source)
    }
}

// The driver takes functions that are generic over the row's lifetime alone.

pub(super) fn execution(row: &Row<'_>) -> Result<JobExecution> {
    rows::execution(row)
}

pub(super) fn step(row: &Row<'_>) -> Result<StepExecution> {
    rows::step(row)
}

pub(super) fn attempt(row: &Row<'_>) -> Result<LastAttempt> {
    rows::attempt(row)
}

pub(super) fn flow_entry(row: &Row<'_>) -> Result<FlowEntry> {
    rows::flow_entry(row)
}

pub(super) fn previous(row: &Row<'_>) -> Result<PreviousExecution> {
    rows::previous(row)
}

pub(super) fn instance(row: &Row<'_>) -> Result<JobInstance> {
    rows::instance(row)
}

pub(super) fn skip(row: &Row<'_>) -> Result<StoredSkip> {
    rows::skip(row)
}

/// Reads id, job_instance_id, key_name, the four values, date_only, identifying, secret.
pub(super) fn parameter(row: &Row<'_>) -> Result<InstanceParameter> {
    rows::parameter(row, row.get(3)?, 4)
}

pub(super) fn last_execution(row: &Row<'_>, first: usize) -> Result<LastExecution> {
    rows::last_execution(row, first)
}

pub(super) fn last_rerun(row: &Row<'_>) -> Result<LastRerun> {
    rows::last_rerun(row)
}

pub(super) fn rerun_source(row: &Row<'_>, id: i64) -> Result<RerunSource> {
    rows::rerun_source(row, id)
}

pub(super) fn kept_skips(row: &Row<'_>) -> Result<KeptSkips> {
    rows::kept_skips(row)
}

pub(super) fn running_execution(row: &Row<'_>, id: i64) -> Result<RunningExecution> {
    rows::running_execution(row, 0, id)
}

pub(super) fn claimed(row: &Row<'_>) -> Result<(Claimed, RunningExecution)> {
    rows::claimed(row)
}

pub(super) fn renewed(row: &Row<'_>) -> Result<RenewedLease> {
    rows::renewed(row)
}

pub(super) fn leased(row: &Row<'_>) -> Result<Leased> {
    rows::leased(row)
}

pub(super) fn progress(row: &Row<'_>) -> Result<Progress> {
    rows::progress(row)
}

pub(super) fn ended(row: &Row<'_>) -> Result<EndedExecution> {
    rows::ended(row)
}

pub(super) fn status(row: &Row<'_>, column: usize, id: i64) -> Result<Status> {
    rows::status(row, column, id)
}
