//! The marks of living processes: each node holds a lock on a file, and the system frees it at its death.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oxbatch_core::repository::Node;
use uuid::Uuid;

/// The meaning of a missing mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// Every node of the database leaves one in the same place: its process has ended, and its mark was removed.
    Dead,
    /// It may run on another machine: its lease alone decides. Marks of the dead stay until nothing is left to recover.
    #[cfg(feature = "postgres")]
    Unknown,
}

/// The marks of nodes: files whose names begin with that of a database.
pub(crate) struct Presence {
    database: PathBuf,
    absent: Absent,
    held: Mutex<Vec<(Uuid, File)>>,
}

impl Presence {
    pub(crate) fn new(database: PathBuf, absent: Absent) -> Self {
        Self { database, absent, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Vec<(Uuid, File)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, boot_id: Uuid) -> PathBuf {
        next_to(&self.database, &format!("-node-{boot_id}"))
    }

    /// Marks a node as alive for as long as this process lives.
    pub(crate) fn announce(&self, node: &Node) -> io::Result<()> {
        if self.held().iter().any(|(boot_id, _)| *boot_id == node.boot_id) {
            return Ok(());
        }
        // Locked before it has its name: nobody may ever see it unlocked.
        let unnamed = next_to(&self.database, &format!("-node-{}.new", node.boot_id));
        let file = File::create(&unnamed)?;
        file.try_lock()?;
        std::fs::rename(&unnamed, self.mark(node.boot_id))?;
        self.held().push((node.boot_id, file));
        Ok(())
    }

    /// Takes the marks of this process away, or frees them where absence says nothing.
    pub(crate) fn withdraw(&self) {
        for (boot_id, file) in self.held().drain(..) {
            if self.absent == Absent::Dead {
                // A mark that cannot be removed is unlocked at least, which says the same.
                let _ = std::fs::remove_file(self.mark(boot_id));
            }
            drop(file);
        }
    }

    /// Returns whether the process of an owner, as it stands in a lease, has certainly ended.
    pub(crate) fn is_dead(&self, owner: &str) -> bool {
        let Some(boot_id) = boot_id(owner) else { return false };
        is_free(&self.mark(boot_id), self.absent, self.absent == Absent::Dead)
    }

    /// Returns whether another process marks a node of the database as alive.
    pub(crate) fn others_live(&self) -> bool {
        let own: HashSet<Uuid> = self.held().iter().map(|(boot_id, _)| *boot_id).collect();
        let others = self.marks().into_iter().filter(|(boot_id, _)| !own.contains(boot_id));
        others.into_iter().any(|(_, mark)| !is_free(&mark, self.absent, false))
    }

    /// Removes the marks of nodes that died without anything left to recover; `owners` still have something.
    pub(crate) fn sweep<'a>(&self, owners: impl IntoIterator<Item = &'a str>) {
        let kept: HashSet<Uuid> = owners.into_iter().filter_map(boot_id).collect();
        for (_, mark) in self.marks().into_iter().filter(|(boot_id, _)| !kept.contains(boot_id)) {
            is_free(&mark, self.absent, true);
        }
    }

    /// The marks that there are, whoever holds them.
    fn marks(&self) -> Vec<(Uuid, PathBuf)> {
        let (Some(folder), Some(name)) = (self.database.parent(), self.database.file_name()) else { return Vec::new() };
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let prefix = format!("{}-node-", name.to_string_lossy());
        let mark = |entry: std::fs::DirEntry| {
            let name = entry.file_name();
            let boot_id = Uuid::parse_str(name.to_str()?.strip_prefix(&prefix)?).ok()?;
            Some((boot_id, entry.path()))
        };
        entries.flatten().filter_map(mark).collect()
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// The start of a process that an owner is, as it stands in a lease.
fn boot_id(owner: &str) -> Option<Uuid> {
    owner.rsplit('/').next().and_then(|text| Uuid::parse_str(text).ok())
}

fn next_to(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Returns whether nobody holds the mark. Where locks cannot be reported, the lease alone decides.
fn is_free(mark: &Path, absent: Absent, remove: bool) -> bool {
    let file = match OpenOptions::new().read(true).write(true).open(mark) {
        Ok(file) => file,
        Err(error) => return error.kind() == io::ErrorKind::NotFound && absent == Absent::Dead,
    };
    match file.try_lock() {
        Ok(()) => {
            if remove {
                // Removed while it is locked, so that two that search at the same time do not disturb each other.
                let _ = std::fs::remove_file(mark);
            }
            true
        }
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_dead_when_its_mark_is_free_or_gone_and_only_then() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let (own, other) = (Presence::new(database.clone(), Absent::Dead), Presence::new(database, Absent::Dead));
        let node = Node::new("host/with/slashes");
        own.announce(&node).unwrap();
        own.announce(&node).unwrap();
        assert!(!other.is_dead(&node.to_string()));
        assert!(!own.is_dead(&node.to_string()));
        drop(own);
        assert!(other.is_dead(&node.to_string()));
        assert!(!other.is_dead("no node at all"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn marks_of_the_dead_are_swept_and_those_of_the_living_stay() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let presence = Presence::new(database.clone(), Absent::Dead);
        presence.announce(&Node::new("alive")).unwrap();
        File::create(next_to(&database, &format!("-node-{}", Uuid::new_v4()))).unwrap();
        File::create(next_to(&database, "-node-of-somebody-else")).unwrap();
        assert!(!presence.others_live());
        assert!(Presence::new(database.clone(), Absent::Dead).others_live());
        presence.sweep([]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn where_nodes_are_on_many_machines_a_missing_mark_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("oxbatch-1");
        let presence = || Presence::new(database.clone(), Absent::Unknown);
        let (one, other) = (presence(), presence());
        let (node, elsewhere) = (Node::new("node"), Node::new("elsewhere"));
        one.announce(&node).unwrap();
        assert!(!other.is_dead(&node.to_string()) && !other.is_dead(&elsewhere.to_string()));
        drop(one);
        // Everybody who searches finds it, until nothing is left to recover.
        assert!(other.is_dead(&node.to_string()) && other.is_dead(&node.to_string()));
        other.sweep([node.to_string().as_str()]);
        assert!(other.is_dead(&node.to_string()));
        other.sweep([]);
        assert!(!other.is_dead(&node.to_string()));
    }
}
