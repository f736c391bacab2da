//! What can go wrong with the records of a delimited file.

/// Longest piece of a field that a message shows, in bytes.
const MAX_SHOWN_BYTES: usize = 100;

/// Why a record cannot be read. Its position and raw text are in the `ItemError`.
#[derive(Debug, thiserror::Error)]
pub(super) enum CsvError {
    #[error("record has {found} fields, but {expected} are expected")]
    FieldCount { expected: usize, found: usize },

    #[error("text is not UTF-8")]
    NotUtf8,

    #[error("{}{problem}", value.as_ref().map(|value| format!("'{value}' does not fit: ")).unwrap_or_default())]
    Field { value: Option<String>, problem: String },

    #[error("record is longer than {limit} bytes; is a quote never closed?")]
    TooLong { limit: u64 },

    #[error("file ends within quotes; was it cut off, or is a quote never closed?")]
    Cut,

    #[error("'{found}' is none of the record types {}", known.join(", "))]
    Type { found: String, known: Vec<String> },

    #[error("{problem}; the header is '{header}'")]
    Header { problem: String, header: String },

    #[error("file is empty, and a header is expected; `allow_empty` takes it as one without records")]
    Empty,

    #[error("record has no column {column} to tell its type")]
    NoType { column: usize },

    #[error("record cannot be read: {problem}")]
    Other { problem: String },
}

/// The beginning of a field, for a message.
pub(super) fn shown(value: &str) -> String {
    if value.len() <= MAX_SHOWN_BYTES {
        return value.to_owned();
    }
    format!("{}…", &value[..value.floor_char_boundary(MAX_SHOWN_BYTES)])
}
