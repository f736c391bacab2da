//! Deciders: functions that choose the way by what has run before them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::execution::{
    ContextError, ExecutionContext, ExecutionId, JobParameters, Status, StepSummaries, StepSummary,
};
use crate::item::BoxError;

/// The time within which a decider has to answer, unless it is given another.
pub const DEFAULT_DECIDER_TIME_LIMIT: Duration = Duration::from_secs(5 * 60);

type Decide = Arc<dyn Fn(&DecisionFacts) -> Result<String, BoxError> + Send + Sync>;

/// A function that chooses the way. It runs no step.
#[derive(Clone)]
pub(crate) struct Decider {
    function: Decide,
    time_limit: Duration,
    version: Option<u32>,
}

impl fmt::Debug for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decider")
    }
}

impl Decider {
    pub(crate) fn new<F, C>(function: F) -> Self
    where
        F: Fn(&DecisionFacts) -> Result<C, BoxError> + Send + Sync + 'static,
        C: Into<String>,
    {
        let function = Arc::new(move |facts: &DecisionFacts| function(facts).map(Into::into));
        Self { function, time_limit: DEFAULT_DECIDER_TIME_LIMIT, version: None }
    }

    pub(super) fn set_time_limit(&mut self, limit: Duration) {
        self.time_limit = limit;
    }

    pub(super) fn set_version(&mut self, version: u32) {
        self.version = Some(version);
    }

    pub(crate) fn version(&self) -> Option<u32> {
        self.version
    }

    pub(crate) fn time_limit(&self) -> Duration {
        self.time_limit
    }

    pub(crate) fn decide(&self, facts: &DecisionFacts) -> Result<String, BoxError> {
        (self.function)(facts)
    }
}

/// The facts that a decider sees: the parameters and contexts of the execution, and the steps that have run before.
///
/// Counters are sums over all attempts since the last forced launch, so that a crash does not change the way.
#[derive(Debug, Clone)]
pub struct DecisionFacts {
    pub(crate) execution_id: ExecutionId,
    pub(crate) iteration: u32,
    pub(crate) parameters: JobParameters,
    pub(crate) steps: StepSummaries,
    pub(crate) last: Option<LastElement>,
    pub(crate) job_context: ExecutionContext,
}

/// The element that ended last before a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastElement {
    /// Its name.
    pub name: String,
    /// COMPLETED or FAILED.
    pub status: Status,
    /// Its exit code.
    pub exit_code: String,
}

impl DecisionFacts {
    /// The execution in which the decision is taken.
    pub fn execution_id(&self) -> ExecutionId {
        self.execution_id
    }

    /// The number of the round of a cycle, from 1.
    pub fn iteration(&self) -> u32 {
        self.iteration
    }

    /// The parameters of the execution.
    pub fn parameters(&self) -> &JobParameters {
        &self.parameters
    }

    /// A step that has run: its round on the way to this decision, else its latest; `None` for one that has not.
    pub fn step(&self, name: &str) -> Option<&StepSummary> {
        self.steps.get(name)
    }

    /// All steps that have run, by name.
    pub fn steps(&self) -> &StepSummaries {
        &self.steps
    }

    /// The element that ended last; `None` for a decider that is the first element.
    pub fn last(&self) -> Option<&LastElement> {
        self.last.as_ref()
    }

    /// An entry of the job's context.
    ///
    /// # Errors
    /// It cannot be read as a `T`.
    pub fn get_from_job<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ContextError> {
        self.job_context.get(key)
    }
}
