//! The tests of flows once more, on PostgreSQL: the same files, compiled for the other database.

#[path = "../flow/main.rs"]
mod flow;

use flow::{harness, script};
