//! The entries of one side of a step: set over those below, or removed from them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::execution::ExecutionContext;

/// Entries that are set, and names whose entries below are hidden.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Overlay {
    set: ExecutionContext,
    removed: BTreeSet<String>,
}

/// The state of one entry in an overlay.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    /// Nothing is said of it: what is below counts.
    Absent,
    /// Removed.
    Removed,
    /// Set.
    Set(Value),
}

impl From<ExecutionContext> for Overlay {
    fn from(set: ExecutionContext) -> Self {
        Self { set, removed: BTreeSet::new() }
    }
}

impl Overlay {
    /// The entries that are set.
    pub(crate) fn into_set(self) -> ExecutionContext {
        self.set
    }

    pub(super) fn set(&self) -> &ExecutionContext {
        &self.set
    }

    pub(super) fn hides(&self, key: &str) -> bool {
        self.removed.contains(key)
    }

    /// Brings an entry into a state; the answer is the one before.
    pub(super) fn exchange(&mut self, key: &str, entry: Entry) -> Entry {
        let was_removed = match entry {
            Entry::Removed => !self.removed.insert(key.to_owned()),
            Entry::Absent | Entry::Set(_) => self.removed.remove(key),
        };
        let value = match entry {
            Entry::Set(value) => Some(value),
            Entry::Absent | Entry::Removed => None,
        };
        match self.set.set(key, value) {
            Some(before) => Entry::Set(before),
            None if was_removed => Entry::Removed,
            None => Entry::Absent,
        }
    }

    /// Takes over the entries of another; where both say something, the other counts.
    pub(super) fn merge(&mut self, other: &Self) {
        other.apply_to(&mut self.set);
        self.removed.retain(|key| !other.set.has(key));
        self.removed.extend(other.removed.iter().cloned());
    }

    /// Sets and removes its entries in a context.
    pub(crate) fn apply_to(&self, context: &mut ExecutionContext) {
        context.merge(&self.set);
        for key in &self.removed {
            context.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_into_each_of_its_states() {
        let mut overlay = Overlay::default();
        let states = [Entry::Set(1.into()), Entry::Removed, Entry::Set(2.into()), Entry::Absent, Entry::Removed];
        let mut before = Entry::Absent;
        for state in states {
            assert_eq!(overlay.exchange("key", state.clone()), before);
            assert_eq!(overlay.hides("key"), state == Entry::Removed);
            before = state;
        }
    }

    #[test]
    fn what_lies_above_counts() {
        let context = |json: &str| ExecutionContext::from_json(json).unwrap();
        let mut below = Overlay::from(context(r#"{"a":1,"b":1}"#));
        below.exchange("c", Entry::Removed);
        let mut above = Overlay::from(context(r#"{"b":2,"c":2}"#));
        above.exchange("a", Entry::Removed);
        below.merge(&above);
        assert!(below.hides("a") && !below.hides("c"));
        let mut stored = context(r#"{"a":0,"d":0}"#);
        below.apply_to(&mut stored);
        assert_eq!(stored, context(r#"{"b":2,"c":2,"d":0}"#));
    }
}
