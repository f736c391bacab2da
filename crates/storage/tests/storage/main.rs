//! The tests of the storage crate: the conformance suite on SQLite, and what is SQLite's own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod conformance;
mod files;
mod items;
