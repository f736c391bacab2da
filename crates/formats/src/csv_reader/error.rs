//! The errors of the records of a delimited file.

/// The reason for which a record cannot be read. Its position and raw text are in the `ItemError`.
#[derive(Debug, thiserror::Error)]
pub(super) enum CsvError {
    #[error("record has {found} fields, but {expected} are expected")]
    FieldCount { expected: usize, found: usize },

    #[error("text stands behind the closing quote of a field; `lenient_quotes` takes it for a part of the field")]
    TextBehindQuote,

    #[error("a quote stands within a field that has none around it; `lenient_quotes` takes it as it is")]
    QuoteWithin,

    #[error("file ends within quotes; was it cut off, or is a quote never closed?")]
    Cut,

    #[error("{problem}; the header is '{header}'")]
    Header { problem: String, header: String },

    #[error("file is empty, and a header is expected; `allow_empty` takes it as one without records")]
    Empty,

    #[error("record has no column {column} for its type")]
    NoType { column: usize },
}
