//! Forces what was written to a file early, on a thread of its own: a save that waits for the disk finds little left to
//! wait for, and those who work beside it are not kept waiting either.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::disk::is_same;

/// Bytes that are written before they are forced early: a smaller output is forced by its saves alone.
const EARLY_BYTES: u64 = 4 * 1024 * 1024;

/// The early forcing of a file. Nothing counts on it: whatever fails here is found out by the save itself, which forces
/// the file by a handle of its own.
#[derive(Debug, Default)]
pub(super) struct EarlyForcing {
    /// Length of the file when it was last forced early.
    forced: u64,
    thread: Option<SyncSender<()>>,
    failed: bool,
}

impl EarlyForcing {
    /// The file has grown to a length.
    #[inline]
    pub(super) fn grown(&mut self, length: u64, path: &Path, file: &File) {
        self.forced = self.forced.min(length);
        if length - self.forced >= EARLY_BYTES && !self.failed {
            self.force(length, path, file);
        }
    }

    #[cold]
    fn force(&mut self, length: u64, path: &Path, file: &File) {
        self.forced = length;
        if self.thread.is_none() {
            self.thread = start(path, file);
            self.failed = self.thread.is_none();
        }
        if let Some(thread) = &self.thread {
            // One that is busy forces these bytes at its next turn.
            let _ = thread.try_send(());
        }
    }
}

/// The thread, which ends when nobody can ask it any more. Its handle is not a copy of the file's own: what the system
/// has to report of a write that failed is reported to each handle once.
fn start(path: &Path, file: &File) -> Option<SyncSender<()>> {
    let own = File::open(path).ok()?;
    is_same(file, path).ok().filter(|same| *same)?;
    let (sender, asked) = sync_channel(1);
    let force = move || {
        while asked.recv().is_ok() && own.sync_data().is_ok() {}
    };
    thread::Builder::new().name("force-output".to_owned()).spawn(force).ok()?;
    Some(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_forced_each_time_that_it_has_grown_by_so_much() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let file = File::create(&path).unwrap();
        let mut early = EarlyForcing::default();
        early.grown(EARLY_BYTES - 1, &path, &file);
        assert!(early.thread.is_none());
        early.grown(EARLY_BYTES, &path, &file);
        assert!(early.thread.is_some() && early.forced == EARLY_BYTES);
        early.grown(2 * EARLY_BYTES - 1, &path, &file);
        assert_eq!(early.forced, EARLY_BYTES);
        // Cut back, as after a chunk that is taken back, it grows from there.
        early.grown(10, &path, &file);
        early.grown(EARLY_BYTES + 9, &path, &file);
        assert_eq!(early.forced, 10);
        early.grown(EARLY_BYTES + 10, &path, &file);
        assert_eq!(early.forced, EARLY_BYTES + 10);
    }

    #[test]
    fn a_file_that_is_not_at_its_path_any_more_is_left_to_its_saves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let file = File::create(&path).unwrap();
        for replace in [|path: &Path| drop(std::fs::remove_file(path)), |path: &Path| drop(File::create_new(path))] {
            replace(&path);
            let mut early = EarlyForcing::default();
            early.grown(EARLY_BYTES, &path, &file);
            assert!(early.failed && early.thread.is_none());
        }
    }
}
