//! How the death of a process is seen at once: each node holds a lock on a file, and the system frees it at its death.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oxbatch_core::repository::Node;
use uuid::Uuid;

/// The marks of nodes beside a database.
pub(super) struct Presence {
    database: PathBuf,
    held: Mutex<Vec<(Uuid, File)>>,
}

impl Presence {
    pub(super) fn new(database: PathBuf) -> Self {
        Self { database, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Vec<(Uuid, File)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, boot_id: Uuid) -> PathBuf {
        beside(&self.database, &format!("-node-{boot_id}"))
    }

    /// Marks a node as alive for as long as this process lives.
    pub(super) fn announce(&self, node: &Node) -> io::Result<()> {
        if self.held().iter().any(|(boot_id, _)| *boot_id == node.boot_id) {
            return Ok(());
        }
        // Locked before it has its name: nobody may ever see it unlocked.
        let unnamed = beside(&self.database, &format!("-node-{}.new", node.boot_id));
        let file = File::create(&unnamed)?;
        file.try_lock()?;
        std::fs::rename(&unnamed, self.mark(node.boot_id))?;
        self.held().push((node.boot_id, file));
        Ok(())
    }

    /// Takes the marks of this process away.
    pub(super) fn withdraw(&self) {
        for (boot_id, file) in self.held().drain(..) {
            // A mark that cannot be removed is unlocked at least, which says the same.
            let _ = std::fs::remove_file(self.mark(boot_id));
            drop(file);
        }
    }

    /// Whether the process of an owner, as it stands in a lease, has certainly ended. Its mark is removed then.
    pub(super) fn is_dead(&self, owner: &str) -> bool {
        let Some(boot_id) = owner.rsplit('/').next().and_then(|text| Uuid::parse_str(text).ok()) else {
            return false;
        };
        remove_if_free(&self.mark(boot_id))
    }

    /// Removes the marks of nodes that died without anything left to recover.
    pub(super) fn sweep(&self) {
        let (Some(folder), Some(name)) = (self.database.parent(), self.database.file_name()) else { return };
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        let prefix = format!("{}-node-", name.to_string_lossy());
        for entry in entries.flatten() {
            let name = entry.file_name();
            let boot_id = name.to_str().and_then(|name| name.strip_prefix(&prefix));
            if boot_id.is_some_and(|text| Uuid::parse_str(text).is_ok()) {
                remove_if_free(&entry.path());
            }
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.withdraw();
    }
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Whether nobody holds the mark. Where locks cannot be told, the lease alone decides.
fn remove_if_free(mark: &Path) -> bool {
    let file = match OpenOptions::new().read(true).write(true).open(mark) {
        Ok(file) => file,
        Err(error) => return error.kind() == io::ErrorKind::NotFound,
    };
    match file.try_lock() {
        Ok(()) => {
            // Removed while it is locked, so that two who look at the same time do not trip over each other.
            let _ = std::fs::remove_file(mark);
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
        let (own, other) = (Presence::new(database.clone()), Presence::new(database));
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
        let presence = Presence::new(database.clone());
        presence.announce(&Node::new("alive")).unwrap();
        File::create(beside(&database, &format!("-node-{}", Uuid::new_v4()))).unwrap();
        File::create(beside(&database, "-node-of-somebody-else")).unwrap();
        presence.sweep();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
