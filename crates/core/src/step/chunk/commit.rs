//! The commits of a chunk step: outputs, checkpoint and counters together, replayed where a retry is allowed.

use super::buffers::Buffers;
use super::hand::{Hand, Positions, Tries};
use super::interrupt::{Interrupt, error_after, wait};
use super::isolate::{Isolation, IsolationError};
use super::sealed::Sealed;
use super::settings::Rules;
use super::span::Span;
use super::standing::{Save, SaveTime, Standing};
use super::stopwatch::CommitClock;
use super::target::{Failure, Flushed, Target};
use crate::execution::Counters;
use crate::item::{ErrorKind, ItemError, ItemReader, ItemWriter};
use crate::listener::RetryPhase;
use crate::step::body::BodyError;
use crate::step::context::StepContext;

/// Times that one chunk is written again because the store was lost; each of them waits for the store to come back, for
/// as long as it is reported to.
const MOST_LOSSES: u32 = 5;

/// When an error of the outputs was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// While they were written: with them it is certain to come again.
    ByTheWrite,
    /// When they were flushed or committed: it may be another's.
    ByTheCommit,
}

/// The writing half of the loop: how the step stands, and the rules for chunks that fail.
pub(super) struct Commits<'a, R: ItemReader, O> {
    pub(super) context: &'a StepContext,
    pub(super) rules: Rules<R>,
    pub(super) standing: Standing<'a, R::Item, O>,
    pub(super) clock: CommitClock,
    pub(super) span: Span<R::Item, O>,
}

