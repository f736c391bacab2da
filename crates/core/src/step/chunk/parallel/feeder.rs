//! The thread that reads: it deals the items out in parts and passes on the order in which they were read.

use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::parts::{Feed, Part};
use crate::execution::StepPhase;
use crate::item::{ItemReader, Origin};
use crate::step::chunk::input::Read;
use crate::step::chunk::read::{Fullness, Reading};
use crate::step::chunk::tally::Tally;

/// Reads, deals the items out to the processors, and passes the order on to whoever puts their work together.
pub(super) struct Feeder<R: ItemReader, O> {
    pub(super) reading: Reading<R>,
    pub(super) queue: mpsc::Sender<Part<R::Item, O>>,
    pub(super) feed: mpsc::Sender<Feed<R::Item, O>>,
    pub(super) part: usize,
}

/// Nobody listens any more.
struct Gone;

impl<R: ItemReader + 'static, O: Send> Feeder<R, O> {
    pub(super) async fn run(&mut self) {
        while !self.reading.context.is_stopping() {
            match self.chunk().await {
                Ok(true) => {}
                Ok(false) | Err(Gone) => return,
            }
        }
    }

    /// Reads one chunk; whether there may be another.
    async fn chunk(&mut self) -> Result<bool, Gone> {
        let mut full = Fullness::default();
        let mut items = Vec::with_capacity(self.part);
        let mut end = false;
        let mut begun = Instant::now();
        while self.reading.has_room(&full) {
            let mut tally = Tally::new(0);
            let read = self.reading.next(&mut full, &mut tally).await;
            if tally.retries > 0 || !tally.skips.is_empty() {
                self.deal(&mut items).await?;
                self.send(Feed::Read { retries: tally.retries, skips: tally.skips }).await?;
            }
            match read {
                Ok(Read::Item(item)) => {
                    items.push((item, self.reading.input.origin()));
                    if items.len() >= self.part {
                        self.has_read(begun);
                        self.deal(&mut items).await?;
                        // To wait for those who process is no reading.
                        begun = Instant::now();
                    }
                }
                Ok(Read::End) => {
                    end = true;
                    break;
                }
                Ok(Read::Skipped) => {}
                Ok(Read::Late | Read::Stopped | Read::BlockEnd) => break,
                Err(interrupt) => {
                    self.deal(&mut items).await?;
                    self.send(Feed::Interrupt(interrupt)).await?;
                    return Ok(false);
                }
            }
        }
        self.has_read(begun);
        self.deal(&mut items).await?;
        match self.reading.seal(&full, end) {
            Ok(seal) => self.send(Feed::Seal(Box::new(seal))).await?,
            Err(interrupt) => {
                self.send(Feed::Interrupt(interrupt)).await?;
                return Ok(false);
            }
        }
        Ok(!end)
    }

    fn has_read(&self, since: Instant) {
        self.reading.context.scope().live.add_time(StepPhase::Read, since.elapsed());
    }

    async fn send(&self, feed: Feed<R::Item, O>) -> Result<(), Gone> {
        self.feed.send(feed).await.map_err(|_| Gone)
    }

    async fn deal(&self, items: &mut Vec<(R::Item, Option<Origin>)>) -> Result<(), Gone> {
        if items.is_empty() {
            return Ok(());
        }
        let items = std::mem::replace(items, Vec::with_capacity(self.part));
        let (done, awaited) = oneshot::channel();
        // First its place in the order: so no more parts are about than there are places.
        self.send(Feed::Part(awaited)).await?;
        self.queue.send(Part { items, done }).await.map_err(|_| Gone)
    }
}
