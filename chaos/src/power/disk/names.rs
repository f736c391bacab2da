//! The names in folders: each change in its order, and which of them a loss of power would take away.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;

use super::{Lasting, Survival};
use crate::random::Random;

/// The entries of a folder: names and the nodes that they stand for.
pub(crate) type Entries = BTreeMap<OsString, u64>;

/// The changes of one call in one or two folders.
pub(crate) type Change = Vec<Entry>;

/// A name that leads to a file, or to nothing any more.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) folder: u64,
    pub(crate) name: OsString,
    pub(crate) to: Option<u64>,
}

/// The changes of names since the disk was switched on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    changes: Vec<Change>,
    /// So many of them are on the disk where any force takes all before it along.
    forced: usize,
    /// And so many of a folder's where only its own force counts.
    forced_of: HashMap<u64, usize>,
}

impl Names {
    pub(crate) fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Something was forced; when it is a folder, its names are on the disk.
    pub(crate) fn force(&mut self, folder: Option<u64>) {
        self.forced = self.changes.len();
        if let Some(folder) = folder {
            self.forced_of.insert(folder, self.forced);
        }
    }

    /// The changes that a loss of power leaves, each with whether it does.
    pub(crate) fn survivors(
        &self,
        survival: Survival,
        lasting: Lasting,
        random: &mut Random,
    ) -> impl Iterator<Item = (&Entry, bool)> {
        let all = self.changes.len();
        let mut bound = |forced: usize| match survival {
            Survival::Gone => forced,
            Survival::Prefix | Survival::Torn => forced + random.index(all - forced + 1),
        };
        let in_order = bound(self.forced);
        let mut bounds = HashMap::new();
        for entry in self.changes.iter().flatten() {
            let forced = || self.forced_of.get(&entry.folder).copied().unwrap_or(0);
            bounds.entry(entry.folder).or_insert_with(|| bound(forced()));
        }
        self.changes.iter().enumerate().flat_map(move |(index, change)| {
            let bounds = bounds.clone();
            change.iter().map(move |entry| {
                let lasts = match lasting {
                    Lasting::AtOnce => true,
                    Lasting::InOrder => index < in_order,
                    Lasting::ByFolder => bounds.get(&entry.folder).is_some_and(|bound| index < *bound),
                };
                (entry, lasts)
            })
        })
    }
}
