//! The definition of a step: its name, its kind, its rules and its body.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::body::{Reruns, StepBody};
use crate::item::{Checkpoint, Origin};
use crate::job::{BuildError, PartNames};

/// The definition of a step. Cheap to clone; built by [`TaskStep::builder`](crate::TaskStep::builder) or
/// [`ChunkStep::builder`](crate::ChunkStep::builder).
#[derive(Clone)]
pub struct Step {
    name: Arc<str>,
    definition: Arc<Definition>,
}

struct Definition {
    kind: StepKind,
    rules: StepRules,
    body: Box<dyn StepBody>,
}

/// The kind of work of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepKind {
    /// One call of a function.
    Task,
    /// Read, process, write, in chunks.
    Chunk {
        /// Items in a chunk; `None` when a parameter decides.
        size: Option<u32>,
    },
}

/// The rules by which a step runs again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StepRules {
    pub(crate) start_limit: Option<u32>,
    pub(crate) rerun_if_complete: bool,
    pub(crate) max_retries: u32,
    pub(crate) time_limit: Option<Duration>,
    pub(crate) version: Option<u32>,
}

impl StepRules {
    /// The problem with rules under which a step would never run.
    pub(crate) fn problem(&self) -> Option<String> {
        match (self.start_limit, self.time_limit) {
            (Some(0), _) => Some("a start limit of 0 never lets it run".to_owned()),
            (_, Some(Duration::ZERO)) => Some("a time limit of 0 never lets it run".to_owned()),
            _ => None,
        }
    }
}

/// The methods of a step's builder that set its rules: those of a task and a chunk step are the same.
macro_rules! rule_methods {
    () => {
        /// Allows at most this many attempts per job instance, restarts included.
        #[must_use]
        pub fn start_limit(mut self, attempts: u32) -> Self {
            self.rules.start_limit = Some(attempts);
            self
        }

        /// Runs it again, from its start, in a restart although it is COMPLETED.
        #[must_use]
        pub fn rerun_if_complete(mut self) -> Self {
            self.rules.rerun_if_complete = true;
            self
        }

        /// Ends it once it has run this long: it is FAILED with the exit code
        /// [`TIMEOUT`](crate::execution::EXIT_TIMEOUT), which transitions can match.
        ///
        /// Its running time counts from its begin, goes on over a crash and a shutdown after which the execution
        /// resumes by itself, and begins anew when a person restarts it. A step at its limit is asked to stop, and has
        /// the grace of a stop; what completes in it is COMPLETED.
        #[must_use]
        pub fn time_limit(mut self, limit: std::time::Duration) -> Self {
            self.rules.time_limit = Some(limit);
            self
        }

        /// The version of the step's code, which no fingerprint of the definition sees: with another one, an execution
        /// that has completed the step, or would resume it, is not restarted unless the change is accepted.
        #[must_use]
        pub fn version(mut self, version: u32) -> Self {
            self.rules.version = Some(version);
            self
        }
    };
}
pub(crate) use rule_methods;

impl Step {
    pub(super) fn new(name: String, kind: StepKind, rules: StepRules, body: impl StepBody + 'static) -> Self {
        Self { name: name.into(), definition: Arc::new(Definition { kind, rules, body: Box::new(body) }) }
    }

    /// The same step under another name: that of a flow stands before its own.
    pub(crate) fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Its name, unique within the job.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind of its work.
    pub fn kind(&self) -> StepKind {
        self.definition.kind
    }

    /// The number of attempts that an instance allows it; `None` for any.
    pub fn start_limit(&self) -> Option<u32> {
        self.definition.rules.start_limit
    }

    /// True if it runs again although an earlier execution of the instance has completed it.
    pub fn reruns_if_complete(&self) -> bool {
        self.definition.rules.rerun_if_complete
    }

    /// The longest that it may run; `None` for any time.
    pub fn time_limit(&self) -> Option<Duration> {
        self.definition.rules.time_limit
    }

    /// The version that the author gives its code.
    pub fn version(&self) -> Option<u32> {
        self.definition.rules.version
    }

    /// The types of its parts; `None` for a task.
    pub(crate) fn part_names(&self) -> Option<PartNames> {
        self.definition.body.part_names()
    }

    /// The number of additional attempts that its work is given within one step execution.
    pub fn max_retries(&self) -> u32 {
        self.definition.rules.max_retries
    }

    /// True if its first items can be shown by a preview.
    pub fn can_preview(&self) -> bool {
        self.definition.body.can_preview()
    }

    /// The skipped items that it can read back and run again.
    pub fn reruns(&self) -> Reruns {
        self.definition.body.reruns()
    }

    /// The place that a checkpoint of its reader describes, where that can tell.
    pub fn place_of(&self, checkpoint: &Checkpoint) -> Option<Origin> {
        self.definition.body.place_of(checkpoint)
    }

    pub(crate) fn body(&self) -> &dyn StepBody {
        self.definition.body.as_ref()
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("name", &self.name()).field("kind", &self.kind()).finish_non_exhaustive()
    }
}

/// A step, or the builder of one: what [`JobBuilder::step`](crate::JobBuilder::step) takes.
///
/// A chunk step can be built when it has a writer of what its processor makes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no step",
    note = "a step is built by `ChunkStep::builder(name).reader(…).processor(…).writer(…)` or `TaskStep::builder(name, function)`"
)]
pub trait IntoStep {
    /// The step.
    ///
    /// # Errors
    /// [`BuildError`] names a setting that cannot be, or that contradicts another.
    fn into_step(self) -> Result<Step, BuildError>;
}

impl IntoStep for Step {
    fn into_step(self) -> Result<Step, BuildError> {
        Ok(self)
    }
}
