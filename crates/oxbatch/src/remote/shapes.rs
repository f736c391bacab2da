//! The JSON of the HTTP interface as it is read back into the types of the core.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use oxbatch_core::execution::{
    ControlTotal, ControlTotals, Counters, ExecutionId, InstanceId, JobInstance, SkippedItem, StepExecutionId,
    StoredSkip, UnknownSkipPhase,
};
use oxbatch_core::job::{Parameter, ParameterType, ProcessExitCodes, SecretValue};
use oxbatch_core::log::{KeptLine, LogLine};
use oxbatch_core::repository::{Drain, Node, NodeReport, NodeState, NodeStatus};
use oxbatch_core::{Decimal, JobExecution, JobParameters, ParameterValue, Status, StepExecution};
use oxbatch_server::view::PhaseSharesView;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::view::typed;

/// The answer to a launch.
#[derive(Debug, Deserialize)]
pub(super) struct LaunchedShape {
    pub(super) execution_id: i64,
}

/// The answer to a re-run of skipped items.
#[derive(Debug, Deserialize)]
pub(crate) struct RerunShape {
    pub(crate) execution_id: i64,
    pub(crate) left_count: i64,
    pub(crate) left: Vec<LeftShape>,
}

/// A skipped item that cannot be run again.
#[derive(Debug, Deserialize)]
pub(crate) struct LeftShape {
    pub(crate) step_name: String,
    pub(crate) reason: String,
    pub(crate) skip: LeftSkipShape,
}

/// The item itself.
#[derive(Debug, Deserialize)]
pub(crate) struct LeftSkipShape {
    pub(crate) id: i64,
    pub(crate) position: Option<String>,
}

/// A job.
#[derive(Debug, Deserialize)]
pub(super) struct JobShape {
    name: String,
    description: String,
    steps: Vec<JobStepShape>,
    parameters: Option<Vec<DeclarationShape>>,
    /// Not shown by services of earlier versions.
    #[serde(default)]
    process_exit_codes: Vec<ProcessExitCodeShape>,
}

/// An entry of the table of a job's process exit codes.
#[derive(Debug, Deserialize)]
struct ProcessExitCodeShape {
    pattern: String,
    code: u8,
}

/// A step of a job.
#[derive(Debug, Deserialize)]
struct JobStepShape {
    name: String,
}

/// A parameter that a job declares.
#[derive(Debug, Deserialize)]
struct DeclarationShape {
    name: String,
    #[serde(rename = "type")]
    kind: ParameterType,
    required: bool,
    default: Option<Value>,
    /// Not shown by services of earlier versions.
    #[serde(default)]
    default_expression: Option<String>,
    secret: bool,
}

/// A job as a row of a table.
#[derive(Debug)]
pub(crate) struct JobRow {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) steps: Vec<String>,
    /// `None` for any.
    pub(crate) parameters: Option<Vec<ParameterRow>>,
}

/// A declared parameter as a row of a table shows it.
#[derive(Debug)]
pub(crate) struct ParameterRow {
    pub(crate) name: String,
    pub(crate) is_required: bool,
    /// `None` where there is none, or where it is secret.
    pub(crate) default: Option<String>,
}

/// An instance.
#[derive(Debug, Deserialize)]
pub(super) struct InstanceShape {
    id: i64,
    job_name: String,
    job_key: String,
    create_time: Timestamp,
    /// Not shown by services of earlier versions, and so is the next.
    #[serde(default)]
    parameters: BTreeMap<String, Value>,
    #[serde(default)]
    last_status: Option<String>,
}

/// An instance as a row: with the status and the parameters of its last execution.
#[derive(Debug)]
pub(crate) struct InstanceRow {
    pub(crate) instance: JobInstance,
    pub(crate) status: String,
    pub(crate) parameters: String,
}

/// A number of instances.
#[derive(Debug, Deserialize)]
pub(super) struct CountShape {
    pub(super) count: i64,
}

/// A skipped item.
#[derive(Debug, Deserialize)]
pub(super) struct SkipShape {
    id: i64,
    step_execution_id: i64,
    phase: String,
    position: Option<String>,
    item: Option<String>,
    complete: bool,
    rerun_execution_id: Option<i64>,
    error: String,
    create_time: Timestamp,
}

/// A node.
#[derive(Debug, Deserialize)]
pub(super) struct NodeShape {
    id: String,
    name: String,
    version: String,
    state: String,
    start_time: Timestamp,
    last_heartbeat: Timestamp,
    capacity: u32,
    jobs: Vec<String>,
    running: Vec<RunningShape>,
    drain: Option<DrainShape>,
}

#[derive(Debug, Deserialize)]
struct RunningShape {
    execution_id: i64,
    job_name: String,
}

#[derive(Debug, Deserialize)]
struct DrainShape {
    stop: bool,
    exit: bool,
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
    parameter: Option<String>,
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
    /// Not shown by services of earlier versions.
    #[serde(default)]
    change_time: Option<Timestamp>,
    exit_code: Option<String>,
    exit_message: Option<String>,
    parameters: BTreeMap<String, Value>,
    forced: bool,
    priority: i32,
    node: Option<String>,
    rerun_of: Option<i64>,
    rerun_by: Option<i64>,
    traceparent: Option<String>,
}

