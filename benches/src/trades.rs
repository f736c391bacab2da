//! The generated input of the public benchmark: trades as CSV, the same bytes at each generation.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Fault;

/// One trade.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Trade {
    pub(crate) transaction_id: String,
    pub(crate) amount: f64,
    pub(crate) currency: String,
    pub(crate) timestamp: String,
    pub(crate) account_from: String,
    pub(crate) account_to: String,
    pub(crate) status: String,
}

/// Writes `rows` trades to `trades.csv` in the folder.
pub(crate) fn generate(rows: u64, folder: &Path) -> Result<(), Fault> {
    let mut out = BufWriter::new(File::create(folder.join("trades.csv"))?);
    writeln!(out, "transaction_id,amount,currency,timestamp,account_from,account_to,status")?;
    // A linear congruence: the same numbers on every machine.
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
    Ok(out.flush()?)
}

/// The transformation of the benchmark: everything in euros, cancelled is failed, and pending trades are left out.
#[inline]
pub(crate) fn transform(mut trade: Trade) -> Option<Trade> {
    if trade.status == "PENDING" {
        return None;
    }
    let rate = match trade.currency.as_str() {
        "USD" => 0.92,
        "GBP" => 1.17,
        _ => 1.0,
    };
    trade.amount *= rate;
    if rate != 1.0 {
        "EUR".clone_into(&mut trade.currency);
    }
    if trade.status == "CANCELLED" {
        "FAILED".clone_into(&mut trade.status);
    }
    Some(trade)
}

/// A checksum of a file's bytes (FNV-1a).
pub(crate) fn checksum(path: &Path) -> Result<u64, Fault> {
    use std::io::Read;
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(sum);
        }
        for byte in &buffer[..length] {
            sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
