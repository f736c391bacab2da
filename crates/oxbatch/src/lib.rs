//! Batch jobs that lose, double and hang nothing: the library, the command line and the service.
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
//! chunks. The readers, processors and writers that come with it are listed in [`item`]; those of tables in the
//! repository's own database are in [`sqlite`].
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
mod commands;
mod duration;
mod error;
mod exit;
mod hide;
mod log;
mod node;
mod output;
mod program;
mod progress;
mod settings;
mod signals;
mod table;
mod view;

/// Dates and times, as parameters and typed items use them.
pub use jiff;
pub use oxbatch_core::job::RegistryError;
pub use oxbatch_core::{
    BoxError, BuildError, ChunkStep, DateTime, Decimal, Engine, EngineConfig, ItemError, ItemProcessor, ItemReader,
    ItemWriter, Job, JobExecution, JobParameters, JobRegistry, ParameterDeclaration, ParameterValue, RetryPolicy,
    SkipPolicy, Status, Step, StepContext, StepExecution, TaskOutcome, TaskStep, engine, execution, item, job,
    repository, step,
};
pub use program::{IntoRegistry, run};
/// Derives the types of items: `#[serde(crate = "oxbatch::serde")]`.
pub use serde;

/// The repository on PostgreSQL.
#[cfg(feature = "postgres")]
pub mod postgres {
    pub use oxbatch_storage::{PostgresChunkTransaction, PostgresRepository, PostgresSettings, tokio_postgres};
}

/// The repository on SQLite, and readers and writers of tables in its database.
pub mod sqlite {
    pub use oxbatch_storage::{SqliteChunkTransaction, SqliteReader, SqliteRepository, SqliteWriter, rusqlite};
}
