//! Integration tests of the core: readers and processors that need no file. Those of files are in `oxbatch-formats`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;
mod processors;
mod stream_reader;
