//! From rows to the model, alike in both databases; what cannot be read is an error, never a default.

use std::time::Duration;

use jiff::Timestamp;
use oxbatch_core::execution::{
    ControlTotals, Counters, ExecutionId, FlowEntry, InstanceId, InvalidTraceParent, JobExecution, JobInstance,
    MainResult, SkippedItem, Status, StepExecution, StepExecutionId, StoredSkip, Taken,
};
use oxbatch_core::job::{DateTime, JobParameters, Parameter, ParameterValue, SecretValue};
use oxbatch_core::repository::rules::launch::{LastExecution, definition_of_past};
use oxbatch_core::repository::rules::purge::EndedExecution;
use oxbatch_core::repository::rules::recover::{Leased, Progress};
use oxbatch_core::repository::rules::rerun::{LastRerun, RerunSource};
use oxbatch_core::repository::rules::step::{LastAttempt, RunningExecution};
use oxbatch_core::repository::rules::time::RunningTime;
use oxbatch_core::repository::{Claimed, InstanceParameter, KeptSkips, Lease, PreviousExecution, RenewedLease};

/// The number of columns of `execution_columns!()`: the position of what a statement asks for besides.
pub(crate) const EXECUTION_COLUMNS: usize = 18;

/// The number of columns of an attempt.
pub(crate) const ATTEMPT_COLUMNS: usize = 27;

/// A value that both databases store in the same way.
#[cfg(feature = "postgres")]
pub(crate) trait Stored: rusqlite::types::FromSql + for<'a> tokio_postgres::types::FromSql<'a> {}
#[cfg(feature = "postgres")]
impl<T: rusqlite::types::FromSql + for<'a> tokio_postgres::types::FromSql<'a>> Stored for T {}

/// A value that the database stores.
#[cfg(not(feature = "postgres"))]
pub(crate) trait Stored: rusqlite::types::FromSql {}
#[cfg(not(feature = "postgres"))]
impl<T: rusqlite::types::FromSql> Stored for T {}

/// A row of either database, read by the positions of its columns.
pub(crate) trait StoredRow {
    /// The error of a value that cannot be read.
    type Error;

    fn value<T: Stored>(&self, column: usize) -> Result<T, Self::Error>;

    fn text(&self, column: usize) -> Result<&str, Self::Error>;

    fn optional_text(&self, column: usize) -> Result<Option<&str>, Self::Error>;

    /// A time of the row with this id.
    fn time(&self, column: usize, id: i64) -> Result<Option<Timestamp>, Self::Error>;

