//! Readers, processors and writers: the contracts between the engine and the authors of items' ways.

mod block_reader;
mod chain_processor;
mod chain_reader;
mod checkpoint;
mod classifying_processor;
mod classifying_writer;
mod counted;
mod error;
pub(crate) mod forward;
mod function;
mod grouping_reader;
mod guard;
mod json_text;
mod json_value;
mod list;
mod map_input_writer;
mod map_reader;
mod none;
mod numbered_reader;
mod origin;
mod output_encoder;
mod peekable_reader;
mod reader_ext;
mod reject;
mod stream_reader;
mod syncer;
mod take_reader;
mod tee_writer;
#[cfg(feature = "validation")]
mod validating_processor;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

pub use block_reader::{BlockReader, DecodedBlock, Marks};
pub use chain_processor::ChainProcessor;
pub use chain_reader::ChainReader;
pub use checkpoint::Checkpoint;
pub use classifying_processor::{ClassifyingProcessor, NoRoutes, ProcessorRoute, ProcessorRoutes};
pub use classifying_writer::ClassifyingWriter;
pub(crate) use error::as_item_error;
pub use error::{BoxError, ErrorKind, ItemError, RAW_TEXT};
pub use function::{
    AsyncFunctionProcessor, AsyncFunctionWriter, FilterProcessor, FunctionProcessor, FunctionWriter, IteratorReader,
    PassThrough,
};
pub use grouping_reader::GroupingReader;
pub use guard::{Guard, Guarded};
pub use json_text::{FiniteJson, ShownJson, write_json};
pub use json_value::{JsonError, read_json, read_json_by};
pub use list::{ListReader, ListWriter};
pub use map_input_writer::{ItemWriterExt, MapInputWriter};
pub use map_reader::MapReader;
pub use numbered_reader::NumberedReader;
pub use origin::{Origin, Position, ShownPosition};
pub use output_encoder::{EncodedOutputs, OutputEncoder};
pub use peekable_reader::PeekableReader;
pub use reader_ext::ItemReaderExt;
pub use reject::Reject;
pub use stream_reader::StreamReader;
pub use syncer::Syncer;
pub use take_reader::TakeReader;
pub use tee_writer::TeeWriter;

#[cfg(feature = "validation")]
pub use garde;
#[cfg(feature = "validation")]
pub use validating_processor::ValidatingProcessor;

use crate::repository::ChunkTransaction;

/// Reads items one at a time.
///
/// # Contract
/// - The engine calls `open` once, then `read` until it returns `None` or an error that nobody retries, then `close`,
///   whatever happened in between.
/// - `checkpoint` describes the position behind the last item that `read` returned. `open` with that checkpoint goes on
///   with the next item: no item twice, none left out. It seeks where the source can.
/// - An error of kind [`ErrorKind::Transient`] leaves the position where it was: `read` may be called again. After any
///   other error the position is behind the item that could not be read; a reader that cannot get there says that the
///   error is [fatal](ItemError::fatal).
/// - A reader is built anew for each step execution and shared with nobody.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no reader",
    note = "a chunk step's `.reader(…)` takes a function that returns something that implements `ItemReader`, or `Ok` of it"
)]
pub trait ItemReader: Send {
    /// The type of the items.
    type Item: Send;

    /// True if [`read`](Self::read) may be dropped where it waits: [`checkpoint`](Self::checkpoint) then still
    /// describes the position behind the last item that was returned. A stop drops a read that waits. With this the
    /// items of the chunk before it are written and committed; without it they are read again by the next attempt.
    const CANCEL_SAFE: bool = false;

    /// Opens the source, at its start or at a checkpoint of an earlier attempt.
    fn open(&mut self, checkpoint: Option<&Checkpoint>) -> impl Future<Output = Result<(), ItemError>> + Send {
        let _ = checkpoint;
        async { Ok(()) }
    }

    /// The next item; `None` at the end of the source.
    fn read(&mut self) -> impl Future<Output = Result<Option<Self::Item>, ItemError>> + Send;

