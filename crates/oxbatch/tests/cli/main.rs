//! The real binary in folders of its own: exit codes, output, and the service over HTTP.

mod commands;
mod faults;
mod harness;
mod sample_jobs;
mod service;
mod settings;
mod signals;
mod wildlife;
