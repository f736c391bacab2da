//! Integration tests of the readers and writers of files.
#![cfg(all(feature = "csv", feature = "json"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(all(feature = "fixed-width", feature = "xml", feature = "gzip", feature = "zstd"))]
mod appended_output;
#[cfg(all(feature = "files", feature = "fixed-width", feature = "gzip", feature = "xml", feature = "zstd"))]
mod bad_input;
#[cfg(all(feature = "gzip", feature = "zstd"))]
mod compressed_input;
mod csv_columns;
mod csv_dialects;
#[cfg(feature = "gzip")]
mod csv_options;
mod csv_reader;
mod distinct_processor;
#[cfg(all(feature = "fixed-width", feature = "xml"))]
mod earlier_checkpoints;
mod file_faults;
mod file_writers;
#[cfg(feature = "files")]
mod files_reader;
#[cfg(feature = "fixed-width")]
mod fixed_width_reader;
#[cfg(all(feature = "fixed-width", feature = "gzip", feature = "xml"))]
mod foreign_files;
mod format_writers;
mod grouping_reader;
mod harness;
mod json_numbers;
mod json_readers;
mod json_within;
#[cfg(feature = "fixed-width")]
mod mixed_readers;
#[cfg(feature = "gzip")]
mod order_on_disk;
#[cfg(all(feature = "files", feature = "fixed-width", feature = "xml"))]
mod origins;
mod own_format;
mod properties;
#[cfg(all(feature = "fixed-width", feature = "xml", feature = "files"))]
mod reader_conformance;
mod record_writers;
mod replaced_files;
#[cfg(feature = "fixed-width")]
mod unwritable_items;
#[cfg(all(feature = "fixed-width", feature = "xml", feature = "gzip", feature = "zstd"))]
mod writer_conformance;
mod writer_harness;
mod writers_over_writers;
#[cfg(feature = "xml")]
mod xml_documents;
#[cfg(feature = "xml")]
mod xml_reader;
