//! Batch jobs that never lose, duplicate or hang work: the library, the command line and the service.
//!
//! A service of one's own is a crate of two files that depends on this one alone. `main.rs` calls [`run`], which is the
//! whole command line, and through it the service with its HTTP interface:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use oxbatch::{BuildError, Job, JobRegistry, RegistryError, TaskStep};
//!
//! fn registry() -> Result<JobRegistry, RegistryError> {
//!     let greeting = Job::builder("Greeting")
//!         .step(TaskStep::builder("Greet", |context| {
//!             println!("hello from {}", context.step_name());
//!             Ok(())
//!         }))
//!         .build()?;
//!     JobRegistry::new([greeting])
//! }
//!
//! fn main() -> ExitCode {
//!     oxbatch::run(registry())
//! }
//! ```
//!
//! A [`Job`] is made of steps: a [`TaskStep`] calls a function, a [`ChunkStep`] reads, processes and writes items in
//! chunks. The readers, processors and writers that come with it are listed in [`item`]; those of tables are in
//! [`sqlite`] and [`postgres`].
//!
//! # Items
//!
//! Delivery is that of the writer; every reader goes on where the last committed chunk ended. A feature is one of this
//! crate; what needs none is always there. Each type has an example on its page.
//!
//! | format | reader | writer | feature | delivery |
//! |---|---|---|---|---|
//! | memory | [`item::ListReader`] | [`item::ListWriter`] | | exactly once within a process |
//! | the author's functions | [`item::IteratorReader`], an iterator; [`item::StreamReader`], an async stream | [`item::FunctionWriter`], [`item::AsyncFunctionWriter`] | | at least once |
//! | CSV, TSV | [`item::CsvReader`] | [`item::CsvWriter`] | | exactly once |
//! | CSV with records of several types | [`item::MixedCsvReader`] | | | |
//! | JSON Lines | [`item::JsonLinesReader`] | [`item::JsonLinesWriter`] | | exactly once |
//! | JSON array | [`item::JsonArrayReader`] | [`item::JsonArrayWriter`] | | exactly once |
//! | fixed width | [`item::FixedWidthReader`] | [`item::FixedWidthWriter`] | `fixed-width` | exactly once |
//! | fixed width with lines of several types | [`item::MixedFixedWidthReader`] | | `fixed-width` | |
//! | XML | [`item::XmlReader`] | [`item::XmlWriter`] | `xml` | exactly once |
//! | many files by pattern | [`item::FilesReader`], each by any reader | | `files` | |
//! | an author's own text format | [`item::FileReader`] of a [`item::RecordDecoder`] | [`item::FileWriter`] of a [`item::RecordEncoder`] | | exactly once |
//! | gzip, Zstandard | by content, under any reader of text | [`item::Compression`], for any file writer | `gzip`, `zstd` | exactly once |
//! | other encodings than UTF-8 | `encoding`, of any reader of text | | `encoding` | |
//! | several readers' items as one, or looked at | [`item::GroupingReader`], [`item::PeekableReader`], [`item::ChainReader`] | | | |
//! | another reader's items, mapped, numbered or the first of them | [`item::ItemReaderExt`] | | | |
//! | several targets | | [`item::TeeWriter`] to all, [`item::ClassifyingWriter`] to one by name, [`item::ItemWriterExt::map_input`] | | as each by itself |
//! | tables of whichever database keeps the executions | [`item::TableReader`] along a unique key | [`item::TableWriter`]: insert, upsert, update, delete | | exactly once |
//! | SQLite tables and queries | [`sqlite::SqliteReader`] along a unique key, [`sqlite::SqliteCursorReader`] for any query | [`sqlite::SqliteWriter`]: insert, upsert, update, delete | | exactly once; in a file that is not the repository's [if asked](sqlite::SqliteWriter::exactly_once), else at least once |
//! | PostgreSQL tables and queries | [`postgres::PostgresReader`] along a unique key, by pages, a cursor or `COPY` | [`postgres::PostgresWriter`]: insert, upsert, update, delete | `postgres` | exactly once; in a database that is not the repository's [if asked](postgres::PostgresWriter::exactly_once), else at least once |
//!
//! | processor | what it does | feature |
//! |---|---|---|
//! | [`item::PassThrough`] | passes items on; the default | |
//! | [`item::FunctionProcessor`], [`item::AsyncFunctionProcessor`] | the author's function, async or not | |
//! | [`item::FilterProcessor`] | keeps the items of which a function says so | |
//! | [`item::ChainProcessor`] | one processor after another | |
//! | [`item::ClassifyingProcessor`] | each item to one of several processors by name | |
//! | [`item::DistinctProcessor`] | the first item of each key, exact over restarts, in bounded memory | |
//! | [`item::ValidatingProcessor`] | items that keep the rules of their type, derived with garde | `validation` |
//!
//! # Types
//!
//! Items are typed by serde, which a crate reaches through this one:
//!
//! ```
//! use oxbatch::serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize, Serialize)]
//! #[serde(crate = "oxbatch::serde")]
//! struct Order {
//!     id: u64,
//!     amount: f64,
//! }
//! ```

mod cli;
mod colour;
mod commands;
mod completion;
mod connection;
mod database;
mod duration;
mod error;
mod exit;
mod hide;
mod log;
mod notices;
mod output;
mod parameters;
mod program;
mod progress;
mod remote;
mod service;
mod settings;
mod signals;
mod systemd;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
mod trace_parent;
mod traces;
mod trail;
mod user;
mod view;

/// Dates and times, as parameters and typed items use them.
pub use jiff;
pub use oxbatch_core::job::RegistryError;
pub use oxbatch_core::{
    BoxError, BuildError, ChunkStep, DateTime, Decimal, DecisionFacts, Engine, EngineConfig, FinallyWhen, Flow,
    ItemError, ItemProcessor, ItemReader, ItemWriter, Job, JobExecution, JobParameters, JobRegistry,
    ParameterDeclaration, ParameterValue, RetryPolicy, Schedule, SkipPolicy, Status, Step, StepContext, StepExecution,
    TaskOutcome, TaskStep, engine, execution, job, listener, repository, schedule, secret, step,
};
pub use program::{IntoRegistry, run};
/// Derives the types of items: `#[serde(crate = "oxbatch::serde")]`.
pub use serde;
pub use service::{Service, service};

/// Readers, processors and writers, and the contracts between the engine and the authors of items' ways.
pub mod item {
    #[doc(inline)]
    pub use oxbatch_core::item::*;
    #[doc(inline)]
    pub use oxbatch_formats::*;
    #[doc(inline)]
    pub use oxbatch_storage::{TableReader, TableValue, TableWriter};
}

/// The repository on PostgreSQL, and readers and writers of tables in its database and in others.
#[cfg(feature = "postgres")]
pub mod postgres {
    pub use oxbatch_storage::{
        PostgresChunkTransaction, PostgresReader, PostgresRepository, PostgresSettings, PostgresWriter, WriteForm,
        tokio_postgres,
    };
}

/// The repository on SQLite, and readers and writers of tables in its database and in other files.
pub mod sqlite {
    pub use oxbatch_storage::{
        SqliteChunkTransaction, SqliteCursorReader, SqliteReader, SqliteRepository, SqliteWriter, rusqlite,
    };
}

/// The examples of the page on parameters, to be compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/PARAMETERS.md")]
pub struct ParametersPage;

/// The example of the page on schedules, to be compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/SCHEDULES.md")]
pub struct SchedulesPage;
