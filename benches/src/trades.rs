//! The input as a file, and the checksum of an output.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::BoxError;

/// Writes `rows` trades to `trades.csv` in the folder.
pub(crate) fn generate(rows: u64, folder: &Path) -> Result<(), BoxError> {
    Ok(oxbatch_bench_work::generate(rows, &folder.join("trades.csv"))?)
}

/// A checksum of a file's bytes (FNV-1a).
pub(crate) fn checksum(path: &Path) -> Result<u64, BoxError> {
    checksum_of(File::open(path)?)
}

/// The same of bytes.
pub(crate) fn checksum_of(mut bytes: impl Read) -> Result<u64, BoxError> {
    let mut buffer = vec![0; 1 << 16];
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    loop {
        let length = bytes.read(&mut buffer)?;
        if length == 0 {
            return Ok(sum);
        }
        for byte in &buffer[..length] {
            sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
