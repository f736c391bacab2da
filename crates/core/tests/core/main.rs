//! Integration tests of the core: readers and writers of files.
#![cfg(all(feature = "csv", feature = "json"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod csv_reader;
mod file_faults;
mod file_writers;
#[cfg(feature = "files")]
mod files_reader;
mod format_writers;
#[cfg(feature = "fixed-width")]
mod fixed_width_reader;
mod grouping_reader;
mod harness;
mod json_readers;
mod properties;
mod record_writers;
mod writer_harness;
mod writers_over_writers;
#[cfg(feature = "xml")]
mod xml_reader;
