//! The state of the step behind its last chunk, and its saves: with each chunk, or several at a time.

use super::contexts::Contexts;
use super::hand::{Hand, Positions};
use super::interrupt::{Interrupt, wait};
use super::joining::Joining;
use super::sealed::Seal;
use super::target::{Failure, Flushed, Target};
use super::totals::{Sums, TotalsLedger};
use crate::execution::{ContextError, Counters, ExecutionContext, SkippedItem, StepState, cause_chain};
use crate::item::{ErrorKind, ItemError, ItemWriter};
use crate::listener::RetryPhase;
use crate::repository::ChunkSave;
use crate::step::body::BodyError;
use crate::step::context::StepContext;
use crate::step::policy::RetryPolicy;

/// The save of a chunk that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SaveTime {
    Now,
    /// With a later chunk; nothing of it is in the transaction.
    Later,
    /// With a later chunk, in whose transaction it is.
    Together,
}

/// The state behind some chunk, to go back to.
pub(super) struct Mark {
    counters: Counters,
    waiting: Waiting,
    totals: Option<Vec<Sums>>,
}

/// Chunks that are written and not saved yet.
#[derive(Clone, Copy)]
enum Waiting {
    Nothing,
    /// The progress behind the last of them.
    Chunks(Option<f64>),
    /// They cannot be saved any more: nothing is, and nothing is shown.
    Lost,
}

/// The part of a save that is not the state.
pub(super) struct Save<'a> {
    pub(super) counters: Counters,
    pub(super) progress: Option<f64>,
    pub(super) skips: &'a [SkippedItem],
    pub(super) rerun: &'a [i64],
}

/// The state of the step behind its last chunk.
pub(super) struct Standing<'a, I, O> {
    context: &'a StepContext,
    state: StepState,
    contexts: Contexts,
    /// As of the last chunk, saved or not.
    pub(super) counters: Counters,
    totals: Option<TotalsLedger<I, O>>,
    /// Several chunks may share a save.
    joining: Option<Joining>,
    waiting: Waiting,
    /// Several chunks may share a transaction, where the writer joins them.
    pub(super) joins_transactions: bool,
    /// Somebody has asked for a stop, as a commit was reported.
    pub(super) stop_requested: bool,
    /// Used again for each save.
    json: String,
}

impl<'a, I, O: Send + Sync> Standing<'a, I, O> {
    pub(super) fn new(
        context: &'a StepContext,
        state: StepState,
        totals: Option<TotalsLedger<I, O>>,
        joining: Option<Joining>,
    ) -> Self {
        if let Some(totals) = &totals {
            context.scope().show_totals(totals.committed());
        }
        let contexts = Contexts::new(context.scope());
        Self {
            context,
            state,
            contexts,
            counters: Counters::default(),
            totals,
            joining,
            waiting: Waiting::Nothing,
            joins_transactions: false,
            stop_requested: false,
            json: String::new(),
        }
    }

    /// Skipped items so far.
    pub(super) fn skipped(&self) -> u64 {
        u64::try_from(self.counters.skip()).unwrap_or(u64::MAX)
    }

    /// True if a chunk changes a context, or the writer has since the last one: it is saved at once then, and by
    /// itself.
    pub(super) fn changes_with(&self, seal: &Seal) -> bool {
        Contexts::change_with(self.context.scope(), seal)
    }

    /// Takes what a chunk brings with it: from now on this is what a save writes. The answer is what it takes to go
    /// back.
    pub(super) fn adopt(&mut self, seal: &mut Seal) -> Positions {
        self.adopt_contexts(seal.context.take(), seal.job_context.take());
        let mut positions =
            Positions { reader: seal.checkpoint.take(), processor: seal.processor.take(), ..Positions::default() };
        self.exchange(&mut positions);
        positions
    }

    /// Keeps what the writer has put so far: it is not rolled back any more. True if a context has changed by it.
    pub(super) fn keep_written(&mut self) -> bool {
        let changed = Contexts::written(self.context.scope());
        self.adopt_contexts(None, None);
        changed
    }

