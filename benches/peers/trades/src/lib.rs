//! What all Rust programs of the comparison share: the input, the transformations and the form of their answer.

mod answer;
mod counting;
mod generate;
mod trade;

pub use answer::{Answer, Task};
pub use counting::{sum, work};
pub use generate::generate;
pub use trade::{Trade, euros, settled, transform};

/// Why a program of the comparison failed.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;
