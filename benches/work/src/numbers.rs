//! The work on numbers in memory that measures an engine alone.

/// A little work per item, so that no loop is removed.
#[inline]
pub fn work(item: u64) -> Option<u64> {
    let mixed = (item ^ (item >> 3)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed & 15 != 0).then_some(mixed >> 7)
}

/// The sum of a chunk, which is all that the writer does.
#[inline]
pub fn sum(chunk: &[u64]) -> u64 {
    chunk.iter().fold(0, |sum: u64, item| sum.wrapping_add(*item))
}
