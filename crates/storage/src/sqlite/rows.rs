//! From rows to the model; what cannot be read is an error, never a default.

use jiff::Timestamp;
use oxbatch_core::execution::{
    ControlTotals, Counters, ExecutionId, InstanceId, JobExecution, JobInstance, SkippedItem, Status, StepExecution,
    StepExecutionId, StoredSkip,
};
use oxbatch_core::job::{DateTime, JobParameters, Parameter, ParameterValue};
use oxbatch_core::repository::InstanceParameter;
use oxbatch_core::repository::rules::launch::LastExecution;
use rusqlite::{Result, Row};

use super::error::unreadable;

/// How many columns `execution_columns!()` has: the place of what a statement asks for besides.
pub(super) const EXECUTION_COLUMNS: usize = 16;

/// Reads `execution_columns!()`.
pub(super) fn execution(row: &Row<'_>) -> Result<JobExecution> {
    let id: i64 = row.get(0)?;
    Ok(JobExecution {
        id: ExecutionId(id),
        instance_id: InstanceId(row.get(1)?),
        job_name: row.get(2)?,
        status: status(row, 3, id)?,
        create_time: time(row, 4, id)?,
        start_time: optional_time(row, 5, id)?,
        end_time: optional_time(row, 6, id)?,
        exit_code: row.get(7)?,
        exit_message: row.get(8)?,
        parameters: JobParameters::from_json(row.get_ref(9)?.as_str()?)
            .map_err(|error| unreadable("parameters of execution", id, error))?,
        forced: row.get(10)?,
        node: row.get(11)?,
        recovery_count: row.get(12)?,
        priority: row.get(13)?,
        rerun_of: row.get::<_, Option<i64>>(14)?.map(ExecutionId),
        rerun_by: row.get::<_, Option<i64>>(15)?.map(ExecutionId),
    })
}

/// Reads `step_columns!()`.
pub(super) fn step(row: &Row<'_>) -> Result<StepExecution> {
    let id: i64 = row.get(0)?;
    Ok(StepExecution {
        id: StepExecutionId(id),
        execution_id: ExecutionId(row.get(1)?),
        step_name: row.get(2)?,
        status: status(row, 3, id)?,
        start_time: time(row, 4, id)?,
        end_time: optional_time(row, 5, id)?,
        exit_code: row.get(6)?,
        exit_message: row.get(7)?,
        counters: Counters {
            read: row.get(8)?,
            write: row.get(9)?,
            filter: row.get(10)?,
            commit: row.get(11)?,
            rollback: row.get(12)?,
            read_skip: row.get(13)?,
            process_skip: row.get(14)?,
            write_skip: row.get(15)?,
            retry: row.get(16)?,
        },
        progress: row.get(17)?,
        control_totals: match row.get_ref(18)?.as_str_or_null()? {
            Some(json) => ControlTotals::from_json(json)
                .map_err(|error| unreadable("control totals of step execution", id, error))?,
            None => ControlTotals::default(),
        },
    })
}

/// Reads id, job_name, job_key, create_time.
pub(super) fn instance(row: &Row<'_>) -> Result<JobInstance> {
    let id: i64 = row.get(0)?;
    Ok(JobInstance { id: InstanceId(id), job_name: row.get(1)?, job_key: row.get(2)?, create_time: time(row, 3, id)? })
}

/// Reads `skip_columns!()`.
pub(super) fn skip(row: &Row<'_>) -> Result<StoredSkip> {
    let id: i64 = row.get(0)?;
    let phase = row.get_ref(3)?.as_str()?.parse().map_err(|error| unreadable("phase of skipped item", id, error))?;
    let item =
        SkippedItem { phase, position: row.get(4)?, item: row.get(5)?, complete: row.get(7)?, error: row.get(6)? };
    Ok(StoredSkip {
        id,
        step_id: StepExecutionId(row.get(1)?),
        time: time(row, 2, id)?,
        item,
        rerun_execution_id: row.get::<_, Option<i64>>(8)?.map(ExecutionId),
    })
}

/// Reads id, job_instance_id, key_name, the four values, date_only, identifying, secret.
pub(super) fn parameter(row: &Row<'_>) -> Result<InstanceParameter> {
    let id: i64 = row.get(0)?;
    let value = if let Some(text) = row.get::<_, Option<String>>(3)? {
        ParameterValue::String(text)
    } else if let Some(number) = row.get::<_, Option<i64>>(4)? {
        ParameterValue::Integer(number)
    } else if let Some(number) = row.get::<_, Option<f64>>(5)? {
        ParameterValue::Float(number)
    } else {
        let value = DateTime::from_parts(row.get(6)?, row.get(7)?);
        ParameterValue::DateTime(value.ok_or_else(|| unreadable("date of parameter", id, "instant out of range"))?)
    };
    Ok(InstanceParameter {
        id,
        instance_id: InstanceId(row.get(1)?),
        name: row.get(2)?,
        parameter: Parameter { value, identifying: row.get(8)?, secret: row.get(9)? },
    })
}

/// Reads a status.
/// Reads id, status, lineage and context of the last execution of an instance, from a column on.
pub(super) fn last_execution(row: &Row<'_>, first: usize) -> Result<LastExecution> {
    let id = row.get(first)?;
    Ok(LastExecution {
        id: ExecutionId(id),
        status: status(row, first + 1, id)?,
        lineage: ExecutionId(row.get(first + 2)?),
        context: row.get(first + 3)?,
    })
}

pub(super) fn status(row: &Row<'_>, column: usize, id: i64) -> Result<Status> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error| unreadable("status", id, error))
}

pub(super) fn time(row: &Row<'_>, column: usize, id: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|error| unreadable("time", id, error))
}

pub(super) fn optional_time(row: &Row<'_>, column: usize, id: i64) -> Result<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(column)? {
        Some(microseconds) => {
            Timestamp::from_microsecond(microseconds).map(Some).map_err(|error| unreadable("time", id, error))
        }
        None => Ok(None),
    }
}
