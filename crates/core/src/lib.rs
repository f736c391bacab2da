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
//! | the author's functions | [`item::CallableReader`] | [`item::CallableWriter`] | | at least once |
//! | CSV, TSV | [`item::CsvReader`] | [`item::CsvWriter`] | `csv` | exactly once |
//! | JSON Lines | [`item::JsonLinesReader`] | [`item::JsonLinesWriter`] | `json` | exactly once |
//! | JSON array | [`item::JsonArrayReader`] | [`item::JsonArrayWriter`] | `json` | exactly once |
//! | fixed width | [`item::FixedWidthReader`] | [`item::FixedWidthWriter`] | `fixed-width` | exactly once |
//! | XML | [`item::XmlReader`] | [`item::XmlWriter`] | `xml` | exactly once |
//!
//! Writers over others: [`item::TeeWriter`] to several at once, [`item::ClassifyingWriter`] to one of several by name; each
//! delivers as it does by itself.
//!
//! Every file writer is a [`item::FileWriter`]: header and footer, sequences of files, gzip and zstd (features `gzip` and
//! `zstd`) are the same for all of them; an author's own format is an [`item::RecordEncoder`].
//!
//! A reader of files reads one; [`item::FilesReader`] (feature `files`) reads all that match a pattern by any of them.
//! Compressed files are known by their content and read with the features `gzip` and `zstd`. [`item::GroupingReader`]
//! makes one item of consecutive ones, [`item::PeekableReader`] looks ahead.
//!
//! Processors: [`item::FunctionProcessor`], [`item::PassThrough`].
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
