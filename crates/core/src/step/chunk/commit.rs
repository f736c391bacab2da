//! The commits of a chunk step: outputs, checkpoint and counters together, replayed where a retry is allowed.

use super::contexts::Contexts;
use super::fill::{Interrupt, Room, Sealed, count, failed, fault_after, wait};
use super::isolate::{Isolated, Unsettled, isolate};
use super::joining::Joining;
use super::rerun::KeptPosition;
use super::settings::Skip;
use super::totals::{Sums, TotalsLedger};
use crate::execution::{ContextError, Counters, SkipPhase, SkippedItem, StepState, cause_chain};
use crate::item::{Checkpoint, ErrorKind, ItemError, ItemReader, ItemWriter};
use crate::repository::{ChunkSave, ChunkTransaction, RepositoryError};
use crate::step::{BodyFault, RetryPolicy, Side, StepContext};

/// Times that one chunk is written again because the store was lost; each of them waits for the store to come back, for
/// as long as it is told to.
const MOST_LOSSES: u32 = 5;

/// The writing half of a step.
pub(super) struct Target<'a, W> {
    pub(super) writer: W,
    pub(super) transaction: &'a mut dyn ChunkTransaction,
}

/// Where the parts of a step stand behind a chunk.
struct Positions {
    reader: Option<Checkpoint>,
    processor: Option<Checkpoint>,
    writer: Option<Checkpoint>,
}

/// What has been committed of a step, and what it takes to commit the next chunk.
pub(super) struct Commits<'a, R: ItemReader, O> {
    context: &'a StepContext,
    retry: &'a RetryPolicy,
    skip: Option<Skip<R>>,
    totals: Option<TotalsLedger<R::Item, O>>,
    state: StepState,
    contexts: Contexts,
    /// As of the last chunk, saved or not.
    counters: Counters,
    /// Several chunks may share a save.
    joining: Option<Joining>,
    /// Chunks were written and are not saved yet; the progress behind the last of them.
    unsaved: Option<Option<f64>>,
    /// Chunks that waited for a save cannot be saved any more: nothing is, and nothing is shown.
    lost: bool,
    /// Somebody has asked for a stop, as a commit was told.
    stop_requested: bool,
    /// Kept items that the chunk in hand runs again.
    rerun: Vec<i64>,
    /// Used again for each commit.
    json: String,
}

/// Why one attempt to commit failed.
enum Attempt {
    /// In the author's writer.
    Write(&'static str, ItemError),
    /// Chunks that were to be saved with it are lost, since the author's writer could not make them durable.
    Lost(ItemError),
    /// In the repository.
    Save(RepositoryError),
    /// The state does not fit its limit.
    State(String),
    /// A control total cannot be taken.
    Totals(BodyFault),
}

impl<'a, R: ItemReader, O: Send + Sync> Commits<'a, R, O> {
    pub(super) fn new(
        context: &'a StepContext,
        retry: &'a RetryPolicy,
        skip: Option<Skip<R>>,
        totals: Option<TotalsLedger<R::Item, O>>,
        joining: Option<Joining>,
        state: StepState,
    ) -> Self {
        let contexts = Contexts::new(state.context.clone(), context.scope().job.context.current());
        Self {
            context,
            retry,
            skip,
            totals,
            state,
            contexts,
            counters: Counters::default(),
            joining,
            unsaved: None,
            lost: false,
            stop_requested: false,
            rerun: Vec::new(),
            json: String::new(),
        }
    }

    /// Chunks committed so far.
    pub(super) fn made(&self) -> i64 {
        self.counters.commit
    }

    /// Whether one of the commits so far was told that somebody has asked for a stop.
    pub(super) fn is_stop_requested(&self) -> bool {
        self.stop_requested
    }