    /// The error of a value of the row with this id.
    fn unreadable(what: &'static str, id: i64, source: impl Into<Source>) -> Self::Error;
}

/// The reason why a value cannot be read.
pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// A time that is never NULL.
fn time<R: StoredRow>(row: &R, column: usize, id: i64) -> Result<Timestamp, R::Error> {
    row.time(column, id)?.ok_or_else(|| R::unreadable("time", id, "it is NULL"))
}

pub(crate) fn status<R: StoredRow>(row: &R, column: usize, id: i64) -> Result<Status, R::Error> {
    row.text(column)?.parse().map_err(|error| R::unreadable("status", id, error))
}

/// Reads `execution_columns!()`.
pub(crate) fn execution<R: StoredRow>(row: &R) -> Result<JobExecution, R::Error> {
    let id: i64 = row.value(0)?;
    let (create_time, start_time, end_time) = (time(row, 4, id)?, row.time(5, id)?, row.time(6, id)?);
    Ok(JobExecution {
        id: ExecutionId(id),
        instance_id: InstanceId(row.value(1)?),
        job_name: row.value(2)?,
        status: status(row, 3, id)?,
        create_time,
        start_time,
        end_time,
        exit_code: row.value(7)?,
        exit_message: row.value(8)?,
        parameters: JobParameters::from_json(row.text(9)?)
            .map_err(|error| R::unreadable("parameters of execution", id, error))?,
        forced: row.value(10)?,
        node: row.value(11)?,
        recovery_count: row.value(12)?,
        priority: row.value(13)?,
        rerun_of: row.value::<Option<i64>>(14)?.map(ExecutionId),
        rerun_by: row.value::<Option<i64>>(15)?.map(ExecutionId),
        // Rows of older versions have none.
        change_time: row.time(16, id)?.or(end_time).or(start_time).unwrap_or(create_time),
        trace_parent: match row.optional_text(17)? {
            Some(text) => Some(
                text.parse()
                    .map_err(|error: InvalidTraceParent| R::unreadable("trace parent of execution", id, error))?,
            ),
            None => None,
        },
    })
}

/// Reads `step_columns!()`.
pub(crate) fn step<R: StoredRow>(row: &R) -> Result<StepExecution, R::Error> {
    let id: i64 = row.value(0)?;
    Ok(StepExecution {
        id: StepExecutionId(id),
        execution_id: ExecutionId(row.value(1)?),
        step_name: row.value(2)?,
        status: status(row, 3, id)?,
        start_time: time(row, 4, id)?,
        end_time: row.time(5, id)?,
        exit_code: row.value(6)?,
        exit_message: row.value(7)?,
        iteration: count(row, 19, id)?,
        counters: Counters {
            read: row.value(8)?,
            write: row.value(9)?,
            filter: row.value(10)?,
            commit: row.value(11)?,
            rollback: row.value(12)?,
            read_skip: row.value(13)?,
            process_skip: row.value(14)?,
            write_skip: row.value(15)?,
            retry: row.value(16)?,
        },
        progress: row.value(17)?,
        control_totals: match row.optional_text(18)? {
            Some(json) => ControlTotals::from_json(json)
                .map_err(|error| R::unreadable("control totals of step execution", id, error))?,
            None => ControlTotals::default(),
        },
        shares: match row.optional_text(20)? {
            Some(json) => Some(
                serde_json::from_str(json)
                    .map_err(|error| R::unreadable("phase shares of step execution", id, error))?,
            ),
            None => None,
        },
    })
}

/// A number of rounds or a position.
fn count<R: StoredRow>(row: &R, column: usize, id: i64) -> Result<u32, R::Error> {
    u32::try_from(row.value::<i64>(column)?).map_err(|error| R::unreadable("a count", id, error))
}

/// Reads `attempt_columns!()`.
pub(crate) fn attempt<R: StoredRow>(row: &R) -> Result<LastAttempt, R::Error> {
    let step = step(row)?;
    let running = running_time(row, 24, step.id.0)?;
    Ok(LastAttempt { step, state: row.value(21)?, control_totals: row.value(22)?, earlier: row.value(23)?, running })
}

/// Reads `running_columns!()` of the row with this id, from a column on.
pub(crate) fn running_time<R: StoredRow>(row: &R, first: usize, id: i64) -> Result<RunningTime, R::Error> {
    let (since, until) = (row.time(first + 1, id)?, row.time(first + 2, id)?);
    Ok(RunningTime { earlier: span(row.value(first)?), since, until })
}

/// A span of time as the databases store it.
pub(crate) fn microseconds(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX / 4)
}

/// A span of time that was stored; none is below zero.
pub(crate) fn span(microseconds: i64) -> Duration {
    Duration::from_micros(u64::try_from(microseconds).unwrap_or_default())
}

/// Reads `flow_columns!()`.
pub(crate) fn flow_entry<R: StoredRow>(row: &R) -> Result<FlowEntry, R::Error> {
    let id: i64 = row.value(0)?;
    Ok(FlowEntry {
        position: count(row, 0, id)?,
        element: row.value(1)?,
        iteration: count(row, 2, id)?,
        execution_id: ExecutionId(row.value(3)?),
        step_id: row.value::<Option<i64>>(4)?.map(StepExecutionId),
        status: status(row, 5, id)?,
        exit_code: row.value(6)?,
        taken: Taken::from_stored(row.text(7)?, row.value(8)?, row.value(9)?)
            .map_err(|error| R::unreadable("transition of flow entry", id, error))?,
    })
}