    /// The next item when it is at hand: without waiting, and without an error. Readers that need not wait spare the
    /// price of a future by it. For all others, after an error and at the end it is `None`, and [`read`](Self::read),
    /// which is called next, before anything else, tells more.
    #[inline]
    fn read_now(&mut self) -> Option<Self::Item> {
        None
    }

    /// The position behind the last item; `None` for a source that always starts anew.
    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Ok(None)
    }

    /// Share of the source that has been read, 0 to 1, where it can be reported cheaply.
    fn progress(&self) -> Option<f64> {
        None
    }

    /// The files that it reads, once it is open: the step's writer must not replace one of them.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The file and the position of the last item that was returned, where they are known; asked for right behind it,
    /// and cheap: no text is made of it yet. An error of the item in processing or writing carries it, and so does what
    /// is kept of it when it is skipped.
    fn origin(&self) -> Option<Origin> {
        None
    }

    /// The place in the source that a checkpoint of this reader describes, for people: the line that is read next, the
    /// key that was read last. It is asked of no reader in particular; `None` where a checkpoint does not tell.
    fn place_of(checkpoint: &Checkpoint) -> Option<Origin>
    where
        Self: Sized,
    {
        let _ = checkpoint;
        None
    }

    /// Splits what is left of the source among so many readers on threads of their own; this one is then closed and
    /// asked nothing else. Asked for between two items, more than once where it cannot be split yet; a source that
    /// cannot be split at all has no readers to offer, nor has a reader that puts something into the contexts.
    fn split(&mut self, readers: usize) -> Vec<Box<dyn BlockReader<Self::Item>>>
    where
        Self: 'static,
    {
        let _ = readers;
        Vec::new()
    }

    /// Releases the source.
    fn close(&mut self) -> impl Future<Output = Result<(), ItemError>> + Send {
        async { Ok(()) }
    }
}

/// The outcome of an item that is processed without waiting.
#[derive(Debug)]
pub enum Processed<I, O> {
    /// Its output.
    Output(O),
    /// Nothing: it is filtered.
    Filtered,
    /// An error.
    Failed(ItemError),
    /// The item is given back, to be processed by [`ItemProcessor::process`].
    Later(I),
}

impl<I, O> From<Result<Option<O>, ItemError>> for Processed<I, O> {
    #[inline]
    fn from(processed: Result<Option<O>, ItemError>) -> Self {
        match processed {
            Ok(Some(output)) => Self::Output(output),
            Ok(None) => Self::Filtered,
            Err(error) => Self::Failed(error),
        }
    }
}

/// Turns an item into an output, or filters it.
///
/// # Contract
/// - The engine calls `open` once, then `process` for each item in the order in which they were read, `completed` once
///   the step is complete and committed, then `close`, whatever happened in between.
/// - May be called again for an item that failed, and after a restart for items whose chunk was not committed: effects
///   outside the chunk are at least once.
/// - What a processor remembers of the items before is either in its `checkpoint`, or lost with the attempt.
/// - A step may process by several processors at once, each of which sees some of the items. One that must see all of
///   them, in their order, says so by [`NEEDS_ALL_ITEMS`](Self::NEEDS_ALL_ITEMS).
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not process `{I}`",
    label = "expected a processor of `{I}`, which is what stands before it makes",
    note = "items own what they hold: a processor of `&str`, or of another type with a lifetime, cannot be a step's"
)]
pub trait ItemProcessor<I: Send>: Send {
    /// The type of its outputs.
    type Output: Send + Sync;

    /// True if one instance must see all items in their order, because its output for an item depends on those before
    /// it. A step that would process by several at once cannot be built with it.
    const NEEDS_ALL_ITEMS: bool = false;

    /// True if [`process_now`](Self::process_now) gives no item back, whatever the item. A chain asks for it: once its
    /// first processor has had an item, there is none to be given back.
    const IS_SYNCHRONOUS: bool = false;

