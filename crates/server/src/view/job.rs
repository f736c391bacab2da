//! A job: its definition and how it fared.

use oxbatch_core::repository::StatusCounts;
use oxbatch_core::step::StepKind;
use oxbatch_core::{Job, ParameterDeclaration, Status, Step};
use serde::Serialize;
use utoipa::ToSchema;

use super::ExecutionView;
use super::value::{TypeView, ValueView};

/// A job: what it takes, what it does, and how it fared.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobView {
    pub(crate) name: String,
    /// Its description; may be empty.
    pub(crate) description: String,
    /// The parameters that it declares; null when it takes any.
    #[schema(required)]
    pub(crate) parameters: Option<Vec<DeclarationView>>,
    /// Its steps in the order in which they run.
    pub(crate) steps: Vec<JobStepView>,
    /// Names of its steps in the order in which they run.
    pub(crate) flow: Vec<String>,
    /// Rank of its launches in the queue, unless they give one.
    #[schema(minimum = -1000, maximum = 1000)]
    pub(crate) priority: i32,
    /// The number of its executions that may run at once, on all nodes together; null for any number.
    #[schema(minimum = 1, required)]
    pub(crate) max_running: Option<u32>,
    /// `true` if an execution that failed or was stopped can be resumed.
    pub(crate) restartable: bool,
    /// The longest that the main part of an execution may run, in seconds; null for any time.
    #[schema(minimum = 0, required)]
    pub(crate) time_limit_seconds: Option<f64>,
    /// The longest that the steps at the end of an execution may run together, in seconds; null where there are none.
    #[schema(minimum = 0, required)]
    pub(crate) finally_time_limit_seconds: Option<f64>,
    /// The exit codes of a process that runs it or waits for it; where no pattern fits, the status decides.
    pub(crate) process_exit_codes: Vec<ProcessExitCodeView>,
    /// Its newest execution.
    #[schema(required)]
    pub(crate) last_execution: Option<ExecutionView>,
    /// The number of its executions by status. Of a job with 50,000 executions or more, as it was up to a minute ago.
    pub(crate) counts: CountsView,
}

/// The exit code of a process for exit codes of the job: the first pattern that fits decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ProcessExitCode)]
pub struct ProcessExitCodeView {
    /// `*` stands for any text, `?` for one character.
    pub(crate) pattern: String,
    pub(crate) code: u8,
}

/// A parameter that a job declares.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ParameterDeclaration)]
pub struct DeclarationView {
    pub(crate) name: String,
    pub(crate) r#type: TypeView,
    /// `true` if a launch must give it.
    pub(crate) required: bool,
    /// Its value when a launch does not give it.
    #[schema(required)]
    pub(crate) default: Option<ValueView>,
    /// The expression for its value when a launch does not give it, such as `yesterday in Europe/Berlin`: fixed at the
    /// launch.
    #[schema(required)]
    pub(crate) default_expression: Option<String>,
    /// `true` if it takes part in the identity of the instance.
    pub(crate) identifying: bool,
    /// `true` if it is shown as `***`.
    pub(crate) secret: bool,
    /// Its description; may be empty.
    pub(crate) description: String,
    /// The only values that it takes; empty for any.
    pub(crate) allowed: Vec<ValueView>,
    /// The smallest whole number that it takes; null for any.
    #[schema(required)]
    pub(crate) minimum: Option<i64>,
    /// The largest whole number that it takes; null for any.
    #[schema(required)]
    pub(crate) maximum: Option<i64>,
    /// The regular expression that all of its text must match; null for any text.
    #[schema(required)]
    pub(crate) pattern: Option<PatternView>,
}

/// A regular expression that all of a text must match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Pattern)]
pub struct PatternView {
    /// The expression; it is anchored at both ends.
    pub(crate) expression: String,
    /// The texts that match, in words that go on after "must be".
    pub(crate) description: String,
}

/// A step of a job's definition.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = JobStep)]
pub struct JobStepView {
    pub(crate) name: String,
    pub(crate) kind: KindView,
    /// Items in a chunk; null for a task, and where a parameter decides.
    #[schema(minimum = 1, required)]
    pub(crate) chunk_size: Option<u32>,
    /// The number of attempts that an instance allows it; null for any number.
    #[schema(minimum = 1, required)]
    pub(crate) start_limit: Option<u32>,
    /// The number of additional attempts that it is given within one execution.
    #[schema(minimum = 0)]
    pub(crate) max_retries: u32,
    /// `true` if it runs again although an earlier execution of the instance has completed it.
    pub(crate) rerun_if_complete: bool,
    /// The longest that it may run, in seconds; null for any time.
    #[schema(minimum = 0, required)]
    pub(crate) time_limit_seconds: Option<f64>,
}

