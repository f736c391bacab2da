//! A context that the parts of a step share: whose entries are whose, and how they are rolled back.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::overlay::{Entry, Overlay};
use crate::execution::{ContextError, ExecutionContext};

/// The part of a step that holds a [`StepContext`](super::StepContext).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The reader, the processor, a task.
    Processing,
    /// A reader on a thread of its own, ahead of the chunk that is filled.
    Reading,
    /// One of several processors: what it puts would belong to no chunk in particular.
    Beside,
    /// The writer.
    Writing,
}

impl Side {
    const fn bit(self) -> u8 {
        match self {
            Self::Processing => 1,
            Self::Reading => 2,
            Self::Writing => 4,
            Self::Beside => 0,
        }
    }
}

/// A context behind a lock, in layers: what the reader and the processor put, who may be a chunk ahead, what a reader
/// puts that is ahead of the chunk that is filled, and what the writer puts. Each is saved with the chunk that it
/// belongs to.
#[derive(Default)]
pub(crate) struct Shared {
    layers: Mutex<Layers>,
    /// True if a layer may have changed: spares the lock for each chunk of a step that never puts anything.
    touched: AtomicBool,
    /// The sides with changes that can be undone, as bits: spares the lock for each item.
    undoable: AtomicU8,
}

#[derive(Default)]
struct Layers {
    processing: Layer,
    reading: Layer,
    writing: Layer,
}

impl Layers {
    fn layer(&mut self, side: Side) -> Option<&mut Layer> {
        match side {
            Side::Processing => Some(&mut self.processing),
            Side::Reading => Some(&mut self.reading),
            Side::Writing => Some(&mut self.writing),
            Side::Beside => None,
        }
    }

    fn any_changed(&self) -> bool {
        self.processing.changed || self.reading.changed || self.writing.changed
    }
}

#[derive(Default)]
struct Layer {
    entries: Overlay,
    changed: bool,
    /// `None` where nobody undoes anything.
    journal: Option<Journal>,
}

/// The changes of a layer since the last mark, to undo them.
#[derive(Default)]
struct Journal {
    /// Each entry as it was before it was changed, in the order of the changes.
    before: Vec<(String, Entry)>,
    /// True if the layer had changed before the first of them.
    changed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Layers> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An entry as it stands between two steps.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ContextError> {
        self.get(Side::Processing, key)
    }

