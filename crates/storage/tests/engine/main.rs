//! The engine on a real repository: what SEMANTICS promises of steps, restarts, stops, shutdowns and recoveries.

mod chunks;
mod faults;
mod harness;
mod lifecycle;
mod model;
mod stopping;
mod tasks;