/// The kind of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StepKind)]
pub enum KindView {
    /// Calls a function.
    Task,
    /// Reads, processes and writes items in chunks.
    Chunk,
}

/// The number of executions by status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = StatusCounts)]
pub struct CountsView {
    #[schema(minimum = 0)]
    pub(crate) starting: i64,
    #[schema(minimum = 0)]
    pub(crate) started: i64,
    #[schema(minimum = 0)]
    pub(crate) stopping: i64,
    #[schema(minimum = 0)]
    pub(crate) stopped: i64,
    #[schema(minimum = 0)]
    pub(crate) failed: i64,
    #[schema(minimum = 0)]
    pub(crate) completed: i64,
    #[schema(minimum = 0)]
    pub(crate) abandoned: i64,
}

impl JobView {
    /// The shape of a job with how many executions it has and what became of the newest.
    pub fn new(job: &Job, counts: StatusCounts, last_execution: Option<ExecutionView>) -> Self {
        Self {
            name: job.name().to_owned(),
            description: job.description().to_owned(),
            parameters: job.parameters().map(|declared| declared.iter().map(Into::into).collect()),
            steps: job.steps().iter().map(Into::into).collect(),
            flow: job.flow().elements().iter().map(|element| element.name().to_owned()).collect(),
            priority: job.priority(),
            max_running: job.max_running(),
            restartable: job.is_restartable(),
            time_limit_seconds: job.time_limit().map(|limit| limit.as_secs_f64()),
            finally_time_limit_seconds: (!job.flow().finally().is_empty())
                .then(|| job.finally_time_limit().as_secs_f64()),
            process_exit_codes: job
                .process_exit_codes()
                .iter()
                .map(|(pattern, code)| ProcessExitCodeView { pattern: pattern.to_owned(), code })
                .collect(),
            last_execution,
            counts: counts.into(),
        }
    }
}

impl From<StatusCounts> for CountsView {
    fn from(counts: StatusCounts) -> Self {
        let mut view = Self::default();
        for (status, count) in counts {
            let field = match status {
                Status::Starting => &mut view.starting,
                Status::Started => &mut view.started,
                Status::Stopping => &mut view.stopping,
                Status::Stopped => &mut view.stopped,
                Status::Failed => &mut view.failed,
                Status::Completed => &mut view.completed,
                Status::Abandoned => &mut view.abandoned,
            };
            *field = count;
        }
        view
    }
}

impl From<&ParameterDeclaration> for DeclarationView {
    fn from(declaration: &ParameterDeclaration) -> Self {
        let secret = declaration.is_secret();
        let shown = |value| ValueView::new(value, secret);
        Self {
            name: declaration.name().to_owned(),
            r#type: declaration.kind().into(),
            required: declaration.is_required(),
            default: declaration.default_or_none().map(shown),
            default_expression: declaration.default_expression_or_none().map(ToString::to_string),
            identifying: declaration.is_identifying(),
            secret,
            description: declaration.text().to_owned(),
            allowed: declaration.allowed_values().iter().map(shown).collect(),
            minimum: declaration.range().map(|(minimum, _)| minimum),
            maximum: declaration.range().map(|(_, maximum)| maximum),
            pattern: declaration.pattern_or_none().map(|pattern| PatternView {
                expression: pattern.expression().to_owned(),
                description: pattern.description().to_owned(),
            }),
        }
    }
}

impl From<&Step> for JobStepView {
    fn from(step: &Step) -> Self {
        let (kind, chunk_size) = match step.kind() {
            StepKind::Chunk { size } => (KindView::Chunk, size),
            // Whatever else a step is, it is one call.
            _ => (KindView::Task, None),
        };
        Self {
            name: step.name().to_owned(),
            kind,
            chunk_size,
            start_limit: step.start_limit(),
            max_retries: step.max_retries(),
            rerun_if_complete: step.reruns_if_complete(),
            time_limit_seconds: step.time_limit().map(|limit| limit.as_secs_f64()),
        }
    }
}
