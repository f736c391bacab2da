//! Integration tests of the core: readers and writers of files.
#![cfg(all(feature = "csv", feature = "json"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(all(feature = "files", feature = "fixed-width", feature = "gzip", feature = "xml", feature = "zstd"))]
mod bad_input;
#[cfg(all(feature = "gzip", feature = "zstd"))]
mod compressed_input;
mod csv_reader;
mod file_faults;
mod file_writers;
#[cfg(feature = "files")]
mod files_reader;
#[cfg(feature = "fixed-width")]
mod fixed_width_reader;
mod format_writers;
mod grouping_reader;
mod harness;
mod json_readers;
mod properties;
mod record_writers;
mod writer_harness;
mod writers_over_writers;
#[cfg(feature = "xml")]
mod xml_reader;
