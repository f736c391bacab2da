//! Shared parts of all Rust programs of the comparison: the work, and the form of their answer.

mod answer;

pub use answer::{Answer, Task};
pub use oxbatch_bench_work::{Trade, euros, generate, settled, sum, transform, work};

/// Why a program of the comparison failed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
