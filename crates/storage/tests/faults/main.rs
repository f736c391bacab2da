//! Errors of outputs, through the engine: full disks, touched files, folders that cannot be, locked and wrong tables.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../engine/harness.rs"]
#[expect(dead_code, reason = "the tests of the engine use the rest of it")]
mod harness;
mod outputs;
mod rivals;
mod tables;
