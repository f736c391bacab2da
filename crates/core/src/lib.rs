//! The model and the engine of Oxbatch: jobs, steps, items, executions; no SQL, no HTTP.
//!
//! Authors of jobs use the crate `oxbatch`, which re-exports this one. A [`Job`] is made of steps, a [`TaskStep`] or a
//! [`ChunkStep`]; the [`Engine`] runs jobs and keeps all that happens in a
//! [`JobRepository`](repository::JobRepository).
//!
//! # Items
//!
//! | source or target | reader | writer | delivery |
//! |---|---|---|---|
//! | memory | [`item::ListReader`] | [`item::ListWriter`] | exactly once within a process |
//! | the author's functions | [`item::IteratorReader`], an iterator; [`item::StreamReader`], an async stream | [`item::FunctionWriter`], [`item::AsyncFunctionWriter`] | at least once |
//! | several readers' items as one, or looked at | [`item::GroupingReader`], [`item::PeekableReader`] | | |
//! | several targets | | [`item::TeeWriter`] to all, [`item::ClassifyingWriter`] to one by name | as each by itself |
//!
//! Each has an example on its page. Those of memory and of functions:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use oxbatch::ChunkStep;
//! use oxbatch::item::{IteratorReader, FunctionWriter, FunctionProcessor, ListReader, ListWriter};
//!
//! let squares = Arc::new(Mutex::new(Vec::new()));
//! let compute = ChunkStep::builder("Compute")
//!     .reader(|_| Ok(ListReader::new([1_u64, 2, 3])))
//!     .processor(|_| Ok(FunctionProcessor::new(|number: u64| Ok(Some(number * number)))))
//!     .writer(move |_| Ok(ListWriter::new(Arc::clone(&squares))));
//! let count = ChunkStep::builder("Count")
//!     .reader(|_| Ok(IteratorReader::new(0..10)))
//!     .writer(|_| Ok(FunctionWriter::new(|chunk: &[i32]| {
//!         println!("{}", chunk.len());
//!         Ok(())
//!     })));
//! # let job = oxbatch::Job::builder("Numbers").step(compute).step(count).build()?;
//! # Ok::<(), oxbatch::BuildError>(())
//! ```
//!
//! Files and their formats are in the crate `oxbatch-formats`.
//!
//! | processor | what it does | feature |
//! |---|---|---|
//! | [`item::PassThrough`] | passes items on; the default | |
//! | [`item::FunctionProcessor`], [`item::AsyncFunctionProcessor`] | the author's function, async or not | |
//! | [`item::FilterProcessor`] | keeps the items of which a function says so | |
//! | [`item::ChainProcessor`] | one processor after another | |
//! | [`item::ClassifyingProcessor`] | each item to one of several processors by name | |
//! | [`item::ValidatingProcessor`] | items that keep the rules of their type, derived with garde | `validation` |
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod access;
mod author_thread;
#[cfg(feature = "test-util")]
pub mod conformance;
mod decimal;
pub mod engine;
mod event;
pub mod execution;
pub mod item;
pub mod job;
pub mod listener;
pub mod log;
pub mod notice;
pub mod repository;
pub mod schedule;
pub mod secret;
pub mod step;
mod words;

pub use decimal::{Decimal, DecimalError, MAX_DECIMAL_PLACES, Summand};
pub use engine::{Engine, EngineConfig};
pub use execution::{JobExecution, Status, StepExecution};
pub use item::{BoxError, ItemError, ItemProcessor, ItemReader, ItemWriter};
pub use job::{
    BuildError, DateTime, DecisionFacts, FinallyWhen, Flow, Job, JobBuilder, JobParameters, JobRegistry,
    ParameterDeclaration, ParameterValue,
};
pub use schedule::Schedule;
pub use step::{ChunkStep, RetryPolicy, SkipPolicy, Step, StepContext, TaskOutcome, TaskStep};
