//! The JSON shapes of jobs, executions and steps: field for field those of the HTTP interface.

use std::collections::BTreeMap;

use jiff::Timestamp;
use oxbatch_core::job::Parameter;
use oxbatch_core::repository::{JobRepository, JobSummary, RepositoryError};
use oxbatch_core::step::StepKind;
use oxbatch_core::{
    Job, JobExecution, JobParameters, JobRegistry, ParameterDeclaration, ParameterValue, Status, StepExecution,
};
use serde::Serialize;

/// Stands for every secret value.
const SECRET: &str = "***";

/// RFC 3339, UTC, with microseconds.
fn time(instant: Timestamp) -> String {
    format!("{instant:.6}")
}

/// The value of a parameter: text, also for dates, or a number.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ValueView {
    Text(String),
    Integer(i64),
    Float(f64),
}

impl ValueView {
    fn of(value: &ParameterValue, secret: bool) -> Self {
        match value {
            _ if secret => Self::Text(SECRET.to_owned()),
            ParameterValue::Integer(number) => Self::Integer(*number),
            ParameterValue::Float(number) => Self::Float(*number),
            value => Self::Text(value.to_string()),
        }
    }
}

/// A parameter as it may be shown.
pub(crate) fn shown(parameter: &Parameter) -> String {
    if parameter.secret { SECRET.to_owned() } else { parameter.value.to_string() }
}

/// The parameters of a launch as they would be typed.
pub(crate) fn typed(parameters: &JobParameters) -> String {
    parameters.iter().map(|(name, value)| format!("{name}={}", shown(value))).collect::<Vec<_>>().join(" ")
}

/// One attempt to run a job instance.
#[derive(Debug, Serialize)]
pub(crate) struct ExecutionView {
    id: i64,
    job_instance_id: i64,
    job_name: String,
    status: Status,
    create_time: String,
    start_time: Option<String>,
    end_time: Option<String>,
    exit_code: Option<String>,
    exit_message: Option<String>,
    parameters: BTreeMap<String, ValueView>,
    forced: bool,
    node: Option<String>,
    progress: Option<f64>,
}

impl ExecutionView {
    /// The shape of an execution that is done to the share `progress`.
    pub(crate) fn of(execution: &JobExecution, progress: Option<f64>) -> Self {
        let value = |parameter: &Parameter| ValueView::of(&parameter.value, parameter.secret);
        Self {
            id: execution.id.0,
            job_instance_id: execution.instance_id.0,
            job_name: execution.job_name.clone(),
            status: execution.status,
            create_time: time(execution.create_time),
            start_time: execution.start_time.map(time),
            end_time: execution.end_time.map(time),
            exit_code: execution.exit_code.clone(),
            exit_message: execution.exit_message.clone(),
            parameters: execution
                .parameters
                .iter()
                .map(|(name, parameter)| (name.to_owned(), value(parameter)))
                .collect(),
            forced: execution.forced,
            node: execution.node.clone(),
            progress,
        }
    }
}

/// Share of an execution's work that is done: its completed steps and the share of the one that runs.
pub(crate) fn progress(registry: &JobRegistry, execution: &JobExecution, steps: &[StepExecution]) -> Option<f64> {
    match execution.status {
        Status::Completed => return Some(1.0),
        Status::Starting => return Some(0.0),
        Status::Started | Status::Stopping => {}
        Status::Stopped | Status::Failed | Status::Abandoned => return None,
    }
    let job = registry.get(&execution.job_name)?;
    let Some(newest) = steps.last() else { return Some(0.0) };
    let place = job.steps().iter().position(|step| step.name() == newest.step_name)?;
    let share = if newest.status == Status::Completed { 1.0 } else { newest.progress.unwrap_or(0.0) };
    #[expect(clippy::cast_precision_loss, reason = "a job has few steps")]
    let done = (place as f64 + share.clamp(0.0, 1.0)) / job.steps().len() as f64;
    Some(done)
}

/// The shapes of a page of executions; only those that run cost a look at their steps.
pub(crate) async fn executions(
    repository: &dyn JobRepository,
    registry: &JobRegistry,
    executions: &[JobExecution],
) -> Result<Vec<ExecutionView>, RepositoryError> {
    let mut views = Vec::with_capacity(executions.len());
    for execution in executions {
        let steps = match execution.status.is_running() {
            true => repository.steps(execution.id).await?,
            false => Vec::new(),
        };
        views.push(ExecutionView::of(execution, progress(registry, execution, &steps)));
    }
    Ok(views)
}

