//! Reads the items of a chunk up to its limits, and repeats or skips what cannot be read.

use std::time::Duration;

use tokio::time::Instant;

use super::buffers::count;
use super::input::{Input, Read};
use super::interrupt::{Interrupt, error_after, wait};
use super::kept_ids::KeptIds;
use super::sealed::Seal;
use super::settings::{Rules, Weight};
use super::tally::Tally;
use crate::item::{ErrorKind, ItemError, ItemReader};
use crate::listener::RetryPhase;
use crate::step::context::StepContext;
use crate::step::overlay::Overlay;
use crate::step::shared::Side;

/// Bytes of skipped items that a chunk keeps before it is sealed.
const MAX_KEPT_BYTES: usize = 4 * 1024 * 1024;

/// The limits of a chunk.
pub(super) struct Limits<R: ItemReader> {
    /// Most items, those included that cannot be read.
    pub(super) items: usize,
    /// Longest time since its first item.
    pub(super) time: Option<Duration>,
    /// Most bytes, by the author's measure.
    pub(super) weight: Option<Weight<R>>,
}

/// The contents of the chunk in hand as they are counted.
#[derive(Default)]
pub(super) struct Fullness {
    pub(super) items: usize,
    /// Items that could not be read.
    skipped: usize,
    bytes: u64,
    /// Bytes that are kept of them.
    kept_bytes: usize,
    /// The time at which it is to be sealed; set by its first item.
    deadline: Option<Instant>,
}

impl Fullness {
    /// The items, those included that could not be read.
    pub(super) fn outcomes(&self) -> usize {
        self.items + self.skipped
    }
}

/// The reader and the rules for what it fails on.
pub(super) struct Reading<R: ItemReader> {
    pub(super) input: Input<R>,
    pub(super) limits: Limits<R>,
    pub(super) context: StepContext,
    pub(super) rules: Rules<R>,
    /// The rows that the reader reads from, where they are kept items.
    pub(super) kept_ids: Option<KeptIds>,
}

impl<R: ItemReader + 'static> Reading<R> {
    /// True if the chunk may take another item.
    #[inline]
    pub(super) fn has_room(&self, full: &Fullness) -> bool {
        full.items + full.skipped < self.limits.items
            && full.kept_bytes < MAX_KEPT_BYTES
            && self.limits.weight.as_ref().is_none_or(|weight| full.bytes < weight.limit)
    }

    /// The next item for a chunk. A read that was repeated or an item that was skipped stands in the tally.
    #[inline]
    pub(super) async fn next(&mut self, full: &mut Fullness, tally: &mut Tally) -> Result<Read<R::Item>, Interrupt> {
        self.mark();
        let read = match self.input.read(full.deadline, &self.context).await? {
            Ok(read) => read,
            Err(error) => self.read_on(error, full, tally).await?,
        };
        if let Read::Item(item) = &read {
            full.items += 1;
            if self.limits.time.is_some() {
                self.start_clock(full);
            }
            if let Some(weight) = &self.limits.weight {
                full.bytes = full.bytes.saturating_add((weight.measure)(item));
            }
        }
        Ok(read)
    }

    fn start_clock(&self, full: &mut Fullness) {
        if full.deadline.is_none() {
            full.deadline = self.limits.time.and_then(|time| Instant::now().checked_add(time));
        }
    }

    /// Keeps what was put into the contexts so far: it is not rolled back with the next read.
    #[inline]
    fn mark(&self) {
        let scope = self.context.scope();
        scope.context.mark(Side::Processing);
        scope.job.context.mark(Side::Processing);
    }

    /// Repeats a read that failed, or goes on without the item. Only a transient error leaves the position where it
    /// was: to read again after any other would lose the item that could not be read, unless it is kept as skipped.
    #[cold]
    async fn read_on(
        &mut self,
        error: ItemError,
        full: &mut Fullness,
        tally: &mut Tally,
    ) -> Result<Read<R::Item>, Interrupt> {
        let (mut error, mut made) = (error, 0);
        while error.kind() == ErrorKind::Transient && self.rules.retry.repeats(&error, made) {
            // The read comes again, and with it what it puts.
            let scope = self.context.scope();
            scope.context.undo(Side::Processing);
            scope.job.context.undo(Side::Processing);
            made += 1;
            tally.retries += 1;
            wait(&self.rules.retry, &self.context, RetryPhase::Read, made, &error).await?;
            match self.input.read(full.deadline, &self.context).await? {
                Ok(read) => return Ok(read),
                Err(next) => error = next,
            }
        }
        let interrupt = error_after("read", &error, made, &self.context);
        full.kept_bytes += tally.skip_or(self.rules.skip.as_ref(), interrupt, &error, None)?;
        // It is settled, and is not to wait for long either.
        full.skipped += 1;
        self.start_clock(full);
        Ok(if self.context.is_stopping() { Read::Stopped } else { Read::Skipped })
    }

    /// The state behind the last item that was read.
    #[inline]
    pub(super) fn seal(&mut self, full: &Fullness, end: bool) -> Result<Seal, Interrupt> {
        let checkpoint = self.input.checkpoint()?;
        let rerun = self.kept_ids.as_ref().map(|ids| ids.take(full.items + full.skipped)).unwrap_or_default();
        let scope = self.context.scope();
        Ok(Seal {
            read: count(full.items),
            end,
            checkpoint,
            processor: None,
            progress: self.input.progress(),
            context: scope.context.take_change_of(Side::Processing).map(Overlay::into_set),
            job_context: scope.job.context.take_change_of(Side::Processing).map(Overlay::into_set),
            rerun,
        })
    }
}
