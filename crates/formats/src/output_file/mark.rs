//! Points of an output file: how long it is, and how much of that is known to be on disk.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};

use super::{Counts, READ_BACK_BYTES};

/// The position in the output, as it is stored with each commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Temporary name, without the folder.
    pub(super) part: String,
    /// Length of the file in bytes.
    pub(super) length: u64,
    /// Length of what it was begun with: a copy of what the output is appended to.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) copied: u64,
    /// Fingerprint of its last bytes.
    pub(super) tail: u64,
    /// The input has ended: the file will not grow any more.
    pub(super) complete: bool,
    /// The end of the file that was not known to be on disk when the position was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unforced: Option<Unforced>,
    /// The counts of its content, and its number among the files of the output.
    pub(super) counts: Counts,
}

/// The end of a file that only the system's memory may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unforced {
    pub(super) bytes: u64,
    /// CRC-32 of them.
    pub(super) sum: u32,
}

/// A point of the file to cut back to.
///
/// A file whose newest bytes were not forced may lose any pages of them with the machine's power and keep its length:
/// pages in its middle then read as zeros. So they are counted and summed, and a restart trusts them only when they
/// still have the sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) length: u64,
    pub(super) complete: bool,
    /// Bytes at the start of the file that were forced to the disk.
    forced: u64,
    /// CRC-32 of those behind them.
    sum: u32,
}

impl Position {
    /// Length of the file in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

impl Mark {
    /// The point that a checkpoint describes.
    pub(super) fn of(position: &Position) -> Self {
        let Unforced { bytes, sum } = position.unforced.unwrap_or(Unforced { bytes: 0, sum: 0 });
        let Position { length, complete, .. } = *position;
        Self { length, complete, forced: length.saturating_sub(bytes), sum }
    }

    /// The end of a file that was forced to the disk.
    pub(super) fn on_disk(length: u64) -> Self {
        Self { length, forced: length, ..Self::default() }
    }

    /// The point behind bytes that were written at this one.
    pub(super) fn grow(&mut self, bytes: &[u8]) {
        let mut sum = crc32fast::Hasher::new_with_initial(self.sum);
        sum.update(bytes);
        self.sum = sum.finalize();
        self.length += bytes.len() as u64;
    }

    /// The file was forced to the disk up to this length.
    pub(super) fn force(&mut self, length: u64) {
        if self.length <= length {
            (self.forced, self.sum) = (self.length, 0);
        }
    }

    pub(super) fn forced(&self) -> u64 {
        self.forced
    }

    pub(super) fn unforced(&self) -> Option<Unforced> {
        let bytes = self.length - self.forced;
        (bytes > 0).then_some(Unforced { bytes, sum: self.sum })
    }

    /// True if the bytes that were not forced are in the file as they were written.
    pub(super) fn is_whole(&self, mut file: &File) -> io::Result<bool> {
        let mut left = self.length - self.forced;
        let mut sum = crc32fast::Hasher::new();
        let mut piece = vec![0; if left == 0 { 0 } else { READ_BACK_BYTES }];
        file.seek(SeekFrom::Start(self.forced))?;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(READ_BACK_BYTES).min(READ_BACK_BYTES);
            file.read_exact(&mut piece[..length])?;
            sum.update(&piece[..length]);
            left -= length as u64;
        }
        Ok(self.unforced().is_none_or(|unforced| unforced.sum == sum.finalize()))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(length: &u64) -> bool {
    *length == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_forced_is_summed_no_more() {
        let mut mark = Mark::default();
        mark.grow(b"123");
        mark.grow(b"456789");
        // The check value of CRC-32.
        assert_eq!(mark.unforced(), Some(Unforced { bytes: 9, sum: 0xcbf4_3926 }));
        let before = mark;
        mark.force(8);
        assert_eq!(mark, before, "it is longer than what was forced");
        mark.force(9);
        assert_eq!(mark.unforced(), None);
        mark.grow(b"123456789");
        assert_eq!(mark.unforced(), Some(Unforced { bytes: 9, sum: 0xcbf4_3926 }));
    }
}
