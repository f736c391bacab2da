//! What can go wrong with a delimited file and with its records.

use std::io;
use std::path::PathBuf;

/// Longest piece of a field that a message shows, in bytes.
const MAX_SHOWN_BYTES: usize = 100;

/// Why a file or a record cannot be read. Faults of a record get its position and raw text from their `ItemError`.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadFault {
    #[error("input file '{path}' cannot be opened", path = path.display())]
    Open { path: PathBuf, source: io::Error },

    #[error("input path '{path}' is not a file", path = path.display())]
    NotAFile { path: PathBuf },

    #[error("input file '{path}' is not open", path = path.display())]
    NotOpen { path: PathBuf },

    #[error("input file '{path}' cannot be read", path = path.display())]
    Read { path: PathBuf, source: io::Error },

    #[error("input file '{path}' changed while it was read: it had {before} bytes and has {now} now", path = path.display())]
    Unsteady { path: PathBuf, before: u64, now: u64 },

    #[error(
        "input file '{path}' has changed since the last attempt: {difference}; restore the file or launch with force to start anew",
        path = path.display()
    )]
    Changed { path: PathBuf, difference: String },

    #[error("record has {found} fields, but {expected} are expected")]
    FieldCount { expected: usize, found: usize },

    #[error("text is not UTF-8")]
    NotUtf8,

    #[error("{}{problem}", value.as_ref().map(|value| format!("'{value}' does not fit: ")).unwrap_or_default())]
    Field { value: Option<String>, problem: String },

    #[error("record is longer than {limit} bytes; is a quote never closed?")]
    TooLong { limit: u64 },

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