/// A step execution.
#[derive(Debug, Deserialize)]
pub(super) struct StepShape {
    id: i64,
    job_execution_id: i64,
    step_name: String,
    #[serde(default = "first")]
    iteration: u32,
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
    /// Not shown by services of earlier versions.
    #[serde(default)]
    phases: Option<PhaseSharesView>,
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
    /// The document as one sentence: its detail, and each parameter that is wrong.
    pub(super) fn sentence(self) -> String {
        let sentences = self.errors.into_iter().map(|error| match error.parameter {
            Some(parameter) => format!("parameter '{parameter}' {}", error.message),
            None => error.message,
        });
        let sentences: Vec<_> = sentences.filter(|sentence| !self.detail.contains(sentence.as_str())).collect();
        if sentences.is_empty() { self.detail } else { format!("{}: {}", self.detail, sentences.join("; ")) }
    }
}

impl JobShape {
    /// The table by which an exit code of the job becomes that of a process.
    pub(super) fn process_exit_codes(self) -> ProcessExitCodes {
        ProcessExitCodes::new(self.process_exit_codes.into_iter().map(|entry| (entry.pattern, entry.code)))
    }

    /// The types of the declared parameters; empty when the job declares none.
    pub(super) fn types(self) -> HashMap<String, ParameterType> {
        let declared = self.parameters.unwrap_or_default().into_iter();
        declared.map(|declaration| (declaration.name, declaration.kind)).collect()
    }

    pub(super) fn into_row(self) -> JobRow {
        let parameter = |declaration: DeclarationShape| ParameterRow {
            name: declaration.name,
            is_required: declaration.required,
            default: match declaration.default_expression {
                Some(expression) => Some(format!("({expression})")),
                None => declaration.default.filter(|_| !declaration.secret).map(text),
            },
        };
        let parameters = self.parameters.map(|declared| declared.into_iter().map(parameter).collect());
        let steps = self.steps.into_iter().map(|step| step.name).collect();
        JobRow { name: self.name, description: self.description, steps, parameters }
    }
}

impl InstanceShape {
    pub(super) fn into_row(self) -> InstanceRow {
        let Self { id, job_name, job_key, create_time, parameters, last_status } = self;
        let instance = JobInstance { id: InstanceId(id), job_name, job_key, create_time };
        InstanceRow { instance, status: last_status.unwrap_or_default(), parameters: typed(&shown(parameters)) }
    }
}

/// Parameters as they are shown: their types are the service's business.
fn shown(values: BTreeMap<String, Value>) -> JobParameters {
    let mut parameters = JobParameters::default();
    for (name, value) in values {
        let parameter = match value.get("secret").and_then(Value::as_str) {
            Some(secret) => Parameter::secret(SecretValue::reference(ParameterType::String, secret)),
            None => Parameter { value: ParameterValue::String(text(value)), identifying: true, secret: false },
        };
        parameters.insert(&name, parameter);
    }
    parameters
}

impl SkipShape {
    pub(super) fn into_skip(self) -> Result<StoredSkip, String> {
        let phase = self.phase.parse().map_err(|error: UnknownSkipPhase| error.to_string())?;
        let (position, item, complete, error) = (self.position, self.item, self.complete, self.error);
        Ok(StoredSkip {
            id: self.id,
            step_id: StepExecutionId(self.step_execution_id),
            time: self.create_time,
            item: SkippedItem { phase, position, item, complete, error },
            rerun_execution_id: self.rerun_execution_id.map(ExecutionId),
        })
    }
}

impl NodeShape {
    pub(super) fn into_node(self) -> Result<NodeStatus, String> {
        let states = [NodeState::Live, NodeState::Draining, NodeState::Silent, NodeState::Gone];
        let state = states.into_iter().find(|state| state.as_str() == self.state);
        let running = self.running.into_iter();
        let boot_id = Uuid::parse_str(&self.id).map_err(|_| format!("'{}' is no id of a node", self.id))?;
        Ok(NodeStatus {
            report: NodeReport {
                node: Node { name: self.name, boot_id },
                version: self.version,
                jobs: self.jobs.into(),
                capacity: self.capacity,
                // Not a part of the answer, and not shown.
                lease: Duration::ZERO,
                start_time: self.start_time,
            },
            heartbeat: self.last_heartbeat,
            state: state.ok_or_else(|| format!("unknown state '{}' of a node", self.state))?,
            drain: self.drain.map(|drain| Drain { stop: drain.stop, exit: drain.exit }),
            running: running.map(|running| (ExecutionId(running.execution_id), running.job_name)).collect(),
        })
    }
}

impl ExecutionShape {
    pub(super) fn into_execution(self) -> Result<JobExecution, String> {
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
            parameters: shown(self.parameters),
            forced: self.forced,
            node: self.node,
            recovery_count: 0,
            priority: self.priority,
            rerun_of: self.rerun_of.map(ExecutionId),
            rerun_by: self.rerun_by.map(ExecutionId),
            change_time: self.change_time.or(self.end_time).or(self.start_time).unwrap_or(self.create_time),
            trace_parent: self.traceparent.and_then(|parent| parent.parse().ok()),
        })
    }
}

/// The iteration of a step outside of cycles, which older services leave out.
fn first() -> u32 {
    1
}

impl StepShape {
    pub(super) fn into_step(self) -> Result<StepExecution, String> {
        let totals = self.control_totals.into_iter().map(ControlTotalShape::into_total);
        Ok(StepExecution {
            iteration: self.iteration,
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
            shares: self.phases.as_ref().map(Into::into),
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

/// A value as it is shown to people.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        value => value.to_string(),
    }
}

fn status(text: &str) -> Result<Status, String> {
    text.parse().map_err(|_| format!("unknown status '{text}'"))
}
/// A line of a log.
#[derive(Debug, Deserialize)]
pub(super) struct LogLineShape {
    position: String,
    #[serde(flatten)]
    line: LogLine,
}

impl LogLineShape {
    pub(super) fn into_line(self) -> Result<KeptLine, String> {
        Ok(KeptLine { position: self.position.parse()?, line: self.line })
    }
}
