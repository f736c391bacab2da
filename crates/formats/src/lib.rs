//! Files: readers and writers of CSV, JSON, fixed width and XML, compressed or not, and keys kept in a file.
//!
//! Authors of jobs use the crate `oxbatch`, whose module `item` re-exports this one beside the readers, processors and
//! writers of `oxbatch-core` that need no file.
//!
//! | format | reader | writer | feature | delivery |
//! |---|---|---|---|---|
//! | CSV, TSV | [`CsvReader`] | [`CsvWriter`] | `csv` | exactly once |
//! | CSV with records of several types | [`MixedCsvReader`] | | `csv` | |
//! | JSON Lines | [`JsonLinesReader`] | [`JsonLinesWriter`] | `json` | exactly once |
//! | JSON array | [`JsonArrayReader`] | [`JsonArrayWriter`] | `json` | exactly once |
//! | fixed width | [`FixedWidthReader`] | [`FixedWidthWriter`] | `fixed-width` | exactly once |
//! | fixed width with lines of several types | [`MixedFixedWidthReader`] | | `fixed-width` | |
//! | XML | [`XmlReader`] | [`XmlWriter`] | `xml` | exactly once |
//! | many files by pattern | [`FilesReader`], each by any reader | | `files` | |
//! | an author's own text format | [`FileReader`] of a [`RecordDecoder`] | [`FileWriter`] of a [`RecordEncoder`] | | exactly once |
//! | gzip, Zstandard | by content, under any reader of text | [`Compression`], for any file writer | `gzip`, `zstd` | exactly once |
//! | other encodings than UTF-8 | [`encoding`](FileReader::encoding), of any reader of text | | `encoding` | |
//!
//! Every reader of text is a [`FileReader`]: restarts, compressed input, encodings, lines before the text, missing
//! files and errors are the same for all of them; an author's own format is a [`RecordDecoder`].
//!
//! Every file writer is a [`FileWriter`]: header and footer, sequences of files, gzip and zstd (features `gzip` and
//! `zstd`) are the same for all of them; an author's own format is a [`RecordEncoder`]. A file that is there is
//! replaced, refused or appended to ([`OnExisting`]).
//!
//! [`DistinctProcessor`] passes on the first item of each key; its keys are in a file as well.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod distinct_processor;
mod file_reader;
mod file_writer;
mod input_error;
mod input_source;
mod line_framer;
mod output_file;
#[cfg(any(feature = "csv", feature = "fixed-width"))]
mod record_fields;
#[cfg(any(feature = "csv", feature = "fixed-width"))]
mod record_types;
mod text_input;

#[cfg(feature = "csv")]
mod csv_reader;
#[cfg(feature = "csv")]
mod csv_writer;
#[cfg(feature = "files")]
mod files_reader;
#[cfg(feature = "fixed-width")]
mod fixed_width_reader;
#[cfg(feature = "fixed-width")]
mod fixed_width_writer;
#[cfg(feature = "json")]
mod json_array_reader;
#[cfg(feature = "json")]
mod json_array_writer;
#[cfg(feature = "json")]
mod json_error;
#[cfg(feature = "json")]
mod json_lines_reader;
#[cfg(feature = "json")]
mod json_lines_writer;
#[cfg(feature = "xml")]
mod xml_reader;
#[cfg(feature = "xml")]
mod xml_writer;

pub use distinct_processor::{DistinctKey, DistinctProcessor};
pub use file_reader::{DecodeError, FileReader, Framer, RecordDecoder};
pub use file_writer::{FileSummary, FileWriter, RecordEncoder};
pub use line_framer::LineFramer;
pub use output_file::{Compression, FileSync, OnExisting};
pub use text_input::{FilePosition, TextInput};

#[cfg(feature = "csv")]
pub use csv_reader::{CsvDecoder, CsvReader, Delimiter, MixedCsvDecoder, MixedCsvReader};
#[cfg(feature = "csv")]
pub use csv_writer::{CsvEncoder, CsvWriter};
#[cfg(feature = "files")]
pub use files_reader::FilesReader;
#[cfg(feature = "fixed-width")]
pub use fixed_width_reader::{
    FixedWidthDecoder, FixedWidthLayout, FixedWidthReader, MixedFixedWidthDecoder, MixedFixedWidthReader,
};
#[cfg(feature = "fixed-width")]
pub use fixed_width_writer::{Align, FixedWidthEncoder, FixedWidthWriter};
#[cfg(feature = "json")]
pub use json_array_reader::{JsonArrayDecoder, JsonArrayReader};
#[cfg(feature = "json")]
pub use json_array_writer::{JsonArrayEncoder, JsonArrayWriter};
#[cfg(feature = "json")]
pub use json_lines_reader::{JsonLinesDecoder, JsonLinesReader};
#[cfg(feature = "json")]
pub use json_lines_writer::{JsonLinesEncoder, JsonLinesWriter};
#[cfg(feature = "xml")]
pub use xml_reader::{XmlDecoder, XmlReader};
#[cfg(feature = "xml")]
pub use xml_writer::{XmlEncoder, XmlWriter};
