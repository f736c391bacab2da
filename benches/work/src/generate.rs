//! Generates the input: the same bytes on every machine.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes `rows` trades with a header line to `path`, ascending by `transaction_id`.
///
/// # Errors
/// When the file cannot be written.
pub fn generate(rows: u64, path: &Path) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, File::create(path)?);
    writeln!(out, "transaction_id,amount,currency,timestamp,account_from,account_to,status")?;
    // A linear congruence: the same numbers everywhere.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for row in 0..rows {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = random >> 16;
        let currency = ["USD", "GBP", "EUR"][(bits % 3) as usize];
        let status = ["COMPLETED", "PENDING", "CANCELLED", "FAILED"][(bits / 3 % 4) as usize];
        writeln!(
            out,
            "TX{row:010},{}.{:02},{currency},2024-{:02}-{:02}T{:02}:00:00Z,ACC{:08},ACC{:08},{status}",
            bits / 7 % 10_000,
            bits / 11 % 100,
            bits / 13 % 12 + 1,
            bits / 17 % 28 + 1,
            bits / 19 % 24,
            bits / 23 % 100_000_000,
            bits / 29 % 100_000_000,
        )?;
    }
    out.flush()
}
