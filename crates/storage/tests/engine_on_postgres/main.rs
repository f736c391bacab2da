//! The tests of the engine once more, on PostgreSQL: the same files, compiled for the other database.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../engine/ahead.rs"]
mod ahead;
#[path = "../engine/chunks.rs"]
mod chunks;
#[path = "../engine/faults.rs"]
mod faults;
#[path = "../engine/harness.rs"]
mod harness;
#[path = "../engine/lifecycle.rs"]
mod lifecycle;
#[path = "../engine/model.rs"]
mod model;
mod outages;
#[path = "../engine/processors.rs"]
mod processors;
#[path = "../engine/sharing.rs"]
mod sharing;
#[path = "../engine/skips.rs"]
mod skips;
#[path = "../engine/stopping.rs"]
mod stopping;
#[path = "../engine/tasks.rs"]
mod tasks;
#[path = "../engine/totals.rs"]
mod totals;

/// A file that is not listed here would be tested on one database alone.
#[test]
fn every_file_of_the_engine_s_tests_is_compiled_for_both_databases() {
    let own = include_str!("main.rs");
    for line in include_str!("../engine/main.rs").lines().filter(|line| line.starts_with("mod ")) {
        assert!(own.lines().any(|own| own == line), "{line}");
    }
}
