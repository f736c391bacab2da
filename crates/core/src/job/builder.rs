//! Builds a job: setters cannot fail, `build` names what is missing or contradicts itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::declaration::MAX_NAME_CHARS;
use super::fingerprint::Fingerprint;
use super::flow::{Element, Elements, FinallyStep, FinallyWhen, HasElements, flow_methods, graph};
use super::rule::ParametersRule;
use super::{
    DEFAULT_FINALLY_TIME_LIMIT, Definition, Job, JobParameters, MAX_PRIORITY, MIN_PRIORITY, ParameterDeclaration,
    ProcessExitCodes,
};
use crate::item::BoxError;
use crate::listener::{JobContext, ListenerFactory, Listeners, job_methods, step_methods};
use crate::schedule::Schedule;
use crate::step::{IntoStep, Step};

/// Builds a [`Job`].
#[derive(Debug)]
pub struct JobBuilder {
    name: String,
    description: String,
    parameters: Option<Vec<ParameterDeclaration>>,
    rules: Vec<ParametersRule>,
    elements: Elements,
    finally: Vec<(Result<Step, BuildError>, FinallyWhen)>,
    priority: i32,
    max_running: Option<u32>,
    listeners: Vec<ListenerFactory>,
    restartable: bool,
    process_exit_codes: ProcessExitCodes,
    time_limit: Option<Duration>,
    finally_time_limit: Duration,
    schedules: Vec<Schedule>,
}

/// The reason for which a job cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A name is empty, too long, or has characters that a path or a log line cannot carry.
    #[error(
        "name '{name}' of a {what} must have 1 to {MAX_NAME_CHARS} characters, none of them a slash or a control character"
    )]
    Name {
        /// Job or step.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The job has nothing to do.
    #[error("job '{job}' has no steps")]
    NoSteps {
        /// Name of the job.
        job: String,
    },
    /// The flow contradicts itself: all problems at once.
    #[error("job '{job}': {problem}")]
    Flow {
        /// Name of the job.
        job: String,
        /// The problem, as a sentence fragment.
        problem: String,
    },
    /// A setting of a step is missing or contradicts another.
    #[error("step '{step}': {problem}")]
    Step {
        /// Name of the step.
        step: String,
        /// The problem, as a sentence fragment.
        problem: String,
    },
    /// A setting of the job itself is out of its range.
    #[error("job '{job}': {problem}")]
    Job {
        /// Name of the job.
        job: String,
        /// The problem, as a sentence fragment.
        problem: String,
    },
    /// A declared parameter contradicts itself or another.
    #[error("job '{job}': {problem}")]
    Parameter {
        /// Name of the job.
        job: String,
        /// The problem, as a sentence fragment.
        problem: String,
    },
}