    /// Prepares it, anew or with what it remembered at a checkpoint of an earlier attempt.
    fn open(&mut self, checkpoint: Option<&Checkpoint>) -> impl Future<Output = Result<(), ItemError>> + Send {
        let _ = checkpoint;
        async { Ok(()) }
    }

    /// The output for an item; `None` filters it.
    fn process(&mut self, item: I) -> impl Future<Output = Result<Option<Self::Output>, ItemError>> + Send;

    /// As [`process`](Self::process) for a processor that need not wait, which spares the price of a future by it.
    #[inline]
    fn process_now(&mut self, item: I) -> Processed<I, Self::Output> {
        Processed::Later(item)
    }

    /// The last item came to nothing: a processor behind this one, in a chain, failed with its output. It may come
    /// again, so what was remembered of it is void.
    fn roll_back(&mut self) {}

    /// The memory of the items so far, committed with the chunk that ends here; `None` when there is none. It is
    /// stored with each chunk beside the contexts, so it must be small.
    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Ok(None)
    }

    /// A handle that makes durable whatever the checkpoints count on outside of the repository; asked for once, after
    /// `open`. The engine calls it before each save that counts on a checkpoint; an error fails the chunk, as one of
    /// the writer's [`sync`](ItemWriter::sync) does. Several processors at once have no checkpoints, and are not asked.
    fn syncer(&mut self) -> Result<Option<Syncer>, ItemError> {
        Ok(None)
    }

    /// The step is complete, all is committed: removes what only a restart would have needed. Several processors at
    /// once have nothing that a restart needs, and are not told.
    fn completed(&mut self) -> impl Future<Output = Result<(), ItemError>> + Send {
        async { Ok(()) }
    }

    /// Releases what it holds.
    fn close(&mut self) -> impl Future<Output = Result<(), ItemError>> + Send {
        async { Ok(()) }
    }
}

/// Writes chunks of outputs.
///
/// # Contract
/// - Call order: `save_interval`, `inputs` and `open`; for each chunk `write` (once, never with an empty slice) and
///   `flush`, then the engine commits and calls `committed`, or rolls back and calls `rolled_back`; at the end of the
///   input `finish`, `flush`, a commit, `publish`; `close` at last, whatever happened.
/// - A commit is a save of the repository, or it is joined with those of later chunks and saved with the last of them;
///   where the writer [says so](Self::joins_transactions), so is the transaction.
///   Before each save, joined or not, the engine calls `sync`: a checkpoint is never durable ahead of its output. The
///   save counts on everything that was flushed and not rolled back.
/// - `flush` hands everything to the system and returns what `open` needs to cut back to this very point. What was
///   written after it is not there any more once `open` or `rolled_back` has returned.
/// - Exactly once: a writer that writes through the `transaction` and one whose checkpoint can cut its output back. Any
///   other writer is at least once, and its documentation says so.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not write `{O}`",
    label = "expected a writer of `{O}`, which is what the processor makes (or the reader, where there is no processor)",
    note = "`NoWriter` stands for a `.writer(…)` that is missing: a chunk step needs one"
)]
pub trait ItemWriter<O: Send + Sync>: Send {
    /// Takes the [files](ItemReader::files) that the step reads, before `open`: a writer of files refuses to write to
    /// one of them.
    fn inputs(&mut self, files: &[PathBuf]) {
        let _ = files;
    }

    /// Opens the target, empty or cut back to a checkpoint of an earlier attempt.
    fn open(&mut self, checkpoint: Option<&Checkpoint>) -> impl Future<Output = Result<(), ItemError>> + Send {
        let _ = checkpoint;
        async { Ok(()) }
    }

    /// Writes the outputs of one chunk.
    fn write(
        &mut self,
        outputs: &[O],
        transaction: &mut dyn ChunkTransaction,
    ) -> impl Future<Output = Result<(), ItemError>> + Send;

    /// An encoder of its outputs for other threads; `None` for a writer that has none, or none yet: outputs are written
    /// by [`write`](Self::write) then. It is asked for again as long as there is none.
    fn encoder(&self) -> Option<Box<dyn OutputEncoder<O>>>
    where
        Self: 'static,
    {
        None
    }