/// One attempt to run a step.
#[derive(Debug, Serialize)]
pub(crate) struct StepView {
    id: i64,
    job_execution_id: i64,
    step_name: String,
    status: Status,
    start_time: String,
    end_time: Option<String>,
    exit_code: Option<String>,
    exit_message: Option<String>,
    retry_count: i64,
    read_count: i64,
    write_count: i64,
    filter_count: i64,
    commit_count: i64,
    skip_count: i64,
    rollback_count: i64,
    read_skip_count: i64,
    process_skip_count: i64,
    write_skip_count: i64,
    items_per_second: Option<f64>,
    progress: Option<f64>,
}

impl From<&StepExecution> for StepView {
    fn from(step: &StepExecution) -> Self {
        let counters = step.counters;
        let seconds = step.end_time.unwrap_or_else(Timestamp::now).duration_since(step.start_time).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
        let rate = (seconds > 0.0).then(|| counters.read as f64 / seconds);
        Self {
            id: step.id.0,
            job_execution_id: step.execution_id.0,
            step_name: step.step_name.clone(),
            status: step.status,
            start_time: time(step.start_time),
            end_time: step.end_time.map(time),
            exit_code: step.exit_code.clone(),
            exit_message: step.exit_message.clone(),
            retry_count: counters.retry,
            read_count: counters.read,
            write_count: counters.write,
            filter_count: counters.filter,
            commit_count: counters.commit,
            skip_count: counters.skip(),
            rollback_count: counters.rollback,
            read_skip_count: counters.read_skip,
            process_skip_count: counters.process_skip,
            write_skip_count: counters.write_skip,
            items_per_second: rate,
            progress: step.progress.map(|share| share.clamp(0.0, 1.0)),
        }
    }
}

/// An execution with its steps.
#[derive(Debug, Serialize)]
pub(crate) struct ReportView {
    pub(crate) execution: ExecutionView,
    pub(crate) steps: Vec<StepView>,
}

/// A job: what it takes, what it does, and how it fared.
#[derive(Debug, Serialize)]
pub(crate) struct JobView {
    name: String,
    description: String,
    parameters: Option<Vec<DeclarationView>>,
    steps: Vec<JobStepView>,
    flow: Vec<String>,
    last_execution: Option<ExecutionView>,
    counts: BTreeMap<Status, i64>,
}

#[derive(Debug, Serialize)]
struct DeclarationView {
    name: String,
    r#type: &'static str,
    required: bool,
    default: Option<ValueView>,
    identifying: bool,
    secret: bool,
    description: String,
    allowed: Vec<ValueView>,
}

#[derive(Debug, Serialize)]
struct JobStepView {
    name: String,
    kind: &'static str,
    chunk_size: Option<u32>,
    start_limit: Option<u32>,
    max_retries: u32,
    rerun_if_complete: bool,
}

impl JobView {
    /// The shape of a job that fared as `summary` says.
    pub(crate) fn of(job: &Job, summary: &JobSummary, last_execution: Option<ExecutionView>) -> Self {
        let mut counts: BTreeMap<Status, i64> = Status::ALL.into_iter().map(|status| (status, 0)).collect();
        counts.extend(summary.counts.iter().copied());
        Self {
            name: job.name().to_owned(),
            description: job.description().to_owned(),
            parameters: job.parameters().map(|declared| declared.iter().map(Into::into).collect()),
            steps: job.steps().iter().map(Into::into).collect(),
            flow: job.steps().iter().map(|step| step.name().to_owned()).collect(),
            last_execution,
            counts,
        }
    }
}

impl From<&ParameterDeclaration> for DeclarationView {
    fn from(declaration: &ParameterDeclaration) -> Self {
        let secret = declaration.is_secret();
        Self {
            name: declaration.name().to_owned(),
            r#type: declaration.kind().as_str(),
            required: declaration.is_required(),
            default: declaration.default_or_none().map(|value| ValueView::of(value, secret)),
            identifying: declaration.is_identifying(),
            secret,
            description: declaration.text().to_owned(),
            allowed: declaration.allowed_values().iter().map(|value| ValueView::of(value, secret)).collect(),
        }
    }
}

impl From<&oxbatch_core::Step> for JobStepView {
    fn from(step: &oxbatch_core::Step) -> Self {
        let (kind, chunk_size) = match step.kind() {
            StepKind::Task => ("task", None),
            StepKind::Chunk { size } => ("chunk", size),
        };
        Self {
            name: step.name().to_owned(),
            kind,
            chunk_size,
            start_limit: step.start_limit(),
            max_retries: step.max_retries(),
            rerun_if_complete: step.reruns_if_complete(),
        }
    }
}