impl<R: ItemReader, O: Send + Sync> Commits<'_, R, O> {
    /// Commits one chunk, if there is anything in it, or leaves it to be saved with a later one. The answer is its
    /// memory.
    pub(super) async fn chunk<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        sealed: Sealed<R::Item, O>,
    ) -> Result<Buffers<R::Item, O>, Interrupt> {
        let mut hand = self.adopt(target, sealed).await?;
        if hand.is_empty() {
            let Positions { writer, rejects, .. } = hand.before;
            self.standing.flushed(Flushed { writer, rejects });
            return Ok(hand.buffers);
        }
        loop {
            match self.attempt(target, &hand).await {
                Ok(SaveTime::Together) => {
                    self.tell(&hand);
                    return Ok(self.span.keep(hand));
                }
                Ok(SaveTime::Now | SaveTime::Later) => break,
                Err(failure) if self.span.is_empty() => self.mend(target, &mut hand, failure).await?,
                Err(failure) => self.take_apart(target, Some(&mut hand), failure).await?,
            }
        }
        target.committed();
        self.tell(&hand);
        Ok(hand.buffers)
    }

    /// Tells the listeners of a chunk that was written, and may wait for its save.
    pub(super) fn tell(&self, hand: &Hand<R::Item, O>) {
        if let Some(listeners) = self.context.listeners() {
            listeners.after_chunk(self.context);
            listeners.on_skips(self.context, hand.skips.as_slice());
        }
    }

    /// Takes a sealed chunk: what it brings with it is saved from now on, and not without it.
    async fn adopt<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        sealed: Sealed<R::Item, O>,
    ) -> Result<Hand<R::Item, O>, Interrupt> {
        let Sealed { buffers, skips, filtered, retries, totals, mut seal } = sealed;
        skips.check(self.rules.skip_policy(), self.standing.skipped())?;
        let changed = self.standing.changes_with(&seal);
        if changed {
            // What was put belongs to this chunk, not to those before it.
            self.save_waiting(target).await?;
        }
        let before = self.standing.adopt(&mut seal);
        if seal.read == 0
            && !seal.end
            && self.standing.stands_still(&before)
            && let Some(error) = skips.last_error()
        {
            let message = format!("failed to read, and the reader does not get past it: {error}");
            return Err(BodyError::Failed(message).into());
        }
        let (read, progress, rerun, tries) = (seal.read, seal.progress, seal.rerun, Tries::default());
        Ok(Hand { buffers, skips, totals, filtered, retries, read, progress, rerun, changed, before, tries })
    }

    /// Writes the chunk in hand and commits it, with the span before it, or leaves it to be saved with a later one.
    pub(super) async fn attempt<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        hand: &Hand<R::Item, O>,
    ) -> Result<SaveTime, Failure> {
        self.clock.begin();
        if let Some(listeners) = self.context.listeners() {
            let begun = listeners.before_chunk(self.context);
            begun.map_err(|error| Failure::Output("begin the chunk", error))?;
        }
        if !hand.buffers.encoded.is_empty() {
            target.write_encoded(&hand.buffers.encoded).await?;
        } else if !hand.to_write().is_empty() {
            target.write(hand.to_write()).await?;
        }
        target.write_rejects(&hand.skips).await?;
        self.standing.flushed(target.flush().await?);
        self.clock.written();
        self.standing.add_totals(hand).map_err(Failure::Body)?;
        match self.standing.save_time(hand, target) {
            SaveTime::Together if self.span.takes(hand) => {
                if self.span.is_empty() {
                    self.span.begin(self.standing.mark());
                }
                self.standing.join(hand);
                self.clock.end(&self.context.scope().live);
                return Ok(SaveTime::Together);
            }
            SaveTime::Later => {
                self.standing.join(hand);
                self.clock.end(&self.context.scope().live);
                return Ok(SaveTime::Later);
            }
            SaveTime::Together | SaveTime::Now => {}
        }
        let counters = hand.counted(self.standing.counters);
        let save = Save { counters, progress: hand.progress, skips: hand.skips.as_slice(), rerun: &hand.rerun };
        self.standing.save(target, save).await?;
        self.span.committed();
        self.clock.end(&self.context.scope().live);
        Ok(SaveTime::Now)
    }

    /// Takes the chunk in hand back, and makes it ready for another attempt, or ends the step.
    pub(super) async fn mend<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        hand: &mut Hand<R::Item, O>,
        failure: Failure,
    ) -> Result<(), Interrupt> {
        let was_lost = self.roll_back(target, hand).await?;
        // Its next attempt is at nobody else's cost.
        hand.tries.alone = true;
        if let (Some(listeners), Some(message)) = (self.context.listeners(), failure.message()) {
            listeners.on_chunk_error(self.context, &message);
        }
        if self.standing.has_lost() {
            return Err(failure.fails(Some(self.context)));
        }
        // The store was away, which says nothing of the items: no policy is asked, and nothing is counted against them.
        if was_lost && hand.tries.losses < MOST_LOSSES {
            hand.tries.losses += 1;
            return Ok(());
        }
        let (what, error) = failure.for_policies()?;
        let error = self.rules.classified(error);
        if self.rules.retry.repeats(&error, hand.tries.repeated) {
            hand.tries.repeated += 1;
            self.standing.repeated(hand.progress);
            let phase = if what == "commit" { RetryPhase::Commit } else { RetryPhase::Write };
            return wait(&self.rules.retry, self.context, phase, hand.tries.repeated, &error).await;
        }
        let body_error = error_after(what, &error, hand.tries.repeated, self.context);
        match (what, body_error) {
            ("write", Interrupt::Body(body_error)) => {
                self.isolate(target, hand, (error, Seen::ByTheWrite), body_error).await
            }
            // A constraint that is checked no earlier.
            (_, Interrupt::Body(body_error)) if error.kind() == ErrorKind::Constraint => {
                self.isolate(target, hand, (error, Seen::ByTheCommit), body_error).await
            }
            (_, body_error) => Err(body_error),
        }
    }

    /// Takes the chunk in hand back from the target, and saves those that were written before it. Whether the store was
    /// lost.
    async fn roll_back<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        hand: &mut Hand<R::Item, O>,
    ) -> Result<bool, Interrupt> {
        // First the positions: whatever fails here, what is saved from now on is what was written before the chunk.
        self.standing.exchange(&mut hand.before);
        let rolled_back = target.roll_back().await;
        self.standing.rolled_back();
        rolled_back?;
        let was_lost = target.transaction.was_lost();
        self.standing.save_waiting(target, &self.rules.retry).await?;
        self.standing.exchange(&mut hand.before);
        Ok(was_lost)
    }

    /// Takes those outputs out of the chunk in hand that cannot be written, where the skip policy allows it.
    async fn isolate<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        hand: &mut Hand<R::Item, O>,
        (error, seen): (ItemError, Seen),
        body_error: BodyError,
    ) -> Result<(), Interrupt> {
        let Some(skip) = &self.rules.skip else { return Err(body_error.into()) };
        let isolation = Isolation { rules: &self.rules, skip, skipped: self.standing.skipped() };
        if !isolation.asks(hand, &error) {
            return Err(body_error.into());
        }
        // From here on it is the outputs themselves that are written.
        hand.buffers.encoded.clear();
        let by_halves = target.writer.can_roll_back();
        if !by_halves && seen == Seen::ByTheCommit {
            // What was written is out: the trials that would find the output cannot be rolled back.
            return Err(body_error.into());
        }
        let mut first = Some(error).filter(|_| seen == Seen::ByTheWrite);
        loop {
            let ended = if by_halves {
                isolation.by_halves(target, hand, first.take()).await
            } else {
                isolation.one_by_one(target, hand).await
            };
            match ended {
                Ok(()) => {
                    (hand.tries.repeated, hand.tries.trials) = (0, 0);
                    hand.changed |= !by_halves && self.standing.keep_written();
                    return Ok(());
                }
                // An error of another kind on the way: what was found so far stays found, the rest is tried again.
                Err(IsolationError::Write(error)) if self.rules.retry.repeats(&error, hand.tries.trials) => {
                    hand.tries.trials += 1;
                    self.standing.repeated(hand.progress);
                    wait(&self.rules.retry, self.context, RetryPhase::Write, hand.tries.trials, &error).await?;
                }
                // Nothing of the chunk is committed, so nothing of it is lost.
                Err(IsolationError::Write(error)) => {
                    return Err(error_after("write", &error, hand.tries.trials, self.context));
                }
                Err(IsolationError::Lost) if hand.tries.losses < MOST_LOSSES => hand.tries.losses += 1,
                Err(IsolationError::Lost | IsolationError::NotFound) => return Err(body_error.into()),
                Err(IsolationError::Ended(interrupt)) => return Err(interrupt),
            }
            if by_halves {
                return Ok(());
            }
        }
    }

    /// Saves the chunks that were written since the last save.
    pub(super) async fn save_waiting<W: ItemWriter<O>>(&mut self, target: &mut Target<'_, W>) -> Result<(), Interrupt> {
        if self.span.is_empty() {
            return self.standing.save_waiting(target, &self.rules.retry).await;
        }
        match self.standing.try_save_waiting(target).await {
            Ok(()) => {
                target.committed();
                self.span.committed();
                Ok(())
            }
            Err(failure) => self.take_apart(target, None, failure).await,
        }
    }

    /// Ends the output: what closes it is committed, the ledger is checked, then it becomes visible.
    pub(super) async fn end<W: ItemWriter<O>>(&mut self, target: &mut Target<'_, W>) -> Result<(), Interrupt> {
        let counters = self.standing.counters;
        if !counters.balances() {
            let Counters { read, write, filter, .. } = counters;
            let message = format!(
                "the ledger does not balance: read {read}, but written {write} + filtered {filter} + skipped {}; this is a defect of the engine",
                counters.skip()
            );
            return Err(BodyError::Failed(message).into());
        }
        self.save_waiting(target).await?;
        self.standing.check_totals()?;
        // What is committed next is published then, and the word that it is complete must not be lost behind it.
        target.transaction.make_next_durable();
        if let Err(failure) = self.finish(target).await {
            let rolled_back = target.roll_back().await;
            self.standing.rolled_back();
            rolled_back?;
            return Err(failure.fails(Some(self.context)));
        }
        target.committed();
        Ok(target.publish().await?)
    }

    /// Writes what closes the output, and commits it.
    async fn finish<W: ItemWriter<O>>(&mut self, target: &mut Target<'_, W>) -> Result<(), Failure> {
        target.finish().await?;
        self.standing.flushed(target.flush().await?);
        let save = Save { counters: self.standing.counters, progress: Some(1.0), skips: &[], rerun: &[] };
        self.standing.save(target, save).await
    }
}
