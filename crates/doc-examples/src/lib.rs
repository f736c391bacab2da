//! Every Rust example of the documentation as a test of its own, in a crate that depends on `oxbatch` and on what a
//! user's crate would: `cargo test -p oxbatch-doc-examples --doc`.
//!
//! The modules are made by `build.rs` from README, `docs/` and the comments of the crates that `oxbatch` passes on. An
//! example that names one of those crates does not compile here.

include!(concat!(env!("OUT_DIR"), "/examples.rs"));
