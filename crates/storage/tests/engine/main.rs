//! The engine on each real repository: what SEMANTICS promises of steps, restarts, stops, shutdowns and recoveries.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ahead;
mod chunks;
#[cfg(feature = "postgres")]
mod cluster;
mod contexts;
mod deferred;
mod faults;
pub(crate) mod harness;
mod joined_commits;
mod joined_saves;
mod kinds;
mod lifecycle;
pub(crate) mod lifeline;
mod limits;
mod listeners;
mod model;
mod one_by_one;
mod origins;
mod other_files;
mod parallel;
#[cfg(feature = "postgres")]
mod postgres;
mod power_loss;
mod preview;
mod processors;
mod rejects;
mod rerun;
mod sharing;
mod skips;
mod spans;
mod stopping;
mod syncs;
mod task_contexts;
mod tasks;
mod totals;
mod unreadable;
mod waits;
mod workers;
