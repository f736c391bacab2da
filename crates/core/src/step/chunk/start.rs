//! The begin of a chunk step's definition: its name and its reader.

use std::sync::Arc;

use super::builder::{ChunkStepBuilder, NoWriter};
use super::part::IntoReader;
use super::rerun::DeclaredRerun;
use super::settings::{ItemSettings, Settings};
use super::totals::Declared;
use crate::item::PassThrough;
use crate::step::context::StepContext;
use crate::step::definition::StepRules;

/// A step that reads, processes and writes items in chunks, each one transaction.
///
/// ```
/// use oxbatch::item::{FunctionWriter, FunctionProcessor, ListReader};
/// use oxbatch::{ChunkStep, Job};
///
/// let job = Job::builder("Squares")
///     .step(
///         ChunkStep::builder("Square")
///             .reader(|_| ListReader::new(1..=50_i64))
///             .processor(|_| FunctionProcessor::new(|n: i64| Ok((n % 2 == 0).then_some(n * n))))
///             .writer(|_| FunctionWriter::new(|chunk: &[i64]| {
///                 println!("{} squares", chunk.len());
///                 Ok(())
///             }))
///             .chunk_size(10),
///     )
///     .build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// Reader, processor and writer are built anew for each step execution by functions that see its parameters and
/// contexts; nothing is shared between executions.
#[derive(Debug)]
pub struct ChunkStep;

impl ChunkStep {
    /// Starts the definition of a chunk step. It needs a reader and a writer; without a processor items pass as they
    /// are.
    pub fn builder(name: impl Into<String>) -> ChunkStepStart {
        ChunkStepStart { name: name.into() }
    }
}

/// A chunk step that has a name and nothing else: all that can be set depends on what is read, so the
/// [reader](Self::reader) comes first.
#[derive(Debug)]
pub struct ChunkStepStart {
    name: String,
}

impl ChunkStepStart {
    /// The function that builds the reader of an execution: it returns the reader, or a `Result` of it.
    pub fn reader<T, F, How>(self, factory: F) -> ChunkStepBuilder<T::Reader, PassThrough, NoWriter>
    where
        T: IntoReader<How>,
        F: Fn(&StepContext) -> T + Send + Sync + 'static,
    {
        ChunkStepBuilder {
            name: self.name,
            reader: Arc::new(move |context| factory(context).into_reader()),
            processor: Arc::new(|_: &StepContext| Ok(PassThrough)),
            writer: Arc::new(|_: &StepContext| Ok(NoWriter(()))),
            settings: Settings::default(),
            items: ItemSettings::default(),
            totals: Declared::default(),
            rerun: DeclaredRerun::default(),
            preview: None,
            rules: StepRules::default(),
        }
    }
}

/// A setting that stands before the reader: nothing is one. Without it the compiler would take these three for the
/// methods of iterators that they are named like.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the `.reader(…)` of a chunk step comes before all else that is set",
    label = "this comes behind `.reader(…)`"
)]
pub trait BeforeReader {}

#[doc(hidden)]
impl ChunkStepStart {
    pub fn skip<S: BeforeReader>(self, _: S) -> Self {
        self
    }

    pub fn map<S: BeforeReader>(self, _: S) -> Self {
        self
    }

    pub fn filter<S: BeforeReader>(self, _: S) -> Self {
        self
    }
}
