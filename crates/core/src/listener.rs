//! Listeners: the author's code that is called before and after a job, a step, a chunk or an item, on skips and on
//! retries.
//!
//! | trait | called | may return |
//! |---|---|---|
//! | [`JobListener`] | before the first step of an execution, and when its end is known | |
//! | [`StepListener`] | before and after a step | another exit code |
//! | [`ChunkListener`] | before each attempt to write a chunk, after its commit, on its roll-back | |
//! | [`ItemListener`] | around each read, each processing and each write | |
//! | [`SkipListener`] | once for each skipped item, when its chunk is committed | |
//! | [`RetryListener`] | before each repetition | |
//!
//! All methods have empty defaults. A set of them, [`Listeners`], is built anew for each execution by a function that
//! is given to [`JobBuilder::listener`](crate::JobBuilder::listener), and for each step execution by one that is given
//! to [`ChunkStepBuilder::listener`](crate::step::ChunkStepBuilder::listener) or
//! [`TaskStepBuilder::listener`](crate::step::TaskStepBuilder::listener).
//! [`EngineConfig::listeners`](crate::EngineConfig::listeners) adds one for all jobs of a node. One object can stand in
//! a set several times, as an [`Arc`](std::sync::Arc):
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering};
//!
//! use oxbatch::execution::SkippedItem;
//! use oxbatch::listener::{JobContext, JobEnd, JobListener, Listeners, SkipListener};
//! use oxbatch::{BoxError, Job, StepContext, TaskStep};
//!
//! #[derive(Default)]
//! struct Watch {
//!     skipped: AtomicU64,
//! }
//!
//! impl SkipListener for Watch {
//!     fn on_skip(&self, _: &StepContext, _: &SkippedItem) -> Result<(), BoxError> {
//!         self.skipped.fetch_add(1, Ordering::Relaxed);
//!         Ok(())
//!     }
//! }
//!
//! impl JobListener for Watch {
//!     async fn after_job(&self, context: &JobContext, end: &JobEnd) -> Result<(), BoxError> {
//!         println!("{} {}: {} skipped", context.job_name(), end.status, self.skipped.load(Ordering::Relaxed));
//!         Ok(())
//!     }
//! }
//!
//! let job = Job::builder("Nightly")
//!     .listener(|_| {
//!         let watch = Arc::new(Watch::default());
//!         Ok(Listeners::new().skip(Arc::clone(&watch)).job(watch))
//!     })
//!     .before_step(|context| {
//!         println!("{} begins", context.step_name());
//!         Ok(())
//!     })
//!     .step(TaskStep::builder("Work", |_| Ok(())))
//!     .build()?;
//! # Ok::<(), oxbatch::BuildError>(())
//! ```
//!
//! # Order
//! Listeners of the node come first, then those of the job, then those of the step, each in the order in which they
//! were added. What is called afterwards (`after_…`, `on_…`) is called in the reverse order.
//!
//! # Errors
//! An error of a `before_…` method fails what it precedes: the job, the step, the chunk, the read, the processing or
//! the write. An error of an `after_…` or `on_…` method changes nothing: it is recorded in the exit message of the
//! step, or of the execution, and is an [`Event::ListenerFailed`](crate::engine::Event::ListenerFailed). A panic is an
//! error with its message.
//!
//! # Threads
//! Listeners of steps, chunks, items, skips and retries are called on the threads of the step, next to its reader,
//! processor and writer. Listeners of jobs run on the thread of the execution's own runtime, which ends with the
//! execution. One that hangs is treated as any author's code: a stop waits for it as long as its grace lasts, then it
//! is left behind.
//!
//! # Deliveries that must not be lost
//! A listener is called in the process that runs the execution, so its call is lost when that process dies. The
//! statuses, the counters and the skipped items are in the repository all the same.

mod call;
mod chunk;
pub(crate) mod function;
mod item;
mod job;
mod set;
mod state;
mod step;

pub(crate) use call::{JobMoment, report_retry, run_listened, run_listened_job};
pub use chunk::{ChunkListener, Retry, RetryListener, RetryPhase, SkipListener};
pub(crate) use function as functions;
pub(crate) use function::{job_methods, step_methods};
pub(crate) use item::ItemListenerFactory;
pub use item::{ItemListener, ListenedProcessor, ListenedReader, ListenedWriter};
pub use job::{JobContext, JobEnd, JobListener};
pub(crate) use set::StepListeners;
pub use set::{ListenerFactory, Listeners};
pub(crate) use state::{JobListening, StepListening};
pub use step::{StepEnd, StepListener};
