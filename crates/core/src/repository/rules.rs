//! The decisions of the repository as pure functions: a backend reads facts, asks here, and writes the verdict.

pub mod purge;
