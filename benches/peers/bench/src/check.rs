//! The output of a run: rows and a checksum, taken by the runner and not by the program itself.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use peer_trades::BoxError;
use rusqlite::Connection;

/// The output on which all programs must agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) rows: u64,
    /// Empty for a program that chooses the forms of values by itself: its rows are counted.
    pub(crate) checksum: String,
}

impl Output {
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let is_free = self.checksum.is_empty() || other.checksum.is_empty();
        self.rows == other.rows && (is_free || self.checksum == other.checksum)
    }
}

/// Lines and FNV-1a over a file's bytes.
pub(crate) fn file(path: &Path) -> Result<Output, BoxError> {
    let mut file = File::open(path).map_err(|fault| format!("{}: {fault}", path.display()))?;
    let mut buffer = vec![0; 1 << 16];
    let (mut rows, mut sum) = (0, 0xcbf2_9ce4_8422_2325_u64);
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(Output { rows, checksum: format!("{sum:016x}") });
        }
        for byte in &buffer[..length] {
            rows += u64::from(*byte == b'\n');
            sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Rows of the table `trades`, and a sum over their contents.
pub(crate) fn sqlite(path: &Path) -> Result<Output, BoxError> {
    let connection = Connection::open(path)?;
    let (rows, sum) = connection.query_row(
        "SELECT count(*), sum(amount + length(transaction_id) + unicode(status) + length(account_to)) FROM trades",
        [],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, f64>(1)?)),
    )?;
    Ok(Output { rows: u64::try_from(rows)?, checksum: format!("{sum:.2}") })
}
