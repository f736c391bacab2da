//! The set of keys that have been seen: the newest in memory, the others in sorted runs on the disk.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::path::Path;

use super::run::Run;

/// Bytes of a key's hash.
pub(super) const HASH_BYTES: usize = 16;
/// Keys in memory after which they are sorted into a run: about 18 MiB.
const MEMORY_KEYS: usize = 512 * 1024;
/// Bits of the filter before the runs: 8 MiB. It lets 4 % of ten million new keys through to the disk, and more of
/// more.
const FILTER_BITS: usize = 64 * 1024 * 1024;
const FILTER_HASHES: u32 = 4;

/// The keys that have been seen, as hashes.
pub(super) struct Index {
    recent: HashSet<u128, BuildHasherDefault<Hashed>>,
    /// The longest first; each is longer than the next one.
    runs: Vec<Run>,
    /// The filter of the keys that may be in the runs.
    filter: Vec<u64>,
    memory_keys: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self::with_memory(MEMORY_KEYS)
    }
}

impl Index {
    fn with_memory(keys: usize) -> Self {
        Self { recent: HashSet::default(), runs: Vec::new(), filter: Vec::new(), memory_keys: keys }
    }

    /// Adds a key; `false` when it is there already.
    #[inline]
    pub(super) fn insert(&mut self, hash: u128) -> io::Result<bool> {
        Ok(!self.is_in_runs(hash)? && self.recent.insert(hash))
    }

    /// Takes back a key that was added since the last spill.
    pub(super) fn forget(&mut self, hash: u128) {
        self.recent.remove(&hash);
    }

    #[inline]
    fn is_in_runs(&mut self, hash: u128) -> io::Result<bool> {
        if self.runs.is_empty() || !bits(hash).all(|(word, bit)| self.filter[word] & bit != 0) {
            return Ok(false);
        }
        for run in &mut self.runs {
            if run.contains(hash)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Moves the keys of the memory to the disk when they are many, into files next to `path`.
    pub(super) fn spill(&mut self, path: &Path) -> io::Result<()> {
        if self.recent.len() < self.memory_keys {
            return Ok(());
        }
        let mut keys: Vec<u128> = self.recent.iter().copied().collect();
        keys.sort_unstable();
        let mut run = Run::write(path, keys.iter().copied().map(Ok))?;
        // Each key is merged as often as the logarithm of their number.
        while let Some(before) = self.runs.pop_if(|before| before.keys() <= run.keys()) {
            run = Run::merge(path, before, run)?;
        }
        self.filter.resize(FILTER_BITS / 64, 0);
        for (word, bit) in keys.into_iter().flat_map(bits) {
            self.filter[word] |= bit;
        }
        self.runs.push(run);
        self.recent.clear();
        Ok(())
    }
}

/// The bits of a key in the filter: its hash has enough of them.
fn bits(hash: u128) -> impl Iterator<Item = (usize, u64)> {
    (0..FILTER_HASHES).map(move |number| {
        let bit = usize::try_from((hash >> (32 * number)) & 0xffff_ffff).unwrap_or_default() % FILTER_BITS;
        (bit / 64, 1 << (bit % 64))
    })
}

/// A hasher of what is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "its lower half is as good as any")]
    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_wherever_it_lies() {
        let folder = std::env::temp_dir().join(format!("oxbatch-index-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut index = Index::with_memory(1_000);
        let hash = |number: u128| (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        for number in 0..20_500 {
            assert!(index.insert(hash(number)).unwrap(), "{number}");
            index.spill(&folder.join("keys")).unwrap();
        }
        let lengths: Vec<_> = index.runs.iter().map(Run::keys).collect();
        assert_eq!(lengths, [16_000, 4_000]);
        for number in 0..20_500 {
            assert!(!index.insert(hash(number)).unwrap(), "{number}");
        }
        for number in 20_500..40_000 {
            assert!(!index.is_in_runs(hash(number)).unwrap(), "{number}");
        }
        index.forget(hash(20_400));
        assert!(index.insert(hash(20_400)).unwrap());
        drop(index);
        std::fs::remove_dir(&folder).unwrap();
    }
}
