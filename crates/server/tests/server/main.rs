//! The real router and the real accept loop on a fresh SQLite repository with a real engine.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod access;
mod all_events;
mod bulk;
mod conventions;
mod events;
mod executions;
mod expressions;
mod harness;
mod hosts;
mod instances;
mod jobs;
mod launch;
mod launch_pauses;
mod limits;
mod login;
mod masks;
#[cfg(feature = "metrics")]
mod metrics;
mod new_runs;
mod nodes;
mod notices;
mod openapi;
mod operate;
#[cfg(feature = "pages")]
mod pages;
mod parameters;
mod parameters_schema;
mod preview;
mod rerun;
mod schedules;
mod search;
mod skips;
mod socket;
