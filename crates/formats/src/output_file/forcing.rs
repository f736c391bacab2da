//! Forces an output file from another thread than the one that writes it.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use oxbatch_core::item::Syncer;

use super::{FileError, FileSync, OutputFile, sync_folder};

/// A second handle on a file that only grows.
struct Forcing {
    file: File,
    part_path: PathBuf,
    /// True if its bytes are forced, and not its name alone.
    forces_bytes: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Its temporary name was forced to the disk.
    named: bool,
    /// Its length when it was forced.
    forced: u64,
    failed: bool,
}

impl OutputFile {
    /// The syncer, after which a save may count on what was flushed, while the file grows on another thread; `None`
    /// where each flush does that.
    pub(crate) fn syncer(&self) -> Result<Option<Syncer>, FileError> {
        if self.sync == FileSync::EveryChunk || self.published {
            return Ok(None);
        }
        let part_path = self.part_path.clone();
        let file = self.file()?.try_clone().map_err(|source| FileError::Open { path: part_path.clone(), source })?;
        let forces_bytes = self.sync == FileSync::EverySave;
        let forcing = Forcing { file, part_path, forces_bytes, state: Mutex::default() };
        Ok(Some(Syncer::new(move || Ok(forcing.force()?))))
    }
}

impl Forcing {
    fn force(&self) -> Result<(), FileError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let forced = if state.failed { Err(FileError::forced_in_vain()) } else { self.try_to_force(&mut state) };
        state.failed = forced.is_err();
        forced.map_err(|source| FileError::Sync { path: self.part_path.clone(), source })
    }

    fn try_to_force(&self, state: &mut State) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if self.forces_bytes && length > state.forced {
            self.file.sync_data()?;
            state.forced = length;
        }
        if !state.named {
            sync_folder(&self.part_path)?;
            state.named = true;
        }
        Ok(())
    }
}
