//! Flows on each real repository: transitions, deciders, flows within jobs, cycles, ends, restarts, crashes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contexts;
mod crashes;
mod cycles;
mod deciders;
mod definitions;
mod exit_codes;
mod finally;
mod flows;
#[path = "../engine/harness.rs"]
#[expect(dead_code, reason = "the tests of the engine use the rest of it")]
pub(crate) mod harness;
mod model;
mod restart_plan;
pub(crate) mod script;
mod time_limits;
mod transitions;
