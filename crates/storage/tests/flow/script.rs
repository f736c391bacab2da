//! Jobs whose steps do what a script says: exit codes and failures by name, and a list of what was run.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use oxbatch_core::engine::{Course, CourseEnd, LaunchOptions, PlannedAction, RestartPlan};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::job::{GivenParameters, JobBuilder};
use oxbatch_core::repository::{ExecutionFilter, PageRequest};
use oxbatch_core::step::TaskStepBuilder;
use oxbatch_core::{Engine, EngineConfig, Job, JobExecution, Status, StepExecution, TaskOutcome, TaskStep};

use crate::harness::{TestStore, ended, steps};

/// The behaviour of a step in one of its runs.
#[derive(Debug, Clone)]
pub(crate) enum Say {
    /// COMPLETED with an exit code.
    Code(&'static str),
    /// FAILED with an exit code.
    Fail(&'static str),
    /// FAILED by an error.
    Error,
}

/// The script of a job: what its steps do, in the order of their runs, and what was run. What it does not know is
/// COMPLETED.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    says: Arc<Mutex<HashMap<String, VecDeque<Say>>>>,
    ran: Arc<Mutex<Vec<String>>>,
}

impl Script {
    pub(crate) fn says(self, name: &str, says: impl IntoIterator<Item = Say>) -> Self {
        self.then_says(name, says);
        self
    }

    /// Adds what a step does next.
    pub(crate) fn then_says(&self, name: &str, says: impl IntoIterator<Item = Say>) {
        self.says.lock().unwrap().entry(name.to_owned()).or_default().extend(says);
    }

    pub(crate) fn next(&self, name: &str) -> Option<Say> {
        self.ran.lock().unwrap().push(name.to_owned());
        self.says.lock().unwrap().get_mut(name).and_then(VecDeque::pop_front)
    }

    /// A task step of the script. Within a flow it is called by its whole name.
    pub(crate) fn step(&self, name: &str) -> TaskStepBuilder {
        let script = self.clone();
        TaskStep::builder(name, move |context| match script.next(context.step_name()) {
            None => Ok(TaskOutcome::Completed),
            Some(Say::Code(code)) => Ok(TaskOutcome::CompletedWith { exit_code: code.to_owned() }),
            Some(Say::Fail(code)) => {
                Ok(TaskOutcome::FailedWith { exit_code: code.to_owned(), message: "as scripted".to_owned() })
            }
            Some(Say::Error) => Err("as scripted".into()),
        })
    }

    /// The steps that ran since the last call.
    pub(crate) fn take_ran(&self) -> String {
        std::mem::take(&mut *self.ran.lock().unwrap()).join(" ")
    }
}

/// A node with one job, whose executions are run one after the other.
pub(crate) struct Stage {
    pub(crate) store: TestStore,
    pub(crate) engine: Engine,
    pub(crate) script: Script,
    job: String,
}

impl Stage {
    pub(crate) async fn new(script: Script, build: impl FnOnce(JobBuilder, &Script) -> JobBuilder) -> Self {
        Self::with_settings(script, |_| {}, build).await
    }

    /// A stage whose node has settings of its own.
    pub(crate) async fn with_settings(
        script: Script,
        set: impl FnOnce(&mut EngineConfig),
        build: impl FnOnce(JobBuilder, &Script) -> JobBuilder,
    ) -> Self {
        let store = TestStore::new();
        let job = build(Job::builder("Job"), &script).build().unwrap();
        let engine = store.node_with([job], set).await;
        Self { store, engine, script, job: "Job".to_owned() }
    }

    /// The same store with another node, whose job is another one by now.
    pub(crate) async fn with_job(self, build: impl FnOnce(JobBuilder, &Script) -> JobBuilder) -> Self {
        self.engine.shutdown().await;
        let job = build(Job::builder("Job"), &self.script).build().unwrap();
        let engine = self.store.node([job]).await;
        Self { engine, ..self }
    }

