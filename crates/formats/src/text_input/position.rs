//! `FilePosition`: a position in the text of a file, with what recognizes the file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::TextInput;
use crate::input_error::InputError;
use crate::output_file::fingerprint;

/// A position in the text of a file, as it is stored with each commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePosition {
    /// The offset of the next record in the text: behind decompression and decoding.
    pub(super) byte: u64,
    pub(super) line: u64,
    /// Size of the whole file as it lies on the disk.
    pub(super) size: u64,
    /// Fingerprint of its first bytes.
    pub(super) head: u64,
    /// Fingerprint of the text before the next record.
    pub(super) tail: u64,
    /// There was no file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) missing: bool,
}

impl FilePosition {
    /// The only position of a file that is not there.
    pub(crate) fn of_missing_file() -> Self {
        let nothing = fingerprint(&[]);
        Self { byte: 0, line: 1, size: 0, head: nothing, tail: nothing, missing: true }
    }

    /// The line of the next record, the first is 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    pub(crate) fn is_of_missing_file(&self) -> bool {
        self.missing
    }

    /// Checks that an open file can be the one that the position is of.
    pub(super) fn check(&self, input: &TextInput) -> Result<(), InputError> {
        let changed = |difference| Err(InputError::Changed { path: input.path.clone(), difference });
        if self.size != input.size {
            return changed(format!("it had {} bytes and has {} now", self.size, input.size));
        }
        if self.head != input.head {
            return changed("its first bytes differ".to_owned());
        }
        if input.source.is_plain() && self.byte > input.size {
            return Err(InputError::Impossible { path: input.path.clone(), byte: self.byte });
        }
        self.check_counts(&input.path, 0)
    }

    /// Checks that its line and so many records, each of which takes a byte, can stand before its offset.
    pub(crate) fn check_counts(&self, path: &Path, records: u64) -> Result<(), InputError> {
        // The first line is 1, and the last record may have its end behind the offset.
        let most = self.byte.saturating_add(1);
        if (1..=most).contains(&self.line) && records <= most {
            return Ok(());
        }
        Err(InputError::Impossible { path: path.to_owned(), byte: self.byte })
    }
}
