//! A disk in memory that knows what was written to it, and what of it a loss of power leaves.

mod content;
mod names;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use fuser::Errno;

use crate::random::Random;
pub(crate) use content::Content;
pub(crate) use names::Entries;
use names::{Entry, Names};

/// The number of the outermost folder.
pub(crate) const ROOT: u64 = 1;

/// The part of the bytes that were not forced which a loss of power leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survival {
    /// Nothing.
    Gone,
    /// The first few changes of each file, and of the names.
    Prefix,
    /// Of each page any version, and any length that the file had.
    Torn,
}

/// The call that makes a name durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// It is at once.
    AtOnce,
    /// The force of anything takes along all names before it, as a journal does.
    InOrder,
    /// The force of its folder alone.
    ByFolder,
}

impl Survival {
    pub(crate) const ALL: [Self; 3] = [Self::Gone, Self::Prefix, Self::Torn];
}

impl fmt::Display for Survival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "gone",
            Self::Prefix => "prefix",
            Self::Torn => "torn",
        })
    }
}

impl Lasting {
    pub(crate) const ALL: [Self; 3] = [Self::AtOnce, Self::InOrder, Self::ByFolder];
}

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtOnce => "at-once",
            Self::InOrder => "in-order",
            Self::ByFolder => "by-folder",
        })
    }
}

/// A file, a folder or a link.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
}

/// The kind of a node.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    File(Content),
    Folder(Entries),
    Link(PathBuf),
}

/// The disk. Modes and owners, of which nothing depends, are durable at once.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    /// By their number less one; none is ever given a second time.
    nodes: Vec<Node>,
    names: Names,
    /// The folders when the disk was switched on.
    before: BTreeMap<u64, Entries>,
}

/// The loss of a file by a loss of power.
#[derive(Debug, Clone)]
pub(crate) struct Loss {
    pub(crate) path: PathBuf,
    pub(crate) changes: usize,
    pub(crate) length: usize,
    pub(crate) forced: usize,
}

impl Disk {
    pub(crate) fn empty() -> Self {
        let root = Node { kind: Kind::Folder(Entries::new()), mode: 0o755, owner: (0, 0) };
        Self { nodes: vec![root], names: Names::default(), before: BTreeMap::new() }.forced()
    }

    /// The same disk after everything was forced.
    pub(crate) fn forced(mut self) -> Self {
        self.names = Names::default();
        self.before.clear();
        for (number, node) in (ROOT..).zip(&mut self.nodes) {
            match &mut node.kind {
                Kind::File(content) => drop(content.force()),
                Kind::Folder(entries) => drop(self.before.insert(number, entries.clone())),
                Kind::Link(_) => {}
            }
        }
        self
    }

    /// The disk as a loss of power leaves it.
    pub(crate) fn survivor(&self, survival: Survival, lasting: Lasting, random: &mut Random) -> Self {
        let mut folders = self.before.clone();
        for (entry, lasts) in self.names.survivors(survival, lasting, random) {
            if lasts {
                let folder = folders.entry(entry.folder).or_default();
                match entry.to {
                    Some(number) => drop(folder.insert(entry.name.clone(), number)),
                    None => drop(folder.remove(&entry.name)),
                }
            }
        }
        let nodes = (ROOT..).zip(&self.nodes).map(|(number, node)| {
            let kind = match &node.kind {
                Kind::File(content) => Kind::File(content.survivor(survival, random)),
                Kind::Folder(_) => Kind::Folder(folders.remove(&number).unwrap_or_default()),
                Kind::Link(path) => Kind::Link(path.clone()),
            };
            Node { kind, ..*node }
        });
        Self { nodes: nodes.collect(), names: Names::default(), before: BTreeMap::new() }.forced()
    }

    /// All that a loss of power could take away.
    pub(crate) fn losses(&self) -> Vec<Loss> {
        let lost = |(number, node): (u64, &Node)| match &node.kind {
            Kind::File(content) if content.unforced() > 0 => Some(Loss {
                path: self.path(number),
                changes: content.unforced(),
                length: content.now().len(),
                forced: content.forced_length(),
            }),
            _ => None,
        };
        (ROOT..).zip(&self.nodes).filter_map(lost).collect()
    }

