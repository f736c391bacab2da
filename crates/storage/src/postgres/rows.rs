//! From rows to the model; what cannot be read is an error, never a default.

use jiff::Timestamp;
use oxbatch_core::execution::{
    ControlTotals, Counters, ExecutionId, InstanceId, JobExecution, JobInstance, SkippedItem, Status, StepExecution,
    StepExecutionId, StoredSkip,
};
use oxbatch_core::job::{DateTime, JobParameters, Parameter, ParameterValue};
use oxbatch_core::repository::InstanceParameter;
use oxbatch_core::repository::rules::launch::LastExecution;
use tokio_postgres::Row;

use super::error::{StoreError, corrupt};

/// A moment before all that is stored, which PostgreSQL knows: the first of the year 1.
pub(super) const FIRST_TIME: Timestamp = Timestamp::constant(-62_135_596_800, 0);

/// How many columns `execution_columns!()` has: the place of what a statement asks for besides.
pub(super) const EXECUTION_COLUMNS: usize = 16;

/// Reads `execution_columns!()`.
pub(super) fn execution(row: &Row) -> Result<JobExecution, StoreError> {
    let id: i64 = row.try_get(0)?;
    let parameters: &str = row.try_get(9)?;
    Ok(JobExecution {
        id: ExecutionId(id),
        instance_id: InstanceId(row.try_get(1)?),
        job_name: row.try_get(2)?,
        status: status(row, 3, id)?,
        create_time: time(row, 4)?,
        start_time: optional_time(row, 5)?,
        end_time: optional_time(row, 6)?,
        exit_code: row.try_get(7)?,
        exit_message: row.try_get(8)?,
        parameters: JobParameters::from_json(parameters)
            .map_err(|error| corrupt("parameters of execution", id, error))?,
        forced: row.try_get(10)?,
        node: row.try_get(11)?,
        recovery_count: row.try_get(12)?,
        priority: row.try_get(13)?,
        rerun_of: row.try_get::<_, Option<i64>>(14)?.map(ExecutionId),
        rerun_by: row.try_get::<_, Option<i64>>(15)?.map(ExecutionId),
    })
}

/// Reads `step_columns!()`.
pub(super) fn step(row: &Row) -> Result<StepExecution, StoreError> {
    let id: i64 = row.try_get(0)?;
    Ok(StepExecution {
        id: StepExecutionId(id),
        execution_id: ExecutionId(row.try_get(1)?),
        step_name: row.try_get(2)?,
        status: status(row, 3, id)?,
        start_time: time(row, 4)?,
        end_time: optional_time(row, 5)?,
        exit_code: row.try_get(6)?,
        exit_message: row.try_get(7)?,
        counters: Counters {
            read: row.try_get(8)?,
            write: row.try_get(9)?,
            filter: row.try_get(10)?,
            commit: row.try_get(11)?,
            rollback: row.try_get(12)?,
            read_skip: row.try_get(13)?,
            process_skip: row.try_get(14)?,
            write_skip: row.try_get(15)?,
            retry: row.try_get(16)?,
        },
        progress: row.try_get(17)?,
        control_totals: match row.try_get::<_, Option<&str>>(18)? {
            Some(json) => ControlTotals::from_json(json)
                .map_err(|error| corrupt("control totals of step execution", id, error))?,
            None => ControlTotals::default(),
        },
    })
}

/// Reads id, job_name, job_key, create_time.
pub(super) fn instance(row: &Row) -> Result<JobInstance, StoreError> {
    Ok(JobInstance {
        id: InstanceId(row.try_get(0)?),
        job_name: row.try_get(1)?,
        job_key: row.try_get(2)?,
        create_time: time(row, 3)?,
    })
}

/// Reads `skip_columns!()`.
pub(super) fn skip(row: &Row) -> Result<StoredSkip, StoreError> {
    let id: i64 = row.try_get(0)?;
    let phase: &str = row.try_get(3)?;
    let phase = phase.parse().map_err(|error| corrupt("phase of skipped item", id, error))?;
    let item = SkippedItem {
        phase,
        position: row.try_get(4)?,
        item: row.try_get(5)?,
        complete: row.try_get(7)?,
        error: row.try_get(6)?,
    };
    Ok(StoredSkip {
        id,
        step_id: StepExecutionId(row.try_get(1)?),
        time: time(row, 2)?,
        item,
        rerun_execution_id: row.try_get::<_, Option<i64>>(8)?.map(ExecutionId),
    })
}

/// Reads id, job_instance_id, key_name, string_value, string_escaped, the three other values, date_only, identifying,
/// secret.
pub(super) fn parameter(row: &Row) -> Result<InstanceParameter, StoreError> {
    let id: i64 = row.try_get(0)?;
    let value = if let Some(text) = row.try_get::<_, Option<String>>(3)? {
        let text = match row.try_get(4)? {
            true => serde_json::from_str(&text).map_err(|error| corrupt("text of parameter", id, error))?,
            false => text,
        };
        ParameterValue::String(text)
    } else if let Some(number) = row.try_get::<_, Option<i64>>(5)? {
        ParameterValue::Integer(number)
    } else if let Some(number) = row.try_get::<_, Option<f64>>(6)? {
        ParameterValue::Float(number)
    } else {
        let value = DateTime::from_parts(row.try_get(7)?, row.try_get(8)?);
        ParameterValue::DateTime(value.ok_or_else(|| corrupt("date of parameter", id, "instant out of range"))?)
    };
    Ok(InstanceParameter {
        id,
        instance_id: InstanceId(row.try_get(1)?),
        name: row.try_get(2)?,
        parameter: Parameter { value, identifying: row.try_get(9)?, secret: row.try_get(10)? },
    })
}

/// Reads a status.
/// Reads id, status, lineage and context of the last execution of an instance, from a column on.
pub(super) fn last_execution(row: &Row, first: usize) -> Result<LastExecution, StoreError> {
    let id = row.try_get(first)?;
    Ok(LastExecution {
        id: ExecutionId(id),
        status: status(row, first + 1, id)?,
        lineage: ExecutionId(row.try_get(first + 2)?),
        context: row.try_get(first + 3)?,
    })
}

pub(super) fn status(row: &Row, column: usize, id: i64) -> Result<Status, StoreError> {
    row.try_get::<_, &str>(column)?.parse().map_err(|error| corrupt("status", id, error))
}

pub(super) fn time(row: &Row, column: usize) -> Result<Timestamp, StoreError> {
    Ok(row.try_get(column)?)
}

pub(super) fn optional_time(row: &Row, column: usize) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.try_get(column)?)
}