    fn adopt_contexts(&mut self, step: Option<ExecutionContext>, job: Option<ExecutionContext>) {
        if self.contexts.adopt(self.context.scope(), step, job) {
            self.state.context = self.contexts.of_step();
        }
    }

    /// Changes the positions that a save writes for others.
    pub(super) fn exchange(&mut self, positions: &mut Positions) {
        std::mem::swap(&mut self.state.reader, &mut positions.reader);
        std::mem::swap(&mut self.state.processor, &mut positions.processor);
        std::mem::swap(&mut self.state.writer, &mut positions.writer);
        std::mem::swap(&mut self.state.rejects, &mut positions.rejects);
    }

    /// The position of the writer behind what was flushed.
    pub(super) fn flushed(&mut self, Flushed { writer, rejects }: Flushed) {
        (self.state.writer, self.state.rejects) = (writer, rejects);
    }

    /// True if the reader stands where it stood before.
    pub(super) fn stands_still(&self, before: &Positions) -> bool {
        match (&before.reader, &self.state.reader) {
            (Some(before), Some(now)) => before.as_json() == now.as_json(),
            _ => false,
        }
    }

    /// Adds a written chunk to the control totals; they count once it is committed.
    pub(super) fn add_totals(&mut self, hand: &Hand<I, O>) -> Result<(), BodyError> {
        let Some(totals) = &mut self.totals else { return Ok(()) };
        totals.add(&hand.totals, &hand.buffers.outputs, hand.left())
    }

    /// Checks the rule of the control totals over all that was committed.
    pub(super) fn check_totals(&self) -> Result<(), BodyError> {
        self.totals.as_ref().map_or(Ok(()), |totals| totals.check(self.context))
    }

    /// The time to save a chunk that was written. With a later one if the last save is not long ago, and nothing of it
    /// is in the contexts; nor in the transaction, if the writer does not join those.
    pub(super) fn save_time<W: ItemWriter<O>>(&self, hand: &Hand<I, O>, target: &Target<'_, W>) -> SaveTime {
        let Some(joining) = &self.joining else { return SaveTime::Now };
        if joining.is_due()
            || hand.changed
            || !hand.skips.is_empty()
            || !hand.rerun.is_empty()
            || self.contexts.job_changed()
            || Contexts::written(self.context.scope())
        {
            return SaveTime::Now;
        }
        match target.transaction.has_begun() {
            false => SaveTime::Later,
            true if self.joins_transactions && !hand.tries.alone && target.writer.joins_transactions() => {
                SaveTime::Together
            }
            true => SaveTime::Now,
        }
    }

    /// The state behind the last chunk.
    pub(super) fn mark(&self) -> Mark {
        let totals = self.totals.as_ref().map(TotalsLedger::mark);
        Mark { counters: self.counters, waiting: self.waiting, totals }
    }

    /// The chunks since the mark are rolled back, and none of them counts.
    pub(super) fn go_back(&mut self, mark: Mark) {
        self.counters = mark.counters;
        if !self.has_lost() {
            self.waiting = mark.waiting;
        }
        if let (Some(totals), Some(sums)) = (&mut self.totals, mark.totals) {
            totals.go_back(sums);
            self.context.scope().show_totals(totals.committed());
        }
    }

    /// A chunk counts from now on, and waits for a save.
    pub(super) fn join(&mut self, hand: &Hand<I, O>) {
        self.set_counters(hand.counted(self.counters));
        self.waiting = Waiting::Chunks(hand.progress);
    }

    fn set_counters(&mut self, counters: Counters) {
        self.counters = counters;
        if let Some(totals) = &mut self.totals {
            totals.commit();
            self.context.scope().show_totals(totals.committed());
        }
    }

    /// Returns when what is unsaved is due to be saved, although no chunk comes.
    pub(super) async fn save_due(&self) {
        match (&self.joining, self.waiting) {
            (Some(joining), Waiting::Chunks(_)) => joining.due().await,
            _ => std::future::pending().await,
        }
    }

