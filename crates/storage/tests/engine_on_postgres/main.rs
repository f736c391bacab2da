//! The tests of the engine once more, on PostgreSQL: the same files, compiled for the other database.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../engine/main.rs"]
mod engine;
mod lost_commits;
mod outages;
mod shared_copies;
mod unasked_joins;
mod writers;
mod zombie;

use engine::{harness, lifeline};
