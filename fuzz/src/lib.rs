//! What the fuzz targets share: a file in memory, and what must hold of every reader whatever it reads.

mod attempt;
mod input;
mod scratch;

pub use attempt::{Outcome, block_on, outcomes, stored};
pub use input::{Settings, split};
pub use scratch::Scratch;

use std::path::Path;

use oxbatch_core::item::ItemReader;

/// Checks a reader on a text:
/// - it ends, and has no more outcomes than bytes;
/// - every error names the file, and every bad record its place;
/// - reading in many attempts with checkpoints between them comes to the same as reading in one;
/// - so does reading the same text compressed.
pub fn check<R>(settings: &Settings, text: &[u8], make: impl Fn(&Path) -> R)
where
    R: ItemReader,
    R::Item: PartialEq + std::fmt::Debug,
{
    let scratch = Scratch::with(text);
    let most = text.len() + 2;
    let whole = outcomes(|| make(scratch.path()), &[false], most);
    assert_eq!(outcomes(|| make(scratch.path()), &settings.restarts, most), whole, "with restarts");
    // Some texts are known as another format by their first bytes; compressed, they would not be.
    if settings.compressed && !matches!(text, [0x1f | 0x28 | 0x50..=0x5f | 0xfe | 0xff, ..]) {
        for packed in [settings.gzip(text), settings.zstd(text)] {
            scratch.replace(&packed);
            assert_eq!(outcomes(|| make(scratch.path()), &settings.restarts, most), whole, "compressed");
        }
    }
}
