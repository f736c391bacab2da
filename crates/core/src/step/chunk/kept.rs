//! The items that a chunk goes on without, as they are kept.

use super::interrupt::Interrupt;
use crate::execution::{SkipPhase, SkippedItem};
use crate::item::ErrorKind;
use crate::step::body::BodyError;
use crate::step::policy::{SkipPolicy, SkippableError};

/// Skipped items of a chunk, in their order.
#[derive(Default)]
pub(super) struct KeptSkips {
    items: Vec<SkippedItem>,
    /// The kind of the error of each.
    kinds: Vec<ErrorKind>,
}

impl KeptSkips {
    pub(super) fn as_slice(&self) -> &[SkippedItem] {
        &self.items
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn count(&self) -> u64 {
        self.items.len() as u64
    }

    /// Keeps an item whose error, of this kind, the policy allows. The answer is about how many bytes it takes.
    pub(super) fn keep(&mut self, skipped: SkippedItem, kind: ErrorKind) -> usize {
        let bytes = skipped.error.len() + skipped.item.as_ref().map_or(0, String::len) + size_of::<SkippedItem>();
        self.items.push(skipped);
        self.kinds.push(kind);
        bytes
    }

    /// Takes over those of a part of the chunk, and asks the policy again, which knows now how many there were before:
    /// `skipped` before this chunk.
    pub(super) fn join(&mut self, more: Self, policy: Option<&SkipPolicy>, skipped: u64) -> Result<(), Interrupt> {
        for (item, kind) in more.items.into_iter().zip(more.kinds) {
            check(policy, &item, kind, skipped + self.count())?;
            self.items.push(item);
            self.kinds.push(kind);
        }
        Ok(())
    }

    /// Asks the policy for each of them, with `skipped` before them.
    pub(super) fn check(&self, policy: Option<&SkipPolicy>, skipped: u64) -> Result<(), Interrupt> {
        let numbered = (skipped..).zip(self.items.iter().zip(&self.kinds));
        for (before, (item, kind)) in numbered {
            check(policy, item, *kind, before)?;
        }
        Ok(())
    }

    /// The last of them, as its error told it.
    pub(super) fn last_error(&self) -> Option<String> {
        self.items.last().map(told)
    }
}

fn check(policy: Option<&SkipPolicy>, item: &SkippedItem, kind: ErrorKind, skipped: u64) -> Result<(), Interrupt> {
    let Some(policy) = policy else { return Ok(()) };
    let position = item.position.as_deref();
    let fault = SkippableError { phase: item.phase, kind, position, error: &item.error, skipped };
    policy.verdict(&fault).map_err(|refusal| BodyError::Failed(refusal.message(&told(item))).into())
}

/// The error of an item that was skipped, as its error told it.
fn told(skip: &SkippedItem) -> String {
    let position = skip.position.as_ref().map(|position| format!("{position}: ")).unwrap_or_default();
    let raw = skip.item.as_ref().filter(|_| skip.phase == SkipPhase::Read);
    let raw = raw.map(|raw| format!("; raw text: {raw:?}")).unwrap_or_default();
    format!("{position}{}{raw}", skip.error)
}
