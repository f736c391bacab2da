//! A step: a named part of a job, a task or a chunk loop, with the rules of its repetition.

mod chunk;
mod context;
mod live;
mod policy;
mod preview;
mod task;

use std::fmt;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

pub use chunk::{ChunkStep, ChunkStepBuilder, DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE, MAX_PROCESSORS, NotSet, ReadAhead};
pub(crate) use context::{JobScope, Shared, Side, StepScope};
pub use context::{StepContext, StopRequested};
pub use live::LiveCounters;
pub use policy::{Backoff, RetryPolicy, SkipPolicy};
pub use preview::{PreviewOutcome, PreviewedItem};
pub(crate) use preview::{PreviewRun, ReadToEnd};
pub use task::{TaskOutcome, TaskStep, TaskStepBuilder};

use crate::execution::StepState;
use crate::repository::ChunkTransaction;

/// Stack of the threads on which user code runs, in bytes: as the main thread's.
pub(crate) const STACK_BYTES: usize = 8 * 1024 * 1024;

/// The definition of a step. Cheap to clone; built by [`TaskStep::builder`] or [`ChunkStep::builder`].
#[derive(Clone)]
pub struct Step {
    definition: Arc<Definition>,
}

struct Definition {
    name: String,
    kind: StepKind,
    rules: StepRules,
    body: Box<dyn StepBody>,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// One call of a function.
    Task,
    /// Read, process, write, in chunks.
    Chunk {
        /// Items in a chunk; `None` when a parameter decides.
        size: Option<u32>,
    },
}

/// When a step runs again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StepRules {
    pub(crate) start_limit: Option<u32>,
    pub(crate) rerun_if_complete: bool,
    pub(crate) max_retries: u32,
}

/// How a step's body ended, when not by a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// All work is done.
    Completed {
        /// Exit code other than the status.
        exit_code: Option<String>,
    },
    /// It stopped at a safe point because of a request.
    Stopped,
}

/// Which of its skipped items a step can read back and run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reruns {
    /// None: it does not say how.
    Nothing,
    /// Those that failed in processing or writing, from their JSON.
    Items,
    /// Those that could not be read as well, from their raw text.
    ItemsAndRaw,
}

/// What a body gets to run one attempt.
pub(crate) struct BodyRun {
    pub(crate) context: StepContext,
    pub(crate) state: StepState,
    /// Control totals of the earlier attempts, as JSON.
    pub(crate) control_totals: Option<String>,
    /// Whether an earlier attempt has left a state.
    pub(crate) resumed: bool,
    pub(crate) transaction: Box<dyn ChunkTransaction>,
}

/// A fault that ends a step: the whole chain of causes as text.
#[derive(Debug)]
pub(crate) enum BodyFault {
    /// The author's code, the input or the output.
    Failed(String),
    /// The execution belongs to another node by now: nothing may be recorded.
    LeaseLost,
}

/// The erased body of a step: the only virtual call, once per step execution.
pub(crate) trait StepBody: Send + Sync {
    fn run(&self, run: BodyRun) -> LocalBoxFuture<'_, Result<BodyEnd, BodyFault>>;

    /// Reads and processes its first items, where [`can_preview`](Self::can_preview) says so.
    fn preview(&self, run: PreviewRun) -> LocalBoxFuture<'_, Result<ReadToEnd, String>> {
        drop(run);
        Box::pin(std::future::ready(Err("the step has no preview".to_owned())))
    }

    /// Whether its items can be shown.
    fn can_preview(&self) -> bool {
        false
    }

    /// Which of its skipped items it runs again when its execution is a re-run.
    fn reruns(&self) -> Reruns {
        Reruns::Nothing
    }
}

impl Step {
    fn new(name: String, kind: StepKind, rules: StepRules, body: impl StepBody + 'static) -> Self {
        Self { definition: Arc::new(Definition { name, kind, rules, body: Box::new(body) }) }
    }

    /// Its name, unique within the job.
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// What it does.
    pub fn kind(&self) -> StepKind {
        self.definition.kind
    }

    /// How many attempts an instance allows it; `None` for any number.
    pub fn start_limit(&self) -> Option<u32> {
        self.definition.rules.start_limit
    }

    /// Whether it runs again although an earlier execution of the instance has completed it.
    pub fn reruns_if_complete(&self) -> bool {
        self.definition.rules.rerun_if_complete
    }

    /// How many additional attempts its work is given within one step execution.
    pub fn max_retries(&self) -> u32 {
        self.definition.rules.max_retries
    }

    /// Whether its first items can be shown by a preview.
    pub fn can_preview(&self) -> bool {
        self.definition.body.can_preview()
    }

    /// Which of its skipped items it can read back and run again.
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
