//! Schedules on a real repository: a node that fires, and years of fires on a virtual clock.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod channels;
mod code;
mod crowded;
mod files;
mod model;
