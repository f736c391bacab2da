//! A job: a named definition of the parameters it accepts and the steps it runs.

mod builder;
mod declaration;
pub(crate) mod expression;
mod fingerprint;
pub(crate) mod flow;
mod given;
mod pattern;
mod process_exit_codes;
mod registry;
mod resolution;
mod rule;
mod schema;

pub use builder::{BuildError, JobBuilder};
pub use declaration::ParameterDeclaration;
pub use expression::{DateExpression, ExpressionError};
pub(crate) use fingerprint::PartNames;
pub use fingerprint::{Reached, definition_difference};
pub use flow::{
    DEFAULT_DECIDER_TIME_LIMIT, DecisionFacts, Element, ElementState, FinallyStep, FinallyWhen, Flow, FlowGraph,
    LastElement, On, Way, WayEnd,
};
pub use given::{GivenParameters, GivenValue};
pub use pattern::Pattern;
pub use process_exit_codes::ProcessExitCodes;
pub use registry::{JobRegistry, RegistryError};
pub(crate) use resolution::Resolved;
pub use resolution::{InvalidParameter, InvalidParameters};

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub use crate::execution::{
    DateTime, DateTimeError, JobParameters, Parameter, ParameterError, ParameterType, ParameterValue, SECRET_SHOWN,
    Secret, SecretValue,
};
use crate::listener::ListenerFactory;
use crate::schedule::Schedule;
use crate::step::Step;
use resolution::Accepted;
use rule::ParametersRule;

/// The parameter of a new run: its number, an identifying INTEGER from 1 on.
pub const RUN_PARAMETER: &str = "run";
/// Lowest priority of a launch.
pub const MIN_PRIORITY: i32 = -1_000;
/// Highest priority of a launch.
pub const MAX_PRIORITY: i32 = 1_000;

/// The time within which the steps at the end of an execution have to be done, unless the job says otherwise.
pub const DEFAULT_FINALLY_TIME_LIMIT: Duration = Duration::from_secs(5 * 60);

/// The definition of a job. Cheap to clone; built by [`Job::builder`].
#[derive(Debug, Clone)]
pub struct Job {
    definition: Arc<Definition>,
}

#[derive(Debug, Clone)]
struct Definition {
    name: String,
    description: String,
    parameters: Option<Vec<ParameterDeclaration>>,
    rules: Vec<ParametersRule>,
    /// Those of the flow, then those that run at its end.
    steps: Vec<Step>,
    flow: FlowGraph,
    priority: i32,
    max_running: Option<u32>,
    listeners: Vec<ListenerFactory>,
    restartable: bool,
    process_exit_codes: ProcessExitCodes,
    time_limit: Option<Duration>,
    finally_time_limit: Duration,
    fingerprint: String,
    schedules: Vec<Schedule>,
}

impl Job {
    /// Starts the definition of a job.
    pub fn builder(name: impl Into<String>) -> JobBuilder {
        JobBuilder::new(name.into())
    }

    /// The name by which it is launched.
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// A description, for people; may be empty.
    pub fn description(&self) -> &str {
        &self.definition.description
    }

    /// The parameters that it declares; `None` for a job that takes any.
    pub fn parameters(&self) -> Option<&[ParameterDeclaration]> {
        self.definition.parameters.as_deref()
    }

    /// The steps in the order in which they were defined: without transitions, that in which they run. Those that run
    /// at the end of an execution come last.
    pub fn steps(&self) -> &[Step] {
        &self.definition.steps
    }

    /// The elements, the transitions between them, and what runs at the end.
    pub fn flow(&self) -> &FlowGraph {
        &self.definition.flow
    }

    /// The job with one of its steps alone, for a test of that step: its parameters and listeners stay. `None` when it
    /// has no such step.
    pub fn only_step(&self, name: &str) -> Option<Self> {
        let step = self.steps().iter().find(|step| step.name() == name)?.clone();
        let (steps, flow) = (vec![step.clone()], FlowGraph::sequence([step]));
        Some(Self { definition: Arc::new(Definition { steps, flow, ..Definition::clone(&self.definition) }) })
    }

    /// The priority of its launches unless they say otherwise.
    pub fn priority(&self) -> i32 {
        self.definition.priority
    }

    /// The most of its executions that run at once, on all nodes together; `None` for any number.
    pub fn max_running(&self) -> Option<u32> {
        self.definition.max_running
    }

    pub(crate) fn listeners(&self) -> &[ListenerFactory] {
        &self.definition.listeners
    }

    /// `true` if an execution that failed or was stopped can be resumed.
    pub fn is_restartable(&self) -> bool {
        self.definition.restartable
    }

    /// The fingerprint of the definition as it is stored with executions: what restarts compare of it.
    pub fn fingerprint(&self) -> &str {
        &self.definition.fingerprint
    }

    /// The longest that the main part of an execution may run; `None` for any time.
    pub fn time_limit(&self) -> Option<Duration> {
        self.definition.time_limit
    }

    /// The longest that the steps at the end of an execution may run.
    pub fn finally_time_limit(&self) -> Duration {
        self.definition.finally_time_limit
    }

    /// The exit codes of the process that runs it, or waits for it, by its own: where no pattern fits, the status
    /// decides.
    pub fn process_exit_codes(&self) -> &ProcessExitCodes {
        &self.definition.process_exit_codes
    }

    /// The schedules by which a service launches it.
    pub fn schedules(&self) -> &[Schedule] {
        &self.definition.schedules
    }

    /// The JSON Schema (draft 2020-12) of the parameters of a launch, as the HTTP interface takes them.
    pub fn parameters_schema(&self) -> serde_json::Value {
        schema::of(self)
    }

    /// Checks what a launch at `now` gives against what the job declares, and fills in the defaults.
    ///
    /// # Errors
    /// Every error at once, each with the name of its parameter.
    pub fn resolve(&self, given: GivenParameters, now: Timestamp) -> Result<JobParameters, InvalidParameters> {
        self.resolve_launch(given, now, false).map(|resolved| resolved.parameters)
    }

    /// Checks what a new run at `now` gives, as [`Self::resolve`]: all but its number, [`RUN_PARAMETER`].
    ///
    /// # Errors
    /// Every error at once, each with the name of its parameter.
    pub fn resolve_new_run(&self, given: GivenParameters, now: Timestamp) -> Result<JobParameters, InvalidParameters> {
        self.resolve_launch(given, now, true).map(|resolved| resolved.parameters)
    }

    /// As the two above, with the names of those that the moment has decided.
    pub(crate) fn resolve_launch(
        &self,
        given: GivenParameters,
        now: Timestamp,
        new_run: bool,
    ) -> Result<Resolved, InvalidParameters> {
        let accepted = Accepted { declared: self.parameters(), rules: &self.definition.rules, new_run };
        resolution::resolve(accepted, given, now)
    }
}
