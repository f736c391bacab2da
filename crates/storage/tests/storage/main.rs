//! The tests of the storage crate: the conformance suite on SQLite, and what is SQLite's own.

mod items;
