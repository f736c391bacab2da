//! The measured work, the same for each Rust program: trades as CSV and their processing, and numbers in memory.

mod generate;
mod numbers;
mod trade;

pub use generate::generate;
pub use numbers::{sum, work};
pub use trade::{Trade, euros, settled, transform};
