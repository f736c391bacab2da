//! Reads the items of a chunk up to its limits, and repeats or skips what cannot be read.

use std::time::Duration;

use tokio::time::Instant;

use super::fill::{Interrupt, fault_after, wait};
use super::input::{Input, Read};
use super::process::Tally;
use super::settings::{Skip, Weight};
use crate::execution::SkipPhase;
use crate::item::{ErrorKind, ItemError, ItemReader};
use crate::step::{RetryPolicy, StepContext};

/// How much a chunk holds.
pub(super) struct Limits<R: ItemReader> {
    /// Most items.
    pub(super) items: usize,
    /// Longest time since its first item.
    pub(super) time: Option<Duration>,
    /// Most bytes, by the author's measure.
    pub(super) weight: Option<Weight<R>>,
}

/// How full the chunk in hand is.
#[derive(Default)]
pub(super) struct Fullness {
    pub(super) items: usize,
    bytes: u64,
    /// When it is to be sealed; set by its first item.
    deadline: Option<Instant>,
}

/// The reader and the rules for what it fails on.
pub(super) struct Reading<R: ItemReader> {
    pub(super) input: Input<R>,
    pub(super) limits: Limits<R>,
    pub(super) context: StepContext,
    pub(super) retry: RetryPolicy,
    pub(super) skip: Option<Skip<R>>,
}

impl<R: ItemReader + 'static> Reading<R> {
    /// Whether the chunk may take another item.
    #[inline]
    pub(super) fn has_room(&self, full: &Fullness) -> bool {
        full.items < self.limits.items && self.limits.weight.as_ref().is_none_or(|weight| full.bytes < weight.limit)
    }

    /// The next item for a chunk. A read that was repeated or an item that was skipped stands in the tally.
    #[inline]
    pub(super) async fn next(&mut self, full: &mut Fullness, tally: &mut Tally) -> Result<Read<R::Item>, Interrupt> {
        let read = match self.input.read(full.deadline).await {
            Ok(read) => read,
            Err(error) => self.read_on(error, full, tally).await?,
        };
        match read {
            Read::Item(item) => {
                full.items += 1;
                if self.limits.time.is_some() {
                    self.start_clock(full);
                }
                if let Some(weight) = &self.limits.weight {
                    full.bytes = full.bytes.saturating_add((weight.measure)(&item));
                }
                Ok(Read::Item(item))
            }
            Read::Stopped => Err(Interrupt::Stopped),
            other => Ok(other),
        }
    }

    fn start_clock(&self, full: &mut Fullness) {
        if full.deadline.is_none() {
            full.deadline = self.limits.time.and_then(|time| Instant::now().checked_add(time));
        }
    }

    /// Repeats a read that failed, or goes on without the item. Only a transient fault leaves the position where it was: to
    /// read again after any other would lose the item that could not be read, unless it is kept as skipped.
    #[cold]
    async fn read_on(
        &mut self,
        mut error: ItemError,
        full: &mut Fullness,
        tally: &mut Tally,
    ) -> Result<Read<R::Item>, Interrupt> {
        let mut made = 0;
        loop {
            if error.kind() == ErrorKind::Transient && self.retry.allows(error.kind(), made) {
                made += 1;
                tally.retries += 1;
                wait(&self.retry, &self.context, made, &error).await?;
            } else {
                let fault = fault_after("read", &error, made, &self.context);
                tally.skip_or(self.skip.as_ref(), fault, SkipPhase::Read, &error, None)?;
                // It is settled, and is not to wait for long either.
                self.start_clock(full);
                made = 0;
            }
            match self.input.read(full.deadline).await {
                Ok(read) => return Ok(read),
                Err(next) => error = next,
            }
        }
    }
}