impl JobBuilder {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            description: String::new(),
            parameters: None,
            rules: Vec::new(),
            elements: Elements::default(),
            finally: Vec::new(),
            priority: 0,
            max_running: None,
            listeners: Vec::new(),
            restartable: true,
            process_exit_codes: ProcessExitCodes::default(),
            time_limit: None,
            finally_time_limit: DEFAULT_FINALLY_TIME_LIMIT,
            schedules: Vec::new(),
        }
    }

    /// A description of the job, for people.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// Declares a parameter. A job that declares one refuses all that it does not declare.
    #[must_use]
    pub fn parameter(mut self, declaration: ParameterDeclaration) -> Self {
        self.parameters.get_or_insert_default().push(declaration);
        self
    }

    /// Declares that the job takes no parameters at all.
    #[must_use]
    pub fn no_parameters(mut self) -> Self {
        self.parameters.get_or_insert_default();
        self
    }

    /// Adds a rule over several parameters: what it returns as an error, a sentence, refuses the launch. It is asked
    /// when each parameter by itself is right, with the defaults; all rules answer. It runs within the launch, so it is
    /// to be quick; its panic refuses the launch, too.
    ///
    /// ```
    /// use oxbatch::{Job, ParameterDeclaration, TaskStep};
    ///
    /// let job = Job::builder("Report")
    ///     .parameter(ParameterDeclaration::integer("from").required())
    ///     .parameter(ParameterDeclaration::integer("to").required())
    ///     .parameters_rule(|parameters| match (parameters.integer("from"), parameters.integer("to")) {
    ///         (Ok(from), Ok(to)) if from > to => Err(format!("from ({from}) must not be greater than to ({to})")),
    ///         _ => Ok(()),
    ///     })
    ///     .step(TaskStep::builder("Print", |_| Ok(())))
    ///     .build()?;
    /// # Ok::<(), oxbatch::BuildError>(())
    /// ```
    #[must_use]
    pub fn parameters_rule(
        mut self,
        rule: impl Fn(&JobParameters) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.rules.push(ParametersRule::new(rule));
        self
    }

    /// Adds a step that runs at the end of each execution that ends COMPLETED or FAILED, behind those that were added
    /// before.
    ///
    /// It belongs to the execution, and not to the instance: each execution runs it. It does not run after an execution
    /// that is STOPPED, or that recovery goes on with. When it fails, a COMPLETED execution is FAILED with the exit
    /// code [`EXIT_FINALLY_FAILED`](crate::execution::EXIT_FINALLY_FAILED), and a restart runs the steps at the end
    /// alone.
    #[must_use]
    pub fn finally(self, step: impl IntoStep) -> Self {
        self.finally_when(FinallyWhen::Always, step)
    }

    /// Adds a step that runs at the end of an execution with a certain result, see [`finally`](Self::finally).
    #[must_use]
    pub fn finally_when(mut self, when: FinallyWhen, step: impl IntoStep) -> Self {
        self.finally.push((step.into_step(), when));
        self
    }

    /// Ends the main part of an execution once it has run this long: it is FAILED with the exit code
    /// [`TIMEOUT`](crate::execution::EXIT_TIMEOUT), no transition sees it, and the steps at the end run under a limit
    /// of their own. A restart goes on where it was.
    ///
    /// The running time counts from the moment at which a node takes the execution, by the clock of the database. It
    /// goes on over a crash and a shutdown after which the execution resumes by itself, and begins anew when a person
    /// restarts it. The step that runs at the limit is asked to stop, and has the grace of a stop.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Bounds the time of all steps at the end of an execution together: [`DEFAULT_FINALLY_TIME_LIMIT`] unless set.
    /// A step that exceeds it has failed, and one that has not begun by then does not run.
    #[must_use]
    pub fn finally_time_limit(mut self, limit: Duration) -> Self {
        self.finally_time_limit = limit;
        self
    }

    /// Place of its launches in the queue unless they say otherwise: higher ones go first, the oldest of equals. From
    /// [`MIN_PRIORITY`] to [`MAX_PRIORITY`], 0 unless set.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// The most of its executions that run at once, on all nodes together; any number unless set. Further ones wait,
    /// and hold up no other job.
    #[must_use]
    pub fn max_running(mut self, executions: u32) -> Self {
        self.max_running = Some(executions);
        self
    }

    /// Lets an execution that failed or was stopped be resumed, or not; it can be unless set. Where not, a launch of
    /// the same instance is refused unless it is forced, a crash leaves the execution FAILED, and what a shutdown has
    /// stopped stays STOPPED: for jobs whose half-done work a person has to look at first.
    #[must_use]
    pub fn restartable(mut self, restartable: bool) -> Self {
        self.restartable = restartable;
        self
    }

    /// Gives the process that runs the job, or waits for it, an exit code of its own where the job's fits `pattern`, in
    /// which `*` stands for any text and `?` for one character: of `oxbatch run`, `restart`, `launch --wait` and
    /// `wait`. The first that fits decides; where none does, the status decides.
    ///
    /// ```
    /// use oxbatch::{Job, TaskStep};
    ///
    /// let job = Job::builder("Nightly")
    ///     .step(TaskStep::builder("Load", |_| Ok(())))
    ///     .process_exit_code("*_WITH_SKIPS", 10)
    ///     .build()?;
    /// assert_eq!(job.process_exit_codes().find("COMPLETED_WITH_SKIPS"), Some(10));
    /// # Ok::<(), oxbatch::BuildError>(())
    /// ```
    #[must_use]
    pub fn process_exit_code(mut self, pattern: impl Into<String>, code: u8) -> Self {
        self.process_exit_codes.push(pattern.into(), code);
        self
    }

    /// Adds a schedule, by which a service launches the job by itself. A job may have several, each of another name.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedules.push(schedule);
        self
    }

    /// Adds listeners of the job and of all of its steps, by a function that builds them for each execution: see
    /// [`listener`](crate::listener).
    #[must_use]
    pub fn listener<F>(mut self, factory: F) -> Self
    where
        F: Fn(&JobContext) -> Result<Listeners, BoxError> + Send + Sync + 'static,
    {
        self.listeners.push(ListenerFactory::new(factory));
        self
    }

    fn listen(mut self, listeners: Listeners) -> Self {
        self.listeners.push(ListenerFactory::fixed(listeners));
        self
    }

    job_methods!();
    step_methods!(task);
    step_methods!(chunk);

    /// Builds the job.
    ///
    /// # Errors
    /// [`BuildError`] names the first setting that is missing or contradicts another.
    pub fn build(self) -> Result<Job, BuildError> {
        check_name("job", &self.name)?;
        let is_without_time = self.time_limit.is_some_and(|limit| limit.is_zero()) || self.finally_time_limit.is_zero();
        let problem = match (self.priority, self.max_running) {
            _ if is_without_time => Some("a time limit of 0 would never let it run".to_owned()),
            (_, Some(0)) => Some("max_running is 0, so that it would never run".to_owned()),
            (priority, _) if !(MIN_PRIORITY..=MAX_PRIORITY).contains(&priority) => {
                Some(format!("priority {priority} is not from {MIN_PRIORITY} to {MAX_PRIORITY}"))
            }
            _ => self.process_exit_codes.problem(),
        };
        if let Some(problem) = problem {
            return Err(BuildError::Job { job: self.name, problem });
        }
        let mut finally = Vec::new();
        for (step, when) in self.finally {
            let step = step?;
            check_name("step", step.name())?;
            finally.push(FinallyStep::new(step, when));
        }
        let flow = graph(&self.name, self.elements, finally)?;
        let of_flow = flow.elements().iter().filter_map(Element::step);
        let steps: Vec<Step> = of_flow.chain(flow.finally().iter().map(FinallyStep::step)).cloned().collect();
        if flow.elements().is_empty() {
            return Err(BuildError::NoSteps { job: self.name });
        }
        let mut names = HashSet::new();
        for declaration in self.parameters.iter().flatten() {
            let problem = match declaration.contradiction() {
                None if names.insert(declaration.name()) => continue,
                None => format!("parameter '{}' is declared twice", declaration.name()),
                Some(problem) => problem,
            };
            return Err(BuildError::Parameter { job: self.name, problem });
        }
        let fingerprint = Fingerprint::of(&flow).to_json();
        let definition = Definition {
            name: self.name,
            description: self.description,
            parameters: self.parameters,
            rules: self.rules,
            steps,
            flow,
            priority: self.priority,
            max_running: self.max_running,
            listeners: self.listeners,
            restartable: self.restartable,
            process_exit_codes: self.process_exit_codes,
            time_limit: self.time_limit,
            finally_time_limit: self.finally_time_limit,
            fingerprint,
            schedules: self.schedules,
        };
        let job = Job { definition: Arc::new(definition) };
        check_schedules(&job)?;
        Ok(job)
    }
}

/// Checks the schedules of a job, each by itself and against the parameters of the job.
fn check_schedules(job: &Job) -> Result<(), BuildError> {
    let mut names = HashSet::new();
    for schedule in job.schedules() {
        let name = schedule.name_or_none().unwrap_or(job.name());
        let checked = schedule.check().and_then(|()| schedule.check_for(job, Timestamp::now()));
        let problem = match checked {
            Ok(()) if names.insert(name) => continue,
            Ok(()) => format!("two schedules are named '{name}'"),
            Err(error) => format!("schedule '{name}': {error}"),
        };
        return Err(BuildError::Job { job: job.name().to_owned(), problem });
    }
    Ok(())
}

impl HasElements for JobBuilder {
    fn elements(&mut self) -> &mut Elements {
        &mut self.elements
    }
}

flow_methods!(JobBuilder);

impl From<std::convert::Infallible> for BuildError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

pub(super) fn check_name(what: &'static str, name: &str) -> Result<(), BuildError> {
    let fits = (1..=MAX_NAME_CHARS).contains(&name.chars().count());
    if fits && !name.contains(|c: char| c == '/' || c.is_control()) && name.trim() == name {
        return Ok(());
    }
    Err(BuildError::Name { what, name: name.to_owned() })
}
