//! The real binary in folders of its own: exit codes, output, and the service over HTTP.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod access;
mod backfills;
mod backup;
mod commands;
mod database_file;
mod deployment;
mod faults;
mod harness;
mod nodes;
mod notices;
mod parameters;
mod postgres;
mod sample_jobs;
mod schedules;
mod sending;
mod service;
mod settings;
mod signals;
mod snapshots;
mod traces;
mod wildlife;
