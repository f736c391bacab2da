//! The result of a run in a test.

use oxbatch_core::execution::{ExecutionContext, FlowEntry, StepSummaries, StepSummary, StoredSkip};
use oxbatch_core::repository::rules::flow::latest_rounds;
use oxbatch_core::repository::{FlowPast, JobRepository, Lease};
use oxbatch_core::{JobExecution, Status, StepExecution};

use super::executions;

/// Skipped items of a step execution that a test can read.
const MOST_SKIPS: u32 = 100_000;

/// A run of a job in a test, with all that is stored of it.
///
/// # Panics
/// Methods that take the name of a step panic when there is none, [`entry`](Self::entry) when its value has another
/// type.
#[derive(Debug, Clone)]
pub struct TestRun {
    execution: JobExecution,
    executions: Vec<JobExecution>,
    attempts: Vec<StepExecution>,
    skips: Vec<(String, StoredSkip)>,
    steps: StepSummaries,
    history: Vec<FlowEntry>,
    context: ExecutionContext,
}

impl TestRun {
    /// The run behind the executions that there were before.
    pub(super) async fn of(repository: &dyn JobRepository, execution: JobExecution, before: usize) -> Self {
        match Self::read(repository, execution, before).await {
            Ok(run) => run,
            Err(error) => panic!("the run cannot be read: {error}"),
        }
    }

    async fn read(
        repository: &dyn JobRepository,
        execution: JobExecution,
        before: usize,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let executions = executions(repository).await.split_off(before);
        let (mut attempts, mut skips) = (Vec::new(), Vec::new());
        for execution in &executions {
            for step in repository.steps(execution.id).await? {
                let of_step = repository.skips(step.id, None, MOST_SKIPS).await?.skips;
                skips.extend(of_step.into_iter().map(|skip| (step.step_name.clone(), skip)));
                attempts.push(step);
            }
        }
        // It is read alone, and not fenced: any epoch will do.
        let past = repository.flow_past(&Lease::on_execution(execution.id, 0)).await?;
        let FlowPast { entries: history, rounds, job_context, .. } = past;
        let steps = latest_rounds(&rounds);
        let context = job_context.as_deref().map(ExecutionContext::from_json).transpose()?.unwrap_or_default();
        Ok(Self { execution, executions, attempts, skips, steps, history, context })
    }

    /// The status at the end.
    pub fn status(&self) -> Status {
        self.execution.status
    }

    /// The exit code at the end.
    pub fn exit_code(&self) -> &str {
        self.execution.exit_code.as_deref().unwrap_or_default()
    }

    /// The message for people; empty where there is none.
    pub fn message(&self) -> &str {
        self.execution.exit_message.as_deref().unwrap_or_default()
    }

    /// The execution that ended it.
    pub fn execution(&self) -> &JobExecution {
        &self.execution
    }

    /// All executions of the run: each death of its process adds one.
    pub fn executions(&self) -> &[JobExecution] {
        &self.executions
    }

    /// The names of the steps that were run, in their order; each attempt stands for itself.
    pub fn ran(&self) -> Vec<&str> {
        self.attempts.iter().map(|step| step.step_name.as_str()).collect()
    }

    /// Each attempt of a step, in their order.
    pub fn attempts(&self) -> &[StepExecution] {
        &self.attempts
    }

    /// A step as later elements see it: its counters are summed over all attempts, those of earlier runs included.
    pub fn step(&self, name: &str) -> &StepSummary {
        match self.steps.get(name) {
            Some(step) => step,
            None => panic!("step '{name}' was not run"),
        }
    }

    /// The items that a step has skipped in this run, in their order.
    pub fn skips(&self, step: &str) -> Vec<&StoredSkip> {
        let _ = self.step(step);
        self.skips.iter().filter(|(of, _)| of == step).map(|(_, skip)| skip).collect()
    }

    /// The flow history: the elements that have ended, and the transitions that were taken. Empty for a plain sequence
    /// of steps.
    pub fn history(&self) -> &[FlowEntry] {
        &self.history
    }

    /// An entry of the job's context; `None` where there is none.
    pub fn entry<T: serde::de::DeserializeOwned>(&self, key: &str) -> Option<T> {
        match self.context.get(key) {
            Ok(entry) => entry,
            Err(error) => panic!("{error}"),
        }
    }
}
