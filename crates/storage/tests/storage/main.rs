//! The tests of the storage crate: the conformance suite on each database, and what is a database's own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod conformance;
mod files;
mod items;
mod left_out_fields;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_harness;
#[cfg(feature = "postgres")]
mod postgres_odd_tables;
#[cfg(feature = "postgres")]
mod postgres_reader;
#[cfg(feature = "postgres")]
mod postgres_types;
#[cfg(feature = "postgres")]
mod postgres_writer;
mod purging;
