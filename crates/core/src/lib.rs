//! The model and the engine of Oxbatch: jobs, steps, items, executions; no SQL, no HTTP.
//!
//! Authors of jobs use the crate `oxbatch`, which re-exports this one. A [`Job`] is made of steps, a [`TaskStep`] or a
//! [`ChunkStep`]; the [`Engine`] runs jobs and keeps all that happens in a [`JobRepository`](repository::JobRepository).
//!
//! # Items
//!
//! | format | reader | writer | feature | delivery |
//! |---|---|---|---|---|
//! | memory | [`item::ListReader`] | [`item::ListWriter`] | | exactly once within a process |
//! | the author's functions | [`item::CallableReader`], an iterator; [`item::StreamReader`], an async stream | [`item::CallableWriter`], [`item::AsyncWriter`] | | at least once |
//! | CSV, TSV | [`item::CsvReader`] | [`item::CsvWriter`] | `csv` | exactly once |
//! | CSV with records of several types | [`item::MixedCsvReader`] | | `csv` | |
//! | JSON Lines | [`item::JsonLinesReader`] | [`item::JsonLinesWriter`] | `json` | exactly once |
//! | JSON array | [`item::JsonArrayReader`] | [`item::JsonArrayWriter`] | `json` | exactly once |
//! | fixed width | [`item::FixedWidthReader`] | [`item::FixedWidthWriter`] | `fixed-width` | exactly once |
//! | fixed width with lines of several types | [`item::MixedFixedWidthReader`] | | `fixed-width` | |
//! | XML | [`item::XmlReader`] | [`item::XmlWriter`] | `xml` | exactly once |
//! | many files by pattern | [`item::FilesReader`], each by any reader | | `files` | |
//! | an author's own text format | | [`item::FileWriter`] of a [`item::RecordEncoder`] | | exactly once |
//! | gzip, Zstandard | by content, under any reader of text | [`item::Compression`], for any file writer | `gzip`, `zstd` | exactly once |
//! | several readers' items as one, or looked at | [`item::GroupingReader`], [`item::PeekableReader`] | | | |
//! | several targets | | [`item::TeeWriter`] to all, [`item::ClassifyingWriter`] to one by name | | as each by itself |
//!
//! Each has an example on its page. Those of memory and of functions:
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use oxbatch_core::ChunkStep;
//! use oxbatch_core::item::{CallableReader, CallableWriter, FunctionProcessor, ListReader, ListWriter};
//!
//! let squares = Arc::new(Mutex::new(Vec::new()));
//! let compute = ChunkStep::builder("Compute")
//!     .reader(|_| Ok(ListReader::new([1_u64, 2, 3])))
//!     .processor(|_| Ok(FunctionProcessor::new(|number: u64| Ok(Some(number * number)))))
//!     .writer(move |_| Ok(ListWriter::new(Arc::clone(&squares))));
//! let count = ChunkStep::builder("Count")
//!     .reader(|_| Ok(CallableReader::new(0..10)))
//!     .writer(|_| Ok(CallableWriter::new(|chunk: &[i32]| {
//!         println!("{}", chunk.len());
//!         Ok(())
//!     })));
//! # let job = oxbatch_core::Job::builder("Numbers").step(compute).step(count).build()?;
//! # Ok::<(), oxbatch_core::BuildError>(())
//! ```
//!
//! Every file writer is a [`item::FileWriter`]: header and footer, sequences of files, gzip and zstd (features `gzip` and
//! `zstd`) are the same for all of them; an author's own format is an [`item::RecordEncoder`]. A file that is there is
//! replaced, refused or appended to ([`item::OnExisting`]).
//!
//! | processor | what it does | feature |
//! |---|---|---|
//! | [`item::PassThrough`] | passes items on; the default | |
//! | [`item::FunctionProcessor`], [`item::AsyncProcessor`] | the author's function, async or not | |
//! | [`item::FilterProcessor`] | keeps the items of which a function says so | |
//! | [`item::ChainProcessor`] | one processor after another | |
//! | [`item::ClassifyingProcessor`] | each item to one of several processors by name | |
//! | [`item::DistinctProcessor`] | the first item of each key, exact over restarts, in bounded memory | |
//! | [`item::ValidatingProcessor`] | items that keep the rules of their type, derived with garde | `validation` |
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "test-util")]
pub mod conformance;
mod decimal;
pub mod engine;
pub mod execution;
pub mod item;
pub mod job;
pub mod repository;
pub mod step;

pub use decimal::{Decimal, DecimalFault, MAX_DECIMAL_PLACES, Summand};
pub use engine::{Engine, EngineConfig};
pub use execution::{JobExecution, Status, StepExecution};
pub use item::{BoxError, ItemError, ItemProcessor, ItemReader, ItemWriter};
pub use job::{
    BuildError, DateTime, Job, JobBuilder, JobParameters, JobRegistry, ParameterDeclaration, ParameterValue,
};
pub use step::{ChunkStep, RetryPolicy, SkipPolicy, Step, StepContext, TaskOutcome, TaskStep};
