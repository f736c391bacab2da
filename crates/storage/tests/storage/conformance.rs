//! The conformance suite on each database.

#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
