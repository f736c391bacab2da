//! A file to read, in memory where the system has a folder for that.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of this process; removed when it is dropped.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A file that holds a text.
    pub fn with(text: &[u8]) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let scratch = Self { path: folder.join(format!("oxbatch-fuzz-{}", std::process::id())) };
        scratch.replace(text);
        scratch
    }

    /// Replaces the text.
    pub fn replace(&self, text: &[u8]) {
        fs::write(&self.path, text).expect("the folder takes a file");
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