    /// Commits one chunk, if there is anything in it, or settles it to be saved with a later one. The answer is its room.
    pub(super) async fn chunk<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        sealed: Sealed<R::Item, O>,
    ) -> Result<Room<R::Item, O>, Interrupt> {
        let Sealed { mut room, mut skips, filtered, retries, totals, seal } = sealed;
        self.check_limit(&skips)?;
        let changed = seal.context.is_some() || seal.job_context.is_some();
        if changed {
            // What was put belongs to this chunk, not to those before it.
            self.save_unsaved(target).await?;
        }
        if self.contexts.settle(seal.context, seal.job_context) {
            self.state.context = self.contexts.of_step();
        }
        // The position behind the chunk's last item: taken when the chunk was sealed, committed with it.
        let mut positions = Positions { reader: seal.checkpoint, processor: seal.processor, writer: None };
        if self.context.rerun_of().is_some()
            && let Some(sealed) = &positions.reader
        {
            let (position, taken) =
                KeptPosition::split(sealed).map_err(|error| fault("take the checkpoint", &error))?;
            (positions.reader, self.rerun) = (Some(position), taken);
        }
        let mut before = self.advance(positions);
        let (read, progress) = (seal.read, seal.progress);
        if read == 0 && skips.is_empty() {
            self.state.writer = before.writer;
            return Ok(room);
        }
        let (mut made, mut losses) = (0, 0);
        loop {
            let mut next = self.counters;
            next.read += read;
            next.filter += filtered;
            next.write += count(room.outputs.len());
            next.retry += retries;
            next.commit += 1;
            for skip in &skips {
                *match skip.phase {
                    SkipPhase::Read => &mut next.read_skip,
                    SkipPhase::Process => &mut next.process_skip,
                    SkipPhase::Write => &mut next.write_skip,
                } += 1;
            }
            let written = match self.write(target, &room.outputs).await {
                Ok(()) => self.settle_totals(&totals, &room, &skips).map_err(Attempt::Totals),
                Err(error) => Err(error),
            };
            let attempt = match written {
                Ok(()) if !changed && skips.is_empty() && self.may_wait(target) => {
                    self.settle(next);
                    self.unsaved = Some(progress);
                    target.writer.committed();
                    return Ok(room);
                }
                Ok(()) => self.save(target, next, progress, &skips).await,
                Err(error) => Err(error),
            };
            let attempt = match attempt {
                Ok(()) => {
                    target.writer.committed();
                    return Ok(room);
                }
                Err(attempt) => attempt,
            };
            let lost = self.take_back(target, &mut before).await?;
            // The store was away, which says nothing of the items: no policy is asked, and nothing is counted against them.
            if lost && losses < MOST_LOSSES && !self.lost {
                losses += 1;
                continue;
            }
            let (what, error) = match attempt {
                Attempt::Save(RepositoryError::LeaseLost { .. }) => return Err(BodyFault::LeaseLost.into()),
                Attempt::Save(error) if !error.is_transient() => {
                    return Err(BodyFault::Failed(format!("failed to commit: {}", cause_chain(&error))).into());
                }
                Attempt::Save(error) => ("commit", ItemError::transient(error)),
                Attempt::State(message) => return Err(BodyFault::Failed(message).into()),
                Attempt::Totals(fault) => return Err(fault.into()),
                Attempt::Lost(error) => return Err(fault("sync the output", &error)),
                Attempt::Write(what, error) => (what, error),
            };
            if self.retry.allows(error.kind(), made) {
                made += 1;
                self.counters.retry += 1;
                self.show(progress);
                wait(self.retry, self.context, made, &error).await?;
                continue;
            }
            let fault = fault_after(what, &error, made, self.context);
            let skippable = self.skip.as_ref().filter(|skip| what == "write" && skip.policy.allows(error.kind()));
            let (Some(skip), Interrupt::Fault(_)) = (skippable, &fault) else { return Err(fault) };
            let left = skip.policy.limit().saturating_sub(self.skipped() + skips.len() as u64);
            match isolate(target, &mut room, skip, error, left, &mut skips).await {
                Ok(Isolated::AllGood) => {}
                Ok(Isolated::LimitReached(last)) => {
                    return Err(BodyFault::Failed(skip.policy.exceeded(&last)).into());
                }
                // A fault of another kind on the way: what was found so far stays found, the rest is tried again.
                Err(Unsettled::Write(error)) if self.retry.allows(error.kind(), made) => {
                    made += 1;
                    self.counters.retry += 1;
                    wait(self.retry, self.context, made, &error).await?;
                }
                // Nothing of the chunk is committed, so nothing of it is lost.
                Err(Unsettled::Write(error)) => return Err(fault_after("write", &error, made, self.context)),
                Err(Unsettled::Lost) if losses < MOST_LOSSES => losses += 1,
                Err(Unsettled::Lost) => return Err(fault),
                // A writer that was not cut back must not write again.
                Err(Unsettled::NotTakenBack(fault)) => return Err(fault.into()),
            }
        }
    }

    /// Takes the positions of the next chunk; those before it are given back.
    fn advance(&mut self, next: Positions) -> Positions {
        let StepState { reader, processor, writer, .. } = &mut self.state;
        Positions {
            reader: std::mem::replace(reader, next.reader),
            processor: std::mem::replace(processor, next.processor),
            writer: std::mem::replace(writer, next.writer),
        }
    }

