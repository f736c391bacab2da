//! The counts of a chunk while its items are processed.

use super::interrupt::Interrupt;
use super::kept::{KeptError, KeptSkips};
use super::settings::Skip;
use crate::execution::SkipPhase;
use crate::item::{ItemError, ItemReader};
use crate::step::body::BodyError;
use crate::step::policy::SkipRefusal;

/// The counts while items are processed.
pub(super) struct Tally {
    pub(super) filtered: usize,
    pub(super) retries: i64,
    /// In the order of the items.
    pub(super) skips: KeptSkips,
    /// The number of items that are known to have been skipped before. The policy is asked again when the chunk is
    /// committed, in the order of the chunks and over all phases; here it only ends a flood.
    skipped: u64,
}

impl Tally {
    pub(super) fn new(skipped: u64) -> Self {
        Self { filtered: 0, retries: 0, skips: KeptSkips::default(), skipped }
    }

    /// Keeps an item as skipped where the policy allows it, or passes the error on; without an item it could not be
    /// read. About as many bytes are kept of it as the answer says.
    #[cold]
    pub(super) fn skip_or<R: ItemReader>(
        &mut self,
        skip: Option<&Skip<R>>,
        interrupt: Interrupt,
        error: &ItemError,
        item: Option<&R::Item>,
    ) -> Result<usize, Interrupt> {
        let phase = if item.is_some() { SkipPhase::Process } else { SkipPhase::Read };
        let Some(skip) = skip.filter(|_| !matches!(interrupt, Interrupt::Stopped)) else { return Err(interrupt) };
        match skip.policy.asks(phase, error, self.skipped + self.skips.count()) {
            Ok(()) => Ok(self.skips.keep(skip.kept(phase, item, error), KeptError::of(error))),
            Err(SkipRefusal::Other) => Err(interrupt),
            Err(refusal) => Err(BodyError::Failed(refusal.message(&error.to_string())).into()),
        }
    }
}