    pub(super) fn get<T: serde::de::DeserializeOwned>(&self, side: Side, key: &str) -> Result<Option<T>, ContextError> {
        let layers = self.lock();
        let Layers { processing, reading, writing } = &*layers;
        let order = match side {
            Side::Processing | Side::Beside => [processing, writing, reading],
            Side::Reading => [reading, processing, writing],
            Side::Writing => [writing, processing, reading],
        };
        for layer in order {
            if let Some(value) = layer.entries.set().get(key)? {
                return Ok(Some(value));
            }
            if layer.entries.hides(key) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    pub(super) fn put(&self, side: Side, key: &str, value: impl serde::Serialize) -> Result<(), ContextError> {
        let value =
            serde_json::to_value(value).map_err(|source| ContextError::Entry { key: key.to_owned(), source })?;
        self.change(side, key, Entry::Set(value))
    }

    pub(super) fn remove(&self, side: Side, key: &str) -> Result<(), ContextError> {
        self.change(side, key, Entry::Removed)
    }

    fn change(&self, side: Side, key: &str, entry: Entry) -> Result<(), ContextError> {
        let mut layers = self.lock();
        let Some(layer) = layers.layer(side) else { return Err(ContextError::Beside { key: key.to_owned() }) };
        let before = layer.entries.exchange(key, entry);
        if let Some(journal) = &mut layer.journal {
            if journal.before.is_empty() {
                journal.changed = layer.changed;
            }
            journal.before.push((key.to_owned(), before));
            self.undoable.fetch_or(side.bit(), Ordering::AcqRel);
        }
        layer.changed = true;
        self.touched.store(true, Ordering::Release);
        Ok(())
    }

    /// Says which sides can be undone from now on.
    pub(crate) fn record(&self, sides: &[Side]) {
        let mut layers = self.lock();
        for side in [Side::Processing, Side::Reading, Side::Writing] {
            if let Some(layer) = layers.layer(side) {
                layer.journal = sides.contains(&side).then(Journal::default);
            }
        }
        self.undoable.store(0, Ordering::Release);
    }

    /// Keeps what one side has put so far.
    #[inline]
    pub(crate) fn mark(&self, side: Side) {
        if self.undoable.load(Ordering::Acquire) & side.bit() != 0 {
            self.forget(side);
        }
    }

    #[cold]
    fn forget(&self, side: Side) {
        let mut layers = self.lock();
        if let Some(journal) = layers.layer(side).and_then(|layer| layer.journal.as_mut()) {
            journal.before.clear();
        }
        self.undoable.fetch_and(!side.bit(), Ordering::AcqRel);
    }

    /// Takes back what one side has put since the last mark.
    #[cold]
    pub(crate) fn undo(&self, side: Side) {
        let mut layers = self.lock();
        let Some(layer) = layers.layer(side) else { return };
        let Some(journal) = layer.journal.as_mut().filter(|journal| !journal.before.is_empty()) else { return };
        for (key, entry) in journal.before.drain(..).rev() {
            layer.entries.exchange(&key, entry);
        }
        layer.changed = journal.changed;
        self.undoable.fetch_and(!side.bit(), Ordering::AcqRel);
        self.touched.store(layers.any_changed(), Ordering::Release);
    }

    /// Takes over what a reader on a thread of its own has put, for the chunk that takes the item that came with it.
    pub(crate) fn take_over(&self, change: &Overlay) {
        let mut layers = self.lock();
        layers.processing.entries.merge(change);
        layers.processing.changed = true;
        self.touched.store(true, Ordering::Release);
    }

    /// A copy of what one side has put, when it was changed since the last call.
    pub(crate) fn take_change_of(&self, side: Side) -> Option<Overlay> {
        if !self.touched.load(Ordering::Acquire) {
            return None;
        }
        let mut layers = self.lock();
        let layer = layers.layer(side)?;
        let change = std::mem::take(&mut layer.changed).then(|| layer.entries.clone());
        self.touched.store(layers.any_changed(), Ordering::Release);
        change
    }

    /// True if there is something to take of one side.
    pub(crate) fn has_change_of(&self, side: Side) -> bool {
        self.touched.load(Ordering::Acquire) && self.lock().layer(side).is_some_and(|layer| layer.changed)
    }

    /// A copy of all, when it was changed since the last call: for tasks and ends, where nobody is ahead.
    pub(crate) fn take_change(&self) -> Option<ExecutionContext> {
        let mut layers = self.lock();
        let processing = std::mem::take(&mut layers.processing.changed);
        let writing = std::mem::take(&mut layers.writing.changed);
        (processing || writing).then(|| {
            let mut all = layers.processing.entries.set().clone();
            layers.writing.entries.apply_to(&mut all);
            all
        })
    }

    /// Marks as a change again what was taken to be saved and was not saved.
    pub(crate) fn keep_changed(&self) {
        self.lock().processing.changed = true;
        self.touched.store(true, Ordering::Release);
    }

    /// A copy of what the reader's side holds.
    pub(crate) fn current(&self) -> ExecutionContext {
        self.lock().processing.entries.set().clone()
    }

    pub(crate) fn replace(&self, context: ExecutionContext) {
        *self.lock() =
            Layers { processing: Layer { entries: context.into(), ..Layer::default() }, ..Layers::default() };
        self.undoable.store(0, Ordering::Release);
    }

    /// Makes one layer of both, at the end of a step: what it left is where the next one starts.
    pub(crate) fn merge_sides(&self) {
        let mut layers = self.lock();
        for other in [std::mem::take(&mut layers.reading), std::mem::take(&mut layers.writing)] {
            layers.processing.entries.merge(&other.entries);
            layers.processing.changed |= other.changed;
        }
        // Nothing is below it any more.
        let all = std::mem::take(&mut layers.processing.entries);
        layers.processing.entries = all.into_set().into();
        layers.processing.journal = None;
        self.undoable.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(shared: &Shared, side: Side, key: &str) -> Option<u64> {
        shared.get(side, key).unwrap()
    }

    #[test]
    fn what_was_put_since_the_mark_is_undone_and_nothing_else() {
        let shared = Shared::default();
        shared.record(&[Side::Processing, Side::Writing]);
        shared.put(Side::Processing, "a", 1).unwrap();
        shared.put(Side::Writing, "w", 1).unwrap();
        shared.mark(Side::Processing);
        for value in [2, 3] {
            shared.put(Side::Processing, "a", value).unwrap();
            shared.put(Side::Processing, "b", value).unwrap();
        }
        shared.undo(Side::Processing);
        assert_eq!(["a", "b"].map(|key| entry(&shared, Side::Processing, key)), [Some(1), None]);
        assert!(shared.take_change_of(Side::Processing).is_some(), "of before the mark");
        shared.undo(Side::Processing);
        assert_eq!(entry(&shared, Side::Processing, "a"), Some(1));
        assert_eq!(entry(&shared, Side::Writing, "w"), Some(1));
        shared.undo(Side::Writing);
        assert_eq!(entry(&shared, Side::Writing, "w"), None);
        assert!(!shared.has_change_of(Side::Writing), "as if it had never been put");
    }

    #[test]
    fn what_was_taken_for_a_save_that_failed_is_undone_as_well() {
        let shared = Shared::default();
        shared.record(&[Side::Writing]);
        shared.put(Side::Writing, "w", 1).unwrap();
        assert!(shared.take_change_of(Side::Writing).is_some());
        shared.undo(Side::Writing);
        assert_eq!(entry(&shared, Side::Writing, "w"), None);
        assert!(!shared.has_change_of(Side::Writing));
    }

    #[test]
    fn what_is_removed_is_gone_for_all_that_look_at_it_from_there_and_comes_back_when_it_is_undone() {
        let shared = Shared::default();
        shared.replace(ExecutionContext::from_json(r#"{"stored":1}"#).unwrap());
        shared.record(&[Side::Processing, Side::Writing]);
        shared.put(Side::Writing, "w", 1).unwrap();
        shared.mark(Side::Writing);
        for key in ["stored", "w"] {
            shared.remove(Side::Writing, key).unwrap();
            assert_eq!(entry(&shared, Side::Writing, key), None);
        }
        assert_eq!(entry(&shared, Side::Processing, "stored"), Some(1), "it is a chunk ahead");
        shared.undo(Side::Writing);
        assert_eq!(["stored", "w"].map(|key| entry(&shared, Side::Writing, key)), [Some(1), Some(1)]);
        shared.remove(Side::Writing, "stored").unwrap();
        shared.merge_sides();
        assert_eq!(shared.take_change(), Some(ExecutionContext::from_json(r#"{"w":1}"#).unwrap()));
        assert!(matches!(shared.remove(Side::Beside, "w"), Err(ContextError::Beside { .. })));
    }

    #[test]
    fn nothing_is_remembered_where_nobody_undoes() {
        let shared = Shared::default();
        shared.record(&[]);
        shared.put(Side::Processing, "a", 1).unwrap();
        shared.undo(Side::Processing);
        assert_eq!(entry(&shared, Side::Processing, "a"), Some(1));
    }
}
