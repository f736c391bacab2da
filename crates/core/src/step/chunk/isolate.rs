//! Finds the items of a chunk that cannot be written: by halves, or one by one.

use super::hand::Hand;
use super::interrupt::Interrupt;
use super::kept::KeptError;
use super::settings::{Rules, Skip};
use super::target::{Failure, Target};
use crate::execution::SkipPhase;
use crate::item::{ItemError, ItemReader, ItemWriter};
use crate::step::body::BodyError;
use crate::step::policy::SkipRefusal;

/// The reason for which the search ended without an answer. The items that it found stay found.
pub(super) enum IsolationError {
    /// A write failed by an error that is not to be skipped; it was rolled back.
    Write(ItemError),
    /// Each part of the chunk can be written by itself: the error is not one of its outputs.
    NotFound,
    /// The store was away while a part was written, which says nothing of its items; it was rolled back.
    Lost,
    /// The step ends: nothing may be written any more.
    Ended(Interrupt),
}

/// A part of the chunk that is still to be judged: so many items behind the good ones.
struct Part {
    length: usize,
    /// It is known to hold a bad item: what stands before it is good, and with it the write failed.
    bad: bool,
    /// The next part is the other half of one that is bad.
    first_half: bool,
}

/// The rules of a search.
pub(super) struct Isolation<'a, R: ItemReader> {
    pub(super) rules: &'a Rules<R>,
    pub(super) skip: &'a Skip<R>,
    /// Items that were skipped before the chunk.
    pub(super) skipped: u64,
}

impl<R: ItemReader> Isolation<'_, R> {
    /// True if an error is such that an item may be skipped for it. A limit that is reached is reported when the item
    /// is found.
    pub(super) fn asks<O>(&self, hand: &Hand<R::Item, O>, error: &ItemError) -> bool {
        let asked = self.skip.policy.asks(SkipPhase::Write, error, self.skipped + hand.skips.count());
        asked != Err(SkipRefusal::Other)
    }

    /// Takes the items out of a chunk that cannot be written: O(k·log n) writes for k bad ones among n.
    ///
    /// Each trial writes the items found good and a part of the rest, and is rolled back, in the database and in the
    /// writer. The chunk itself is written and committed by the caller, so a stop, error or crash in here loses
    /// nothing: nothing of it is committed. `first` is the error of the write of the whole chunk; without one, since
    /// the error came later, the search begins with a trial of the whole chunk.
    pub(super) async fn by_halves<W, O>(
        &self,
        target: &mut Target<'_, W>,
        hand: &mut Hand<R::Item, O>,
        first: Option<ItemError>,
    ) -> Result<(), IsolationError>
    where
        O: Send + Sync,
        W: ItemWriter<O>,
    {
        let (mut good, mut error, before) = (0_usize, first, hand.skips.count());
        let mut parts = vec![Part { length: hand.buffers.outputs.len(), bad: error.is_some(), first_half: false }];
        while let Some(part) = parts.pop() {
            if !part.bad {
                match self.attempt(target, &hand.buffers.outputs[..good + part.length]).await? {
                    Ok(()) => {
                        good += part.length;
                        if let Some(other_half) = parts.last_mut().filter(|_| part.first_half) {
                            other_half.bad = true;
                        }
                        continue;
                    }
                    Err(next) if self.asks(hand, &next) => error = Some(next),
                    Err(error) => return Err(IsolationError::Write(error)),
                }
            }
            if part.length > 1 {
                let half = part.length / 2;
                parts.push(Part { length: part.length - half, bad: false, first_half: false });
                parts.push(Part { length: half, bad: false, first_half: true });
                continue;
            }
            if let Some(error) = &error {
                self.take_out(hand, good, error)?;
            }
        }
        if hand.skips.count() == before { Err(IsolationError::NotFound) } else { Ok(()) }
    }

    /// Writes the items of a chunk one by one, from the first that is not out, and takes those out that cannot be
    /// written: for a writer that cannot roll back. No good item is written more often than once in here.
    pub(super) async fn one_by_one<W, O>(
        &self,
        target: &mut Target<'_, W>,
        hand: &mut Hand<R::Item, O>,
    ) -> Result<(), IsolationError>
    where
        O: Send + Sync,
        W: ItemWriter<O>,
    {
        while let Some(output) = hand.to_write().first() {
            target.mark_contexts();
            let error = match target.write(std::slice::from_ref(output)).await {
                Ok(()) => {
                    hand.tries.sent += 1;
                    hand.tries.trials = 0;
                    continue;
                }
                Err(Failure::Output(_, error)) => self.rules.classified(error),
                Err(failure) => return Err(IsolationError::Ended(failure.fails(None))),
            };
            target.undo_contexts();
            if !self.asks(hand, &error) || self.rules.retry.repeats(&error, hand.tries.trials) {
                return Err(IsolationError::Write(error));
            }
            self.take_out(hand, hand.tries.sent, &error)?;
        }
        Ok(())
    }

    /// Skips the output at `index`, which cannot be written.
    fn take_out<O>(&self, hand: &mut Hand<R::Item, O>, index: usize, error: &ItemError) -> Result<(), IsolationError> {
        let skipped = self.skipped + hand.skips.count();
        if let Err(refusal) = self.skip.policy.asks(SkipPhase::Write, error, skipped) {
            let message = refusal.message(&error.to_string());
            return Err(IsolationError::Ended(BodyError::Failed(message).into()));
        }
        hand.buffers.outputs.remove(index);
        let item = (index < hand.buffers.inputs.len()).then(|| hand.buffers.inputs.remove(index));
        let origin = (index < hand.buffers.origins.len()).then(|| hand.buffers.origins.remove(index)).flatten();
        let mut kept = self.skip.kept(SkipPhase::Write, item.as_ref(), error);
        let mut kept_error = KeptError::of(error);
        if let Some(origin) = origin {
            kept_error = KeptError::at(error, &origin);
            // What the writer says is the place of an output in what it was given, which is a part of the chunk.
            kept.position = Some(origin.to_string());
        }
        hand.skips.keep(kept, kept_error);
        Ok(())
    }

    /// Writes outputs and takes them back, whether it worked or not.
    async fn attempt<W, O>(
        &self,
        target: &mut Target<'_, W>,
        outputs: &[O],
    ) -> Result<Result<(), ItemError>, IsolationError>
    where
        O: Send + Sync,
        W: ItemWriter<O>,
    {
        let written = match target.try_out(outputs).await.map_err(Failure::for_policies) {
            Ok(()) => Ok(()),
            Err(Ok((_, error))) => Err(self.rules.classified(error)),
            Err(Err(interrupt)) => {
                target.roll_back().await.map_err(|error| IsolationError::Ended(error.into()))?;
                return Err(IsolationError::Ended(interrupt));
            }
        };
        target.roll_back().await.map_err(|error| IsolationError::Ended(error.into()))?;
        if written.is_err() && target.transaction.was_lost() {
            return Err(IsolationError::Lost);
        }
        Ok(written)
    }
}