    pub(crate) async fn launch_with(&self, parameters: &str, force: bool) -> JobExecution {
        let given = GivenParameters::from_json(parameters.as_bytes()).unwrap();
        let options = LaunchOptions { force, ..LaunchOptions::default() };
        let plan = self.plan().await;
        let launched = self.engine.launch(&self.job, given, options).await.unwrap();
        let execution = ended(&self.engine, launched.execution.id).await;
        if let Some((before, plan)) = plan
            && (before.instance_id, &before.parameters) == (execution.instance_id, &execution.parameters)
        {
            let course = if force { Some(plan.force.unwrap()) } else { plan.restart.ok() };
            if let Some(course) = course {
                check(&course, &execution, &steps(&self.engine, execution.id).await);
            }
        }
        execution
    }

    /// The last execution, and the plan of its restart.
    async fn plan(&self) -> Option<(JobExecution, RestartPlan)> {
        let page = PageRequest { before: None, limit: 1 };
        let page = self.engine.repository().executions(ExecutionFilter::default(), page).await.unwrap();
        let last = page.executions.into_iter().next()?;
        let plan = self.engine.restart_plan(last.id).await.unwrap();
        assert_eq!(plan, self.engine.restart_plan(last.id).await.unwrap());
        Some((last, plan))
    }

    /// Launches or resumes the job: what was run, the status and the exit code.
    pub(crate) async fn run(&self) -> (String, Status, String) {
        let execution = self.launch_with("{}", false).await;
        (self.script.take_ran(), execution.status, execution.exit_code.unwrap())
    }

    /// As `run`, with the message of the end.
    pub(crate) async fn run_told(&self) -> (String, Status, String) {
        let execution = self.launch_with("{}", false).await;
        (self.script.take_ran(), execution.status, execution.exit_message.unwrap_or_default())
    }

    /// The flow history: element, iteration, exit code, transition.
    pub(crate) async fn history(&self, id: i64) -> Vec<String> {
        let entries = self.engine.repository().flow_history(ExecutionId(id)).await.unwrap();
        entries
            .iter()
            .map(|entry| format!("{}#{} {} {}", entry.element, entry.iteration, entry.exit_code, entry.taken))
            .collect()
    }

    pub(crate) async fn close(self) {
        self.engine.shutdown().await;
    }
}

/// Each launch behind another one is a test of its plan: what was run is what was planned, as far as the steps ended as
/// the plan assumes.
fn check(course: &Course, execution: &JobExecution, ran: &[StepExecution]) {
    let told = || {
        let ran: Vec<_> = ran.iter().map(|step| (&step.step_name, step.iteration, step.status)).collect();
        format!("planned {course:#?}, ran {ran:?}")
    };
    let mut ran = ran.iter();
    let mut as_assumed = true;
    for element in &course.elements {
        match &element.action {
            PlannedAction::PassOver { .. } => continue,
            PlannedAction::Begin { .. } | PlannedAction::Resume(_) => {}
            // What follows was not planned.
            PlannedAction::Decide | PlannedAction::Refuse { .. } => return,
            other => panic!("{other:?}"),
        }
        let Some(step) = ran.next() else { panic!("'{}' was not run: {}", element.name, told()) };
        assert_eq!((&step.step_name, step.iteration), (&element.name, element.iteration), "{}", told());
        as_assumed &= element.is_final || step.exit_code.as_deref() == Some("COMPLETED");
        if !as_assumed {
            return;
        }
    }
    match &course.end {
        CourseEnd::Over { status, .. } => {
            assert!(ran.next().is_none(), "{}", told());
            let failed_at_its_end = execution.exit_code.as_deref() == Some("FINALLY_FAILED");
            assert!(execution.status == *status || failed_at_its_end, "{}", told());
        }
        other => panic!("{other:?} of what names no decider: {}", told()),
    }
}

/// A result of [`Stage::run`].
pub(crate) fn is(ran: &str, status: Status, exit_code: &str) -> (String, Status, String) {
    (ran.to_owned(), status, exit_code.to_owned())
}
