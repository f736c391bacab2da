//! A sorted run of keys in a file that goes away with it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::index::HASH_BYTES;

/// Keys of a block: one is read to find a key.
const BLOCK_KEYS: usize = 512;
const BLOCK_BYTES: usize = BLOCK_KEYS * HASH_BYTES;

/// Keys in their order.
pub(super) struct Run {
    file: File,
    keys: u64,
    /// The first key of each block.
    fences: Vec<u128>,
    block: Vec<u8>,
}

impl Run {
    /// Writes keys, which come in their order, to a file without a name in the folder of `sibling`: it is gone with the
    /// process, and with the machine, however they die.
    pub(super) fn write(sibling: &Path, keys: impl Iterator<Item = io::Result<u128>>) -> io::Result<Self> {
        let folder = sibling.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::tempfile_in(folder)?;
        let mut run = Self { file, keys: 0, fences: Vec::new(), block: vec![0; BLOCK_BYTES] };
        let mut writer = BufWriter::with_capacity(16 * BLOCK_BYTES, &run.file);
        for key in keys {
            let key = key?;
            if run.keys.is_multiple_of(BLOCK_KEYS as u64) {
                run.fences.push(key);
            }
            writer.write_all(&key.to_be_bytes())?;
            run.keys += 1;
        }
        writer.flush()?;
        drop(writer);
        Ok(run)
    }

    /// One run of two that have no key in common.
    pub(super) fn merge(sibling: &Path, first: Self, second: Self) -> io::Result<Self> {
        let (mut first_keys, mut second_keys) = (first.stream()?.peekable(), second.stream()?.peekable());
        let merged = std::iter::from_fn(|| match (first_keys.peek(), second_keys.peek()) {
            (Some(Ok(a)), Some(Ok(b))) => {
                if a < b {
                    first_keys.next()
                } else {
                    second_keys.next()
                }
            }
            (Some(_), None) => first_keys.next(),
            (None, _) => second_keys.next(),
            (Some(Err(_)), _) => first_keys.next(),
            (_, Some(Err(_))) => second_keys.next(),
        });
        Self::write(sibling, merged)
    }

    /// The number of its keys.
    pub(super) fn keys(&self) -> u64 {
        self.keys
    }

    fn stream(&self) -> io::Result<impl Iterator<Item = io::Result<u128>>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::with_capacity(16 * BLOCK_BYTES, file);
        Ok((0..self.keys).map(move |_| {
            let mut key = [0; HASH_BYTES];
            reader.read_exact(&mut key)?;
            Ok(u128::from_be_bytes(key))
        }))
    }

    /// True if a key is in it: one block is read.
    pub(super) fn contains(&mut self, key: u128) -> io::Result<bool> {
        let Some(block) = self.fences.partition_point(|first| *first <= key).checked_sub(1) else { return Ok(false) };
        let start = (block * BLOCK_BYTES) as u64;
        let length = (self.keys * HASH_BYTES as u64 - start).min(BLOCK_BYTES as u64);
        let block = &mut self.block[..usize::try_from(length).unwrap_or(BLOCK_BYTES)];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(block)?;
        let (keys, _) = block.as_chunks::<HASH_BYTES>();
        Ok(keys.binary_search(&key.to_be_bytes()).is_ok())
    }
}
