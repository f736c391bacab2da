//! The definition of a step: its name, its kind, its rules and its body.

use std::fmt;
use std::sync::Arc;

use super::body::{Reruns, StepBody};
use crate::job::BuildError;

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
}

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
