//! The last bytes before a position and their fingerprint, by which a changed file is recognised.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// The number of bytes before a position that are compared on resume: enough for a record or two, cheap at every
/// commit.
pub(crate) const TAIL_BYTES: usize = 256;

/// The last bytes that were written.
#[derive(Debug, Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    /// The bytes before `end` in a file.
    pub(super) fn read(mut file: &File, end: u64) -> io::Result<Self> {
        let start = end.saturating_sub(TAIL_BYTES as u64);
        let mut bytes = Vec::with_capacity(TAIL_BYTES);
        let before = file.stream_position()?;
        file.seek(SeekFrom::Start(start))?;
        file.take(end - start).read_to_end(&mut bytes)?;
        file.seek(SeekFrom::Start(before))?;
        Ok(Self(bytes))
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let last = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        let keep = TAIL_BYTES - last.len();
        let surplus = self.0.len().saturating_sub(keep);
        self.0.drain(..surplus);
        self.0.extend_from_slice(last);
    }

    pub(super) fn ends_line(&self) -> bool {
        self.0.last() == Some(&b'\n')
    }

    pub(super) fn fingerprint(&self) -> u64 {
        fingerprint(&self.0)
    }
}

/// FNV-1a with 64 bits: for accidents, not for enemies.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_keeps_the_last_bytes_however_they_were_pushed() {
        let all: Vec<u8> = (0..2000_u32).map(|n| (n % 251) as u8).collect();
        for pieces in [1, 7, 255, 256, 257, 1999, 2000] {
            let mut tail = Tail::default();
            for piece in all.chunks(pieces) {
                tail.push(piece);
            }
            assert_eq!(tail.0, all[all.len() - TAIL_BYTES..], "in pieces of {pieces}");
        }
        let mut short = Tail::default();
        short.push(b"ab");
        short.push(b"c");
        assert_eq!(short.0, b"abc");
    }
}