/// Reads id, status, exit_code, main_execution_id, main_status, main_exit_code, main_exit_message, main_time.
pub(crate) fn previous<R: StoredRow>(row: &R) -> Result<PreviousExecution, R::Error> {
    let id = row.value(0)?;
    let main = match row.value::<Option<i64>>(3)? {
        Some(execution) => Some(MainResult {
            execution_id: ExecutionId(execution),
            status: status(row, 4, id)?,
            exit_code: row.value(5)?,
            exit_message: row.value(6)?,
            running: span(row.value::<Option<i64>>(7)?.unwrap_or_default()),
        }),
        None => None,
    };
    Ok(PreviousExecution { status: status(row, 1, id)?, exit_code: row.value(2)?, main })
}

/// Reads `instance_columns!()`.
pub(crate) fn instance<R: StoredRow>(row: &R) -> Result<JobInstance, R::Error> {
    let id: i64 = row.value(0)?;
    Ok(JobInstance {
        id: InstanceId(id),
        job_name: row.value(1)?,
        job_key: row.value(2)?,
        create_time: time(row, 3, id)?,
    })
}

/// Reads `skip_columns!()`.
pub(crate) fn skip<R: StoredRow>(row: &R) -> Result<StoredSkip, R::Error> {
    let id: i64 = row.value(0)?;
    let phase = row.text(3)?.parse().map_err(|error| R::unreadable("phase of skipped item", id, error))?;
    let (position, item, error, complete) = (row.value(4)?, row.value(5)?, row.value(6)?, row.value(7)?);
    Ok(StoredSkip {
        id,
        step_id: StepExecutionId(row.value(1)?),
        time: time(row, 2, id)?,
        item: SkippedItem { phase, position, item, complete, error },
        rerun_execution_id: row.value::<Option<i64>>(8)?.map(ExecutionId),
    })
}

/// Reads id, job_instance_id, key_name, and from a column on the three values that are no text, date_only, identifying,
/// secret; `text` is the value that is one.
pub(crate) fn parameter<R: StoredRow>(
    row: &R,
    text: Option<String>,
    first: usize,
) -> Result<InstanceParameter, R::Error> {
    let id: i64 = row.value(0)?;
    let value = if let Some(text) = text {
        ParameterValue::String(text)
    } else if let Some(number) = row.value(first)? {
        ParameterValue::Integer(number)
    } else if let Some(number) = row.value(first + 1)? {
        ParameterValue::Float(number)
    } else {
        let value = DateTime::from_parts(row.value(first + 2)?, row.value(first + 3)?);
        ParameterValue::DateTime(value.ok_or_else(|| R::unreadable("date of parameter", id, "instant out of range"))?)
    };
    let (identifying, secret) = (row.value(first + 4)?, row.value(first + 5)?);
    let parameter = match secret {
        // Version 0.1 stored its text here.
        true => Parameter::secret(SecretValue::hidden(value.kind())),
        false => Parameter { value, identifying, secret },
    };
    Ok(InstanceParameter { id, instance_id: InstanceId(row.value(1)?), name: row.value(2)?, parameter })
}

/// Reads id, status, lineage, context, definition, past_definition and exit_code of the last execution of an instance,
/// from a column on.
pub(crate) fn last_execution<R: StoredRow>(row: &R, first: usize) -> Result<LastExecution, R::Error> {
    let id = row.value(first)?;
    Ok(LastExecution {
        id: ExecutionId(id),
        status: status(row, first + 1, id)?,
        lineage: ExecutionId(row.value(first + 2)?),
        context: row.value(first + 3)?,
        definition: definition_of_past(row.value(first + 4)?, row.value(first + 5)?, row.optional_text(first + 6)?),
    })
}

