//! A span that has failed: it is taken back, and its chunks are committed one by one.

use super::commit::Commits;
use super::hand::Hand;
use super::interrupt::Interrupt;
use super::target::{Failure, Target};
use crate::item::{ItemReader, ItemWriter};

impl<R: ItemReader, O: Send + Sync> Commits<'_, R, O> {
    /// Takes the chunks of the span back, and commits them one by one, by the rules for chunks that fail. A chunk
    /// behind them, in whose attempt the span has failed, is back in hand, for an attempt by itself. No policy is asked
    /// about the span: which of its chunks is at fault is found out so.
    ///
    /// After a stop, and when the lease is lost, they are dropped: nothing of them was committed, and the next attempt
    /// of the step begins before them.
    pub(super) async fn take_apart<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        mut in_hand: Option<&mut Hand<R::Item, O>>,
        failure: Failure,
    ) -> Result<(), Interrupt> {
        let (mut chunks, before) = self.span.take();
        if let Some(hand) = &mut in_hand {
            self.standing.exchange(&mut hand.before);
        }
        for hand in chunks.iter_mut().rev() {
            self.standing.exchange(&mut hand.before);
        }
        if let Some(before) = before {
            self.standing.go_back(before);
        }
        let rolled_back = target.roll_back().await;
        self.standing.rolled_back();
        rolled_back?;
        if let (Some(listeners), Some(message), Some(_)) = (self.context.listeners(), failure.message(), &in_hand) {
            listeners.on_chunk_error(self.context, &message);
        }
        if failure.ends_the_step() || self.standing.has_lost() {
            return Err(failure.fails(Some(self.context)));
        }
        for hand in chunks {
            self.alone(target, hand).await?;
        }
        let Some(hand) = in_hand else { return Ok(()) };
        self.standing.exchange(&mut hand.before);
        hand.tries.alone = true;
        // More items may have been skipped by now.
        hand.skips.check(self.rules.skip_policy(), self.standing.skipped())
    }

    /// Commits a chunk of a span that was taken back.
    async fn alone<W: ItemWriter<O>>(
        &mut self,
        target: &mut Target<'_, W>,
        mut hand: Hand<R::Item, O>,
    ) -> Result<(), Interrupt> {
        if self.context.is_stopping() || self.standing.stop_requested {
            return Err(Interrupt::Stopped);
        }
        self.standing.exchange(&mut hand.before);
        hand.tries.alone = true;
        while let Err(failure) = self.attempt(target, &hand).await {
            self.mend(target, &mut hand, failure).await?;
        }
        target.committed();
        self.tell(&hand);
        self.span.reuse(hand.buffers);
        Ok(())
    }
}
