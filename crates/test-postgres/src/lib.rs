//! A real PostgreSQL for tests: a private server for the process, and a database of its own for each test.
//!
//! The server is the one that `OXBATCH_TEST_POSTGRES` names, which `scripts/test` starts once for all; without it, the
//! first test of a process starts one by `scripts/postgres`. It ends with the process, whatever the end is.

mod database;
mod proxy;
mod server;

pub use database::TestDatabase;
pub use proxy::{Cut, Proxy, Wire};
pub use server::{TestServer, shared_server};