/// Reads the last re-run of an execution: what `last_execution` reads, and its instance.
pub(crate) fn last_rerun<R: StoredRow>(row: &R) -> Result<LastRerun, R::Error> {
    Ok(LastRerun { instance_id: InstanceId(row.value(7)?), execution: last_execution(row, 0)? })
}

/// Reads `rerun_source_columns!()` of the execution with this id.
pub(crate) fn rerun_source<R: StoredRow>(row: &R, id: i64) -> Result<RerunSource, R::Error> {
    let parameters = JobParameters::from_json(row.text(2)?);
    Ok(RerunSource {
        instance_id: InstanceId(row.value(0)?),
        job_name: row.value(1)?,
        parameters: parameters.map_err(|error| R::unreadable("parameters of execution", id, error))?,
        context: row.value(3)?,
        restartable: row.value(4)?,
    })
}

/// Reads the step and the four counts of `kept_counts!()`.
pub(crate) fn kept_skips<R: StoredRow>(row: &R) -> Result<KeptSkips, R::Error> {
    Ok(KeptSkips {
        step_name: row.value(0)?,
        items: row.value(1)?,
        raw: row.value(2)?,
        incomplete: row.value(3)?,
        rerun: row.value(4)?,
    })
}

/// Reads `started_columns!()` of the execution with this id, from a column on.
pub(crate) fn running_execution<R: StoredRow>(row: &R, first: usize, id: i64) -> Result<RunningExecution, R::Error> {
    Ok(RunningExecution {
        status: status(row, first, id)?,
        instance_id: InstanceId(row.value(first + 1)?),
        lineage: row.value(first + 2)?,
        context: row.value(first + 3)?,
        launched: ExecutionId(row.value(first + 4)?),
    })
}

/// Reads `execution_columns!()`, the epoch of the lease that was taken, earlier_time, past_definition and
/// `started_columns!()`.
pub(crate) fn claimed<R: StoredRow>(row: &R) -> Result<(Claimed, RunningExecution), R::Error> {
    let execution = execution(row)?;
    let lease = Lease::on_execution(execution.id, row.value(EXECUTION_COLUMNS)?);
    let (running, past_definition) = (span(row.value(EXECUTION_COLUMNS + 1)?), row.value(EXECUTION_COLUMNS + 2)?);
    let of_step = running_execution(row, EXECUTION_COLUMNS + 3, execution.id.0)?;
    Ok((Claimed { execution, lease, running, past_definition, begun: None }, of_step))
}

/// Reads id, lease_epoch, status, earlier_time, running_since and the time.
pub(crate) fn renewed<R: StoredRow>(row: &R) -> Result<RenewedLease, R::Error> {
    let id = row.value(0)?;
    let lease = Lease::on_execution(ExecutionId(id), row.value(1)?);
    Ok(RenewedLease { lease, status: status(row, 2, id)?, running: running_time(row, 3, id)?.total() })
}

/// Reads id, lease_owner, lease_epoch, and whether the lease has run out.
pub(crate) fn leased<R: StoredRow>(row: &R) -> Result<Leased, R::Error> {
    let id = ExecutionId(row.value(0)?);
    Ok(Leased { id, owner: row.value(1)?, epoch: row.value(2)?, is_outdated: row.value(3)? })
}

/// Reads whether it has progressed, recovery_count, restartable.
pub(crate) fn progress<R: StoredRow>(row: &R) -> Result<Progress, R::Error> {
    Ok(Progress { has_progressed: row.value(0)?, recoveries: row.value(1)?, restartable: row.value(2)? })
}

/// Reads `ended_columns!()`.
pub(crate) fn ended<R: StoredRow>(row: &R) -> Result<EndedExecution, R::Error> {
    let id = row.value(0)?;
    Ok(EndedExecution {
        id: ExecutionId(id),
        end_time: time(row, 1, id)?,
        instance_id: InstanceId(row.value(2)?),
        job_name: row.value(3)?,
        is_first: row.value(4)?,
    })
}
