//! The JSON of the HTTP interface as it is read back into the types of the core.

use std::collections::BTreeMap;

use jiff::Timestamp;
use oxbatch_core::execution::{ControlTotal, ControlTotals, Counters, ExecutionId, InstanceId, StepExecutionId};
use oxbatch_core::job::{Parameter, ParameterType};
use oxbatch_core::{Decimal, JobExecution, JobParameters, ParameterValue, Status, StepExecution};
use serde::Deserialize;
use serde_json::Value;

/// The answer to a launch.
#[derive(Debug, Deserialize)]
pub(super) struct LaunchedShape {
    pub(super) execution_id: i64,
}

/// A job, as far as a launch needs it.
#[derive(Debug, Deserialize)]
pub(super) struct JobShape {
    pub(super) parameters: Option<Vec<DeclarationShape>>,
}

/// A parameter that a job declares.
#[derive(Debug, Deserialize)]
pub(super) struct DeclarationShape {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: ParameterType,
}

/// A problem document (RFC 9457).
#[derive(Debug, Deserialize)]
pub(super) struct ProblemShape {
    detail: String,
    #[serde(default)]
    errors: Vec<ParameterProblem>,
}

#[derive(Debug, Deserialize)]
struct ParameterProblem {
    parameter: String,
    message: String,
}

/// An execution.
#[derive(Debug, Deserialize)]
pub(super) struct ExecutionShape {
    id: i64,
    job_instance_id: i64,
    job_name: String,
    status: String,
    create_time: Timestamp,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    exit_code: Option<String>,
    exit_message: Option<String>,
    parameters: BTreeMap<String, Value>,
    forced: bool,
    priority: i32,
    node: Option<String>,
    rerun_of: Option<i64>,
    rerun_by: Option<i64>,
}

/// A step execution.
#[derive(Debug, Deserialize)]
pub(super) struct StepShape {
    id: i64,
    job_execution_id: i64,
    step_name: String,
    status: String,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    exit_code: Option<String>,
    exit_message: Option<String>,
    retry_count: i64,
    read_count: i64,
    write_count: i64,
    filter_count: i64,
    commit_count: i64,
    rollback_count: i64,
    read_skip_count: i64,
    process_skip_count: i64,
    write_skip_count: i64,
    progress: Option<f64>,
    control_totals: Vec<ControlTotalShape>,
}

#[derive(Debug, Deserialize)]
struct ControlTotalShape {
    name: String,
    read: Option<String>,
    written: Option<String>,
    filtered: Option<String>,
    skipped: Option<String>,
}

impl ProblemShape {
    /// The document as one sentence: its detail, and each parameter that is at error.
    pub(super) fn sentence(self) -> String {
        let faults = self.errors.iter().map(|fault| format!("parameter '{}' {}", fault.parameter, fault.message));
        let faults: Vec<_> = faults.filter(|fault| !self.detail.contains(fault.as_str())).collect();
        if faults.is_empty() { self.detail } else { format!("{}: {}", self.detail, faults.join("; ")) }
    }
}

impl ExecutionShape {
    pub(super) fn into_execution(self) -> Result<JobExecution, String> {
        let mut parameters = JobParameters::default();
        for (name, value) in self.parameters {
            let value = match value {
                Value::String(text) => ParameterValue::String(text),
                // As it is shown: the type is the service's business.
                value => ParameterValue::String(value.to_string()),
            };
            parameters.insert(&name, Parameter { value, identifying: true, secret: false });
        }
        Ok(JobExecution {
            id: ExecutionId(self.id),
            instance_id: InstanceId(self.job_instance_id),
            job_name: self.job_name,
            status: status(&self.status)?,
            create_time: self.create_time,
            start_time: self.start_time,
            end_time: self.end_time,
            exit_code: self.exit_code,
            exit_message: self.exit_message,
            parameters,
            forced: self.forced,
            node: self.node,
            recovery_count: 0,
            priority: self.priority,
            rerun_of: self.rerun_of.map(ExecutionId),
            rerun_by: self.rerun_by.map(ExecutionId),
        })
    }
}

impl StepShape {
    pub(super) fn into_step(self) -> Result<StepExecution, String> {
        let totals = self.control_totals.into_iter().map(ControlTotalShape::into_total);
        Ok(StepExecution {
            id: StepExecutionId(self.id),
            execution_id: ExecutionId(self.job_execution_id),
            step_name: self.step_name,
            status: status(&self.status)?,
            start_time: self.start_time,
            end_time: self.end_time,
            exit_code: self.exit_code,
            exit_message: self.exit_message,
            counters: Counters {
                read: self.read_count,
                write: self.write_count,
                filter: self.filter_count,
                commit: self.commit_count,
                rollback: self.rollback_count,
                read_skip: self.read_skip_count,
                process_skip: self.process_skip_count,
                write_skip: self.write_skip_count,
                retry: self.retry_count,
            },
            control_totals: totals.collect::<Result<ControlTotals, String>>()?,
            progress: self.progress,
        })
    }
}

impl ControlTotalShape {
    fn into_total(self) -> Result<ControlTotal, String> {
        let sum = |text: Option<String>| -> Result<Option<Decimal>, String> {
            text.map(|text| text.parse().map_err(|_| format!("'{text}' is no decimal number"))).transpose()
        };
        Ok(ControlTotal {
            name: self.name,
            read: sum(self.read)?,
            filtered: sum(self.filtered)?,
            skipped: sum(self.skipped)?,
            written: sum(self.written)?,
        })
    }
}

fn status(text: &str) -> Result<Status, String> {
    text.parse().map_err(|_| format!("unknown status '{text}'"))
}