    /// Writes the outputs of one chunk in place of [`write`](Self::write), as an [encoder](Self::encoder) has encoded
    /// them.
    fn write_encoded(
        &mut self,
        outputs: &EncodedOutputs,
        transaction: &mut dyn ChunkTransaction,
    ) -> impl Future<Output = Result<(), ItemError>> + Send {
        let _ = (outputs, transaction);
        async { Err(ItemError::other("the writer has an encoder, and no `write_encoded`")) }
    }

    /// Hands all that was written to the system, before the commit, and tells the point to cut back to.
    fn flush(&mut self) -> impl Future<Output = Result<Option<Checkpoint>, ItemError>> + Send {
        async { Ok(None) }
    }

    /// Makes durable what was flushed: the save of the repository that follows counts on it, and must not outlive it. A
    /// writer whose output is as durable as the save itself, because it is in its transaction, has nothing to do.
    ///
    /// An error fails the chunk as one of `flush` does: it is rolled back, and written again where a retry is allowed.
    /// Where chunks before it wait for the same save, nothing can be written again, and the step fails: it resumes from
    /// the last save.
    fn sync(&mut self) -> impl Future<Output = Result<(), ItemError>> + Send {
        async { Ok(()) }
    }

    /// True if [`rolled_back`](Self::rolled_back), or the roll-back of the transaction, rolls back what was written. A
    /// writer whose output is gone for good, a mail or a call of a service, says no: when an output of its chunk cannot
    /// be written and is to be skipped, it is not tried by parts, but given the outputs one by one, each once more at
    /// most, and what it has written so stays. It must not use the transaction.
    fn can_roll_back(&self) -> bool {
        true
    }

    /// The time for which the saves of its step are to be joined when the author does not say, because each `sync` has
    /// its price: the step behaves as with [`commit_every`](crate::step::ChunkStepBuilder::commit_every). Asked for
    /// once, before `open`.
    fn save_interval(&self) -> Option<Duration> {
        None
    }

    /// True if several chunks may be written in one transaction, where the step
    /// [joins saves](crate::step::ChunkStepBuilder::commit_every), or where they are joined for the writer's own
    /// [interval](Self::save_interval) and the chunks come from other threads than the step's. Each is written and
    /// flushed, then the engine commits and calls `committed` once for all of them, or rolls back, calls `rolled_back`
    /// and writes them again, chunk by chunk. Asked behind each chunk. A writer that says no, or that does not use the
    /// transaction, is not concerned.
    fn joins_transactions(&self) -> bool {
        false
    }

    /// The last flush is committed: it is now the point to cut back to.
    fn committed(&mut self) {}

    /// The chunk was rolled back: everything since the last committed flush is void.
    fn rolled_back(&mut self) -> impl Future<Output = Result<(), ItemError>> + Send {
        async { Ok(()) }
    }

    /// The input has ended: writes what closes the output. Its flush is committed before `publish`.
    fn finish(&mut self, transaction: &mut dyn ChunkTransaction) -> impl Future<Output = Result<(), ItemError>> + Send {
        let _ = transaction;
        async { Ok(()) }
    }

    /// Everything is committed: makes the output visible under its final name and durable. May be called again by a
    /// later attempt when the process dies right after it.
    fn publish(&mut self) -> impl Future<Output = Result<(), ItemError>> + Send {
        async { Ok(()) }
    }

    /// The step has failed: makes a copy of what is committed so far visible under the final name, where the output
    /// itself is not before the step is complete. The output stays as it is, so that the next attempt goes on with it.
    /// Asked of the [rejects](crate::step::ChunkStepBuilder::rejects) of a step alone, after `rolled_back` and before
    /// `close`; a writer whose output is visible with each commit has nothing to do.
    fn publish_copy(&mut self) -> impl Future<Output = Result<(), ItemError>> + Send {
        async { Ok(()) }
    }

    /// Releases the target.
    fn close(&mut self) -> impl Future<Output = Result<(), ItemError>> + Send {
        async { Ok(()) }
    }
}
