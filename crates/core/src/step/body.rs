//! The erased body of a step: what it gets to run, and how it ends.

use futures_util::future::LocalBoxFuture;

use super::context::StepContext;
use super::preview::{PreviewRun, ReadToEnd};
use crate::execution::StepState;
use crate::item::{Checkpoint, Origin};
use crate::job::PartNames;
use crate::listener::StepListeners;
use crate::repository::ChunkTransaction;

/// The end of a step's body that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// All work is done.
    Completed {
        /// Exit code other than the status.
        exit_code: Option<String>,
    },
    /// It failed by its own word, with an exit code.
    Failed {
        /// Exit code other than the status.
        exit_code: String,
        /// Message on the end, where there is one.
        message: Option<String>,
    },
    /// It stopped at a safe point because of a request.
    Stopped,
}

/// The skipped items that a step can read back and run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reruns {
    /// None: it does not say how.
    Nothing,
    /// Those that failed in processing or writing, from their JSON.
    Items,
    /// Those that could not be read as well, from their raw text.
    ItemsAndRaw,
}

/// The input of a body for one attempt.
pub(crate) struct BodyRun {
    pub(crate) context: StepContext,
    pub(crate) state: StepState,
    /// Control totals of the earlier attempts, as JSON.
    pub(crate) control_totals: Option<String>,
    /// True if an earlier attempt has left a state.
    pub(crate) resumed: bool,
    pub(crate) transaction: Box<dyn ChunkTransaction>,
}

/// An error that ends a step: the whole chain of causes as text.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The author's code, the input or the output.
    Failed(String),
    /// The execution belongs to another node by now: nothing may be recorded.
    LeaseLost,
}

/// The erased body of a step: the only virtual call, once per step execution.
pub(crate) trait StepBody: Send + Sync {
    fn run(&self, run: BodyRun) -> LocalBoxFuture<'_, Result<BodyEnd, BodyError>>;

    /// Reads and processes its first items, where [`can_preview`](Self::can_preview) says so.
    fn preview(&self, run: PreviewRun) -> LocalBoxFuture<'_, Result<ReadToEnd, String>> {
        drop(run);
        Box::pin(std::future::ready(Err("the step has no preview".to_owned())))
    }

    /// The listeners that the step declares.
    fn listeners(&self) -> Option<&StepListeners> {
        None
    }

    /// True if its items can be shown.
    fn can_preview(&self) -> bool {
        false
    }

    /// The types of its parts, where it has any.
    fn part_names(&self) -> Option<PartNames> {
        None
    }

    /// The skipped items that it runs again when its execution is a re-run.
    fn reruns(&self) -> Reruns {
        Reruns::Nothing
    }

    /// The place that a checkpoint of its reader describes, where that can tell.
    fn place_of(&self, checkpoint: &Checkpoint) -> Option<Origin> {
        let _ = checkpoint;
        None
    }
}
