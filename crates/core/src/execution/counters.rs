//! The counters of a step, committed with its chunks.

use serde::{Deserialize, Serialize};

/// The counters of one step execution, cumulative over the attempt, as of its last commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Items that the reader returned.
    pub read: i64,
    /// Items that the writer took in committed chunks.
    pub write: i64,
    /// Items that the processor answered with `None`.
    pub filter: i64,
    /// Committed chunks; a last, empty chunk counts none.
    pub commit: i64,
    /// Chunks that were rolled back.
    pub rollback: i64,
    /// Items skipped because they could not be read.
    pub read_skip: i64,
    /// Items skipped because they could not be processed.
    pub process_skip: i64,
    /// Items skipped because they could not be written.
    pub write_skip: i64,
    /// Additional attempts made.
    pub retry: i64,
}

impl Counters {
    /// These and those of another attempt.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            read: self.read + other.read,
            write: self.write + other.write,
            filter: self.filter + other.filter,
            commit: self.commit + other.commit,
            rollback: self.rollback + other.rollback,
            read_skip: self.read_skip + other.read_skip,
            process_skip: self.process_skip + other.process_skip,
            write_skip: self.write_skip + other.write_skip,
            retry: self.retry + other.retry,
        }
    }

    /// The sum of the three skips.
    pub const fn skip(&self) -> i64 {
        self.read_skip + self.process_skip + self.write_skip
    }

    /// Returns whether every item that was read is accounted for: `read = written + filtered + skipped`.
    ///
    /// An item that could not be read never counted as read.
    pub const fn balances(&self) -> bool {
        self.read == self.write + self.filter + self.process_skip + self.write_skip
    }
}