    /// Whether a chunk that was written may be saved with a later one: nothing of it is in the transaction or the contexts,
    /// and the last save is not long ago.
    fn may_wait<W>(&self, target: &Target<'_, W>) -> bool {
        let Some(joining) = &self.joining else { return false };
        let scope = self.context.scope();
        !(joining.is_due()
            || !self.rerun.is_empty()
            || self.contexts.job_changed()
            || target.transaction.has_begun()
            || scope.context.has_change_of(Side::Writing)
            || scope.job.context.has_change_of(Side::Writing))
    }

    /// Returns when what is unsaved is due to be saved, although no chunk comes.
    pub(super) async fn save_due(&self) {
        match &self.joining {
            Some(joining) if self.unsaved.is_some() => joining.due().await,
            _ => std::future::pending().await,
        }
    }

    /// Saves the chunks that were written since the last save.
    pub(super) async fn save_unsaved<W: ItemWriter<O>>(&mut self, target: &mut Target<'_, W>) -> Result<(), Interrupt> {
        let Some(progress) = self.unsaved else { return Ok(()) };
        if let Some(totals) = &mut self.totals {
            totals.take_back();
        }
        let mut made = 0;
        loop {
            let attempt = match self.commit(target, self.counters, progress, &[]).await {
                Ok(()) => return Ok(()),
                Err(attempt) => attempt,
            };
            let rolled_back = target.transaction.rollback().await;
            rolled_back.map_err(|error| BodyFault::Failed(format!("failed to roll back: {}", cause_chain(&error))))?;
            match attempt {
                Attempt::Save(error) if error.is_transient() && self.retry.allows(ErrorKind::Transient, made) => {
                    made += 1;
                    wait(self.retry, self.context, made, &ItemError::transient(error)).await?;
                }
                attempt => return Err(self.told(attempt)),
            }
        }
    }