    pub(crate) fn node(&self, number: u64) -> Result<&Node, Errno> {
        usize::try_from(number - ROOT).ok().and_then(|index| self.nodes.get(index)).ok_or(Errno::ENOENT)
    }

    pub(crate) fn node_mut(&mut self, number: u64) -> Result<&mut Node, Errno> {
        usize::try_from(number - ROOT).ok().and_then(|index| self.nodes.get_mut(index)).ok_or(Errno::ENOENT)
    }

    pub(crate) fn content(&mut self, number: u64) -> Result<&mut Content, Errno> {
        match &mut self.node_mut(number)?.kind {
            Kind::File(content) => Ok(content),
            _ => Err(Errno::EISDIR),
        }
    }

    pub(crate) fn entries(&self, number: u64) -> Result<&Entries, Errno> {
        match &self.node(number)?.kind {
            Kind::Folder(entries) => Ok(entries),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub(crate) fn lookup(&self, folder: u64, name: &OsStr) -> Result<u64, Errno> {
        self.entries(folder)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    /// Forces a file's bytes or a folder's names.
    pub(crate) fn force(&mut self, number: u64) -> Result<(), Errno> {
        let folder = match &mut self.node_mut(number)?.kind {
            Kind::File(content) => {
                content.force();
                None
            }
            _ => Some(number),
        };
        self.names.force(folder);
        Ok(())
    }

    /// Puts a new node into a folder.
    pub(crate) fn create(&mut self, folder: u64, name: &OsStr, node: Node) -> Result<u64, Errno> {
        if self.entries(folder)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        self.nodes.push(node);
        let number = self.nodes.len() as u64;
        self.rename_all(vec![Entry { folder, name: name.to_owned(), to: Some(number) }])?;
        Ok(number)
    }

    pub(crate) fn link(&mut self, number: u64, folder: u64, name: &OsStr) -> Result<(), Errno> {
        if self.entries(folder)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        self.rename_all(vec![Entry { folder, name: name.to_owned(), to: Some(number) }])
    }

    pub(crate) fn unlink(&mut self, folder: u64, name: &OsStr) -> Result<(), Errno> {
        let number = self.lookup(folder, name)?;
        if matches!(&self.node(number)?.kind, Kind::Folder(entries) if !entries.is_empty()) {
            return Err(Errno::ENOTEMPTY);
        }
        self.rename_all(vec![Entry { folder, name: name.to_owned(), to: None }])
    }

    pub(crate) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) -> Result<(), Errno> {
        let number = self.lookup(from.0, from.1)?;
        if let Ok(replaced) = self.lookup(to.0, to.1) {
            if replaced == number {
                return Ok(());
            }
            if matches!(&self.node(replaced)?.kind, Kind::Folder(entries) if !entries.is_empty()) {
                return Err(Errno::ENOTEMPTY);
            }
        }
        self.rename_all(vec![
            Entry { folder: from.0, name: from.1.to_owned(), to: None },
            Entry { folder: to.0, name: to.1.to_owned(), to: Some(number) },
        ])
    }

    fn rename_all(&mut self, change: Vec<Entry>) -> Result<(), Errno> {
        for entry in &change {
            let Kind::Folder(entries) = &mut self.node_mut(entry.folder)?.kind else { return Err(Errno::ENOTDIR) };
            match entry.to {
                Some(number) => drop(entries.insert(entry.name.clone(), number)),
                None => drop(entries.remove(&entry.name)),
            }
        }
        self.names.push(change);
        Ok(())
    }

    /// Where a node stands, as far as it has a name.
    pub(crate) fn path(&self, number: u64) -> PathBuf {
        self.path_within(ROOT, Path::new(""), number).unwrap_or_else(|| format!("(unnamed {number})").into())
    }

    fn path_within(&self, folder: u64, path: &Path, number: u64) -> Option<PathBuf> {
        if folder == number {
            return Some(path.to_owned());
        }
        self.entries(folder).ok()?.iter().find_map(|(name, entry)| {
            let path = path.join(name);
            if *entry == number { Some(path) } else { self.path_within(*entry, &path, number) }
        })
    }
}
