//! A step: a named part of a job, a task or a chunk loop, with the rules of its repetition.

mod block;
mod body;
mod chunk;
mod context;
mod definition;
pub mod exit_codes;
mod item_origin;
mod live;
mod overlay;
mod policy;
mod preview;
mod rate_limiter;
mod runtime;
mod save;
mod saved_contexts;
mod shared;
mod shared_values;
mod sharing;
mod task;
mod task_progress;

pub use body::Reruns;
pub(crate) use body::{BodyEnd, BodyError, BodyRun};
pub use chunk::{
    ByResult, ByValue, ChunkStep, ChunkStepBuilder, ChunkStepStart, DEFAULT_CHUNK_SIZE, IntoProcessor, IntoReader,
    IntoWriter, MAX_CHUNK_SIZE, MAX_PROCESSORS, MAX_WORKERS, NoWriter, ReadAhead,
};
pub(crate) use context::{EXIT_CODE_ENTRY, JobScope, StepScope};
pub use context::{StepContext, StopRequested};
pub use definition::{IntoStep, Step, StepKind};
pub use item_origin::ItemOrigin;
pub use live::LiveCounters;
pub use policy::{Backoff, RetryPolicy, SkipPolicy, SkippableError};
pub use preview::{PreviewOutcome, PreviewedItem};
pub(crate) use preview::{PreviewRun, ReadToEnd};
pub use rate_limiter::RateLimiter;
pub(crate) use runtime::ExecutionRuntime;
pub(crate) use saved_contexts::SavedContexts;
pub(crate) use shared::Shared;
pub use task::{TaskOutcome, TaskStep, TaskStepBuilder};
pub use task_progress::SaveError;