    /// Takes a chunk back that has failed, and saves those that were written before it. Whether the store was lost.
    async fn take_back<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        before: &mut Positions,
    ) -> Result<bool, Interrupt> {
        // First the positions: whatever fails here, what is saved from now on is what was written before the chunk.
        let none = Positions { reader: None, processor: None, writer: None };
        let chunk = self.advance(std::mem::replace(before, none));
        let put = self.contexts.take_back();
        if put.is_some() {
            self.state.context = self.contexts.of_step();
        }
        self.roll_back(target).await?;
        let lost = target.transaction.was_lost();
        self.save_unsaved(target).await?;
        *before = self.advance(chunk);
        if let Some(put) = put {
            self.contexts.bring_back(put);
            self.state.context = self.contexts.of_step();
        }
        Ok(lost)
    }

    /// The fault of an attempt that is not repeated.
    fn told(&self, attempt: Attempt) -> Interrupt {
        match attempt {
            Attempt::Save(RepositoryError::LeaseLost { .. }) => BodyFault::LeaseLost.into(),
            Attempt::Save(error) => BodyFault::Failed(format!("failed to commit: {}", cause_chain(&error))).into(),
            Attempt::State(message) => BodyFault::Failed(message).into(),
            Attempt::Totals(fault) => fault.into(),
            Attempt::Lost(error) => fault("sync the output", &error),
            Attempt::Write(what, error) => fault_after(what, &error, 0, self.context),
        }
    }

    fn skipped(&self) -> u64 {
        u64::try_from(self.counters.skip()).unwrap_or(u64::MAX)
    }

    /// The limit over all phases, in the order of the chunks.
    fn check_limit(&self, skips: &[SkippedItem]) -> Result<(), Interrupt> {
        let Some(skip) = &self.skip else { return Ok(()) };
        let left = skip.policy.limit().saturating_sub(self.skipped());
        match usize::try_from(left).ok().and_then(|left| skips.get(left)) {
            Some(first_too_many) => Err(BodyFault::Failed(skip.policy.exceeded(&first_too_many.error)).into()),
            None => Ok(()),
        }
    }

    /// Ends the output: what closes it is committed, the ledger is checked, then it becomes visible.
    pub(super) async fn end<W: ItemWriter<O>>(&mut self, target: &mut Target<'_, W>) -> Result<(), Interrupt> {
        if !self.counters.balances() {
            let Counters { read, write, filter, .. } = self.counters;
            let skip = self.counters.skip();
            let message = format!(
                "the ledger does not balance: read {read}, but written {write} + filtered {filter} + skipped {skip}; this is a defect of the engine"
            );
            return Err(BodyFault::Failed(message).into());
        }
        self.save_unsaved(target).await?;
        if let Some(totals) = &self.totals {
            totals.check(self.context)?;
        }
        // What is committed next is published then, and the word that it is complete must not be lost behind it.
        target.transaction.make_next_durable();
        let finished = target.writer.finish(target.transaction).await;
        let finished = finished.map_err(|error| Attempt::Write("finish the output", error));
        let attempt = match finished {
            Ok(()) => match self.flush(target).await {
                Ok(()) => self.save(target, self.counters, Some(1.0), &[]).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match attempt {
            Ok(()) => target.writer.committed(),
            Err(attempt) => {
                self.roll_back(target).await?;
                return Err(self.told(attempt));
            }
        }
        target.writer.publish().await.map_err(|error| fault("publish the output", &error))
    }

    async fn write<W: ItemWriter<O>>(&mut self, target: &mut Target<'_, W>, outputs: &[O]) -> Result<(), Attempt> {
        if !outputs.is_empty() {
            target.writer.write(outputs, target.transaction).await.map_err(|error| Attempt::Write("write", error))?;
        }
        self.flush(target).await
    }

    async fn flush<W: ItemWriter<O>>(&mut self, target: &mut Target<'_, W>) -> Result<(), Attempt> {
        self.state.writer = target.writer.flush().await.map_err(|error| Attempt::Write("flush", error))?;
        Ok(())
    }

    /// Adds a written chunk to the control totals; they count once it is committed.
    fn settle_totals(
        &mut self,
        sums: &[Sums],
        room: &Room<R::Item, O>,
        skips: &[SkippedItem],
    ) -> Result<(), BodyFault> {
        let Some(totals) = &mut self.totals else { return Ok(()) };
        let isolated = skips.iter().any(|skip| skip.phase == SkipPhase::Write);
        let left = isolated.then_some(room.inputs.as_slice());
        totals.settle(sums, &room.outputs, left)
    }

    /// The chunk in hand counts from now on.
    fn settle(&mut self, next: Counters) {
        self.counters = next;
        if let Some(totals) = &mut self.totals {
            totals.commit();
        }
    }

    /// Saves the state and commits, fenced by the lease; what was committed is then the new base.
    async fn save<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        next: Counters,
        progress: Option<f64>,
        skips: &[SkippedItem],
    ) -> Result<(), Attempt> {
        let scope = self.context.scope();
        if self.unsaved.is_some() {
            self.contexts.remember();
        }
        if self.contexts.write(&scope.context, &scope.job.context) {
            self.state.context = self.contexts.of_step();
        }
        self.commit(target, next, progress, skips).await
    }

    async fn commit<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        next: Counters,
        progress: Option<f64>,
        skips: &[SkippedItem],
    ) -> Result<(), Attempt> {
        let as_text = |error: ContextError| Attempt::State(error.to_string());
        self.state.write_json(&mut self.json).map_err(as_text)?;
        let job_context = self.contexts.changed_of_job().map_err(as_text)?;
        let time = (!skips.is_empty()).then(jiff::Timestamp::now);
        let job_context = job_context.as_deref();
        let control_totals = self.totals.as_mut().and_then(TotalsLedger::json);
        let save = ChunkSave {
            state: &self.json,
            counters: &next,
            control_totals,
            progress,
            job_context,
            skips,
            rerun: &self.rerun,
            time,
        };
        if let Err(error) = target.writer.sync().await {
            if self.unsaved.take().is_some() {
                self.lost = true;
                // What waits cannot be written again, and to sync it once more would prove nothing.
                return Err(Attempt::Lost(error));
            }
            return Err(Attempt::Write("sync", error));
        }
        let ack = target.transaction.commit(save).await.map_err(Attempt::Save)?;
        self.rerun.clear();
        self.contexts.saved();
        self.settle(next);
        self.unsaved = None;
        if let Some(joining) = &self.joining {
            joining.saved();
        }
        self.stop_requested |= ack.stop_requested;
        self.show(progress);
        Ok(())
    }

    async fn roll_back<W: ItemWriter<O>>(&mut self, target: &mut Target<'_, W>) -> Result<(), Interrupt> {
        self.counters.rollback += 1;
        if self.unsaved.is_none() && !self.lost {
            self.show(None);
        }
        let transaction = target.transaction.rollback().await;
        target.writer.rolled_back().await.map_err(|error| fault("roll the output back", &error))?;
        transaction.map_err(|error| BodyFault::Failed(format!("failed to roll back: {}", cause_chain(&error))).into())
    }

    fn show(&self, progress: Option<f64>) {
        let live = &self.context.scope().live;
        live.store(&self.counters, progress.or_else(|| live.progress()));
    }
}

fn fault(what: &str, error: &ItemError) -> Interrupt {
    Interrupt::Fault(failed(what, error))
}