    /// Saves the chunks that were written since the last save.
    pub(super) async fn save_waiting<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        retry: &RetryPolicy,
    ) -> Result<(), Interrupt> {
        let mut made = 0;
        loop {
            let Err(failure) = self.try_save_waiting(target).await else { return Ok(()) };
            let rolled_back = target.transaction.rollback().await;
            rolled_back.map_err(|error| BodyError::Failed(format!("failed to roll back: {}", cause_chain(&error))))?;
            match failure {
                Failure::Save(error) if error.is_transient() && retry.allows(ErrorKind::Transient, made) => {
                    made += 1;
                    wait(retry, self.context, RetryPhase::Commit, made, &ItemError::transient(error)).await?;
                }
                failure => return Err(failure.fails(Some(self.context))),
            }
        }
    }

    /// Saves them once.
    pub(super) async fn try_save_waiting<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
    ) -> Result<(), Failure> {
        let Waiting::Chunks(progress) = self.waiting else { return Ok(()) };
        if let Some(totals) = &mut self.totals {
            totals.roll_back();
        }
        let save = Save { counters: self.counters, progress, skips: &[], rerun: &[] };
        self.commit(target, save).await
    }

    /// Saves the state with the chunk in hand and commits, fenced by the lease.
    pub(super) async fn save<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        save: Save<'_>,
    ) -> Result<(), Failure> {
        if self.contexts.write(self.context.scope()) {
            self.state.context = self.contexts.of_step();
        }
        self.commit(target, save).await
    }

    async fn commit<W: ItemWriter<O>>(&mut self, target: &mut Target<'_, W>, save: Save<'_>) -> Result<(), Failure> {
        let as_text = |error: ContextError| Failure::Body(BodyError::Failed(error.to_string()));
        let Save { counters, progress, skips, rerun } = save;
        let skips = self.context.scope().job.mask.skips(skips);
        self.state.write_json(&mut self.json).map_err(as_text)?;
        let job_context = self.contexts.changes_of_job(self.context.scope()).map_err(as_text)?;
        self.sync(target).await?;
        let save = ChunkSave {
            state: &self.json,
            counters: &counters,
            control_totals: self.totals.as_mut().and_then(TotalsLedger::json),
            progress,
            job_context: job_context.as_ref(),
            skips: &skips,
            rerun,
            time: (!skips.is_empty()).then(jiff::Timestamp::now),
        };
        let ack = target.transaction.commit(save).await?;
        self.contexts.commit(self.context.scope());
        self.set_counters(counters);
        self.waiting = Waiting::Nothing;
        if let Some(joining) = &self.joining {
            joining.saved();
        }
        self.stop_requested |= ack.stop_requested;
        self.show(progress);
        Ok(())
    }

    /// Makes the output durable that the save counts on.
    async fn sync<W: ItemWriter<O>>(&mut self, target: &mut Target<'_, W>) -> Result<(), Failure> {
        let Err(error) = target.sync().await else { return Ok(()) };
        if let Waiting::Chunks(_) = self.waiting {
            // They cannot be written again, and to sync them once more would prove nothing.
            self.waiting = Waiting::Lost;
        }
        Err(Failure::Output("sync", error))
    }

    /// True if chunks that waited for a save are lost: the step can only fail.
    pub(super) fn has_lost(&self) -> bool {
        matches!(self.waiting, Waiting::Lost)
    }

    /// The chunk in hand was rolled back: what it has put is void, and it counts.
    pub(super) fn rolled_back(&mut self) {
        if self.contexts.roll_back() {
            self.state.context = self.contexts.of_step();
        }
        self.counters.rollback += 1;
        if let Waiting::Nothing = self.waiting {
            self.show(None);
        }
    }

    /// One more attempt counts.
    pub(super) fn repeated(&mut self, progress: Option<f64>) {
        self.counters.retry += 1;
        if let Waiting::Nothing = self.waiting {
            self.show(progress);
        }
    }

    fn show(&self, progress: Option<f64>) {
        let live = &self.context.scope().live;
        live.store(&self.counters, progress.or_else(|| live.progress()));
    }
}
