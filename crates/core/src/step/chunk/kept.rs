//! The items that a chunk goes on without, as they are kept.

use super::interrupt::Interrupt;
use crate::execution::{SkipPhase, SkippedItem};
use crate::item::{ErrorKind, ItemError, Origin, Reject};
use crate::step::body::BodyError;
use crate::step::policy::{SkipPolicy, SkippableError};

/// The error of a skipped item, as the policy and the rejects need it.
pub(super) struct KeptError {
    kind: ErrorKind,
    file: Option<String>,
    position: Option<String>,
    line: Option<u64>,
}

impl KeptError {
    pub(super) fn of(error: &ItemError) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let (file, position) = (text(error.file()), text(error.position()));
        Self { kind: error.kind(), file, position, line: error.line() }
    }

    /// The error of an item whose origin is known otherwise.
    pub(super) fn at(error: &ItemError, origin: &Origin) -> Self {
        let file = origin.file().map(|file| file.display().to_string());
        let position = origin.position().map(ToString::to_string);
        Self { kind: error.kind(), file, position, line: origin.line() }
    }
}

/// Skipped items of a chunk, in their order.
#[derive(Default)]
pub(super) struct KeptSkips {
    items: Vec<SkippedItem>,
    /// The error of each.
    errors: Vec<KeptError>,
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

    /// The same as they are written to an output of rejects.
    #[cold]
    pub(super) fn rejects(&self) -> Vec<Reject> {
        let reject = |(item, error): (&SkippedItem, &KeptError)| {
            let mut reject = Reject::new(item.phase, error.kind, item.error.clone());
            (reject.file, reject.line, reject.position) = (error.file.clone(), error.line, error.position.clone());
            reject.item.clone_from(&item.item);
            reject
        };
        self.items.iter().zip(&self.errors).map(reject).collect()
    }

    /// Keeps an item whose error the policy allows. The answer is about how many bytes it takes.
    pub(super) fn keep(&mut self, skipped: SkippedItem, error: KeptError) -> usize {
        let bytes = skipped.error.len() + skipped.item.as_ref().map_or(0, String::len) + size_of::<SkippedItem>();
        self.items.push(skipped);
        self.errors.push(error);
        bytes
    }

    /// Takes over those of a part of the chunk, and asks the policy again, which knows now how many there were before:
    /// `skipped` before this chunk.
    pub(super) fn join(&mut self, more: Self, policy: Option<&SkipPolicy>, skipped: u64) -> Result<(), Interrupt> {
        for (item, error) in more.items.into_iter().zip(more.errors) {
            check(policy, &item, error.kind, skipped + self.count())?;
            self.items.push(item);
            self.errors.push(error);
        }
        Ok(())
    }

    /// Asks the policy for each of them, with `skipped` before them.
    pub(super) fn check(&self, policy: Option<&SkipPolicy>, skipped: u64) -> Result<(), Interrupt> {
        let numbered = (skipped..).zip(self.items.iter().zip(&self.errors));
        for (before, (item, error)) in numbered {
            check(policy, item, error.kind, before)?;
        }
        Ok(())
    }

    /// The last of them, as its error told it.
    pub(super) fn last_error(&self) -> Option<String> {
        self.items.last().map(described)
    }
}

fn check(policy: Option<&SkipPolicy>, item: &SkippedItem, kind: ErrorKind, skipped: u64) -> Result<(), Interrupt> {
    let Some(policy) = policy else { return Ok(()) };
    let position = item.position.as_deref();
    let skippable = SkippableError { phase: item.phase, kind, position, error: &item.error, skipped };
    policy.verdict(&skippable).map_err(|refusal| BodyError::Failed(refusal.message(&described(item))).into())
}

/// The error of an item that was skipped, as its error told it.
fn described(skip: &SkippedItem) -> String {
    let position = skip.position.as_ref().map(|position| format!("{position}: ")).unwrap_or_default();
    let raw = skip.item.as_ref().filter(|_| skip.phase == SkipPhase::Read);
    let raw = raw.map(|raw| format!("; raw text: {raw:?}")).unwrap_or_default();
    format!("{position}{}{raw}", skip.error)
}
