//! Work that takes a given time on this machine.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use crate::BoxError;

/// The file with the number of rounds that take a microsecond.
const CALIBRATED: &str = "rounds";

/// Work of so many rounds.
pub(super) fn hash(seed: u64, rounds: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (0..rounds).for_each(|round| (seed, round).hash(&mut hasher));
    hasher.finish()
}

/// Measures how many rounds take a microsecond: once, so that all pairs do the same.
pub(super) fn calibrate(folder: &Path) -> Result<(), BoxError> {
    const TRIED: u64 = 100_000_000;
    let begun = Instant::now();
    black_box(hash(0, black_box(TRIED)));
    let microseconds = u64::try_from(begun.elapsed().as_micros())?;
    Ok(std::fs::write(folder.join(CALIBRATED), (TRIED / microseconds.max(1)).to_string())?)
}

/// The rounds that take a microsecond, as they were measured.
pub(super) fn rounds_of_a_microsecond(folder: &Path) -> Result<u64, BoxError> {
    Ok(std::fs::read_to_string(folder.join(CALIBRATED))?.parse()?)
}
