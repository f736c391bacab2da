//! The settings of a chunk step for what fails: retries, skips, and skipped items that run again.

use std::sync::Arc;

use super::builder::ChunkStepBuilder;
use super::definition::RunKept;
use super::rerun;
use super::settings::{KeptText, Skip};
use crate::item::{BoxError, ErrorKind, ItemProcessor, ItemReader, ItemWriter};
use crate::step::policy::{RetryPolicy, SkipPolicy};

impl<R: ItemReader, P, W> ChunkStepBuilder<R, P, W> {
    /// Repeats what failed: a read of a transient error, the processing of an item, the write of a chunk. A chunk whose
    /// write failed is rolled back and replayed in a fresh transaction; the wait is outside of both. Items are copied
    /// before they are processed, so that they can be processed again.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self
    where
        R::Item: Clone,
    {
        self.rules.max_retries = policy.max_retries();
        self.settings.retry = policy;
        self.items.copy = Some(Clone::clone);
        self
    }

    /// The kinds of errors that became an [`ItemError`](crate::ItemError) by `?` in the processor or the writer, and
    /// are [`Other`](ErrorKind::Other) otherwise: so that [`retry_on`](RetryPolicy::retry_on) and
    /// [`skip_on`](SkipPolicy::skip_on) know a timeout from a refusal. `None` leaves them as they are.
    ///
    /// ```
    /// use oxbatch::item::ErrorKind;
    /// # use oxbatch::ChunkStep;
    /// # use oxbatch::item::{ListReader, ListWriter};
    /// # let step = ChunkStep::builder("Step").reader(|_| Ok(ListReader::new([1])))
    /// # .writer(|_| Ok(ListWriter::<i32>::new(Default::default())))
    /// .classify_errors(|error| {
    ///     let io = error.downcast_ref::<std::io::Error>()?;
    ///     (io.kind() == std::io::ErrorKind::TimedOut).then_some(ErrorKind::Transient)
    /// });
    /// ```
    ///
    /// A reader says the kind itself: it stays in its place after a transient error, and goes past any other.
    #[must_use]
    pub fn classify_errors<F>(mut self, classify: F) -> Self
    where
        F: Fn(&(dyn std::error::Error + 'static)) -> Option<ErrorKind> + Send + Sync + 'static,
    {
        self.settings.classify = Some(Arc::new(classify));
        self
    }

    /// Goes on without items that fail, up to a limit. An error that is also repeated is repeated first.
    ///
    /// An item that cannot be written is found by writing parts of its chunk, each rolled back before the next. A
    /// writer [that cannot roll back](ItemWriter::can_roll_back) is given the items of such a chunk one by one instead,
    /// so each of them twice at most.
    ///
    /// A skipped item is kept as it was read, so it is copied before it is processed.
    #[must_use]
    pub fn skip(mut self, policy: SkipPolicy) -> Self
    where
        R::Item: Clone + serde::Serialize,
    {
        self.items.skip = Some(Skip { policy, describe: KeptText::of, read_back: None });
        self.items.copy = Some(Clone::clone);
        self
    }

    /// Makes the items that are skipped such that they can be run again once the cause is fixed, by the same processor
    /// and writer, in an execution of its own: `POST /executions/{id}/skips/rerun`. Set last, after the writer.
    ///
    /// Items that failed in processing or writing are read back from the JSON that is kept of them. One that does not
    /// read back as it was (it holds NaN, or serde leaves a part of it out) is kept to be looked at, and is never run
    /// again.
    #[must_use]
    pub fn rerun_skips(mut self) -> Self
    where
        R: 'static,
        R::Item: serde::de::DeserializeOwned,
        P: ItemProcessor<R::Item> + 'static,
        W: ItemWriter<P::Output> + 'static,
    {
        let run: RunKept<R, P, W> = rerun::run_kept;
        self.rerun.items = Some((|json| serde_json::from_str(json), Box::new(run)));
        self
    }

    /// With [`rerun_skips`](Self::rerun_skips), runs also those again that could not be read: `parse` makes an item of
    /// the raw text that is kept. An error of it is a read that fails again.
    #[must_use]
    pub fn parse_raw<F>(mut self, parse: F) -> Self
    where
        F: Fn(&str) -> Result<R::Item, BoxError> + Send + Sync + 'static,
    {
        self.rerun.from_raw = Some(Arc::new(parse));
        self
    }
}
