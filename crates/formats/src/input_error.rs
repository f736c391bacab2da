//! The errors of an input file, and of a record in it.

use std::io;
use std::path::PathBuf;

use oxbatch_core::item::ItemError;

/// Longest piece of a field that a message shows, in bytes.
#[cfg(any(feature = "csv", feature = "fixed-width"))]
const MAX_SHOWN_BYTES: usize = 100;

/// The reason for which a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error("input file '{path}' cannot be opened", path = path.display())]
    Open { path: PathBuf, source: io::Error },

    #[error("input path '{path}' is not a file", path = path.display())]
    NotAFile { path: PathBuf },

    #[error("input file '{path}' is not open", path = path.display())]
    NotOpen { path: PathBuf },

    #[error("input file '{path}' cannot be read", path = path.display())]
    Read { path: PathBuf, source: io::Error },

    #[error("compressed input file '{path}' is truncated or damaged", path = path.display())]
    Corrupt { path: PathBuf, source: io::Error },

    #[error("input file '{path}' is compressed by {format}, which needs the feature `{format}`", path = path.display())]
    #[cfg(not(all(feature = "gzip", feature = "zstd")))]
    Compressed { path: PathBuf, format: &'static str },

    #[error("input file '{path}' is {format}, which cannot be read; unpack it before", path = path.display())]
    Foreign { path: PathBuf, format: &'static str },

    #[error(
        "input file '{path}' is UTF-16; convert it to UTF-8, or read it with `.encoding(\"utf-16\")`",
        path = path.display()
    )]
    Utf16 { path: PathBuf },

    #[error("encoding '{label}' of input file '{path}' is not known", path = path.display())]
    #[cfg(feature = "encoding")]
    Encoding { path: PathBuf, label: String },

    #[error(
        "input file '{path}' ends within the {lines} lines to be skipped at its start: it has {found}",
        path = path.display()
    )]
    FewLines { path: PathBuf, lines: u64, found: u64 },

    #[error("input file '{path}' changed while it was read: it had {before} bytes and has {now} now", path = path.display())]
    Unsteady { path: PathBuf, before: u64, now: u64 },

    #[error(
        "input file '{path}' has changed since the last attempt: {difference}; restore the file or launch with force to start anew",
        path = path.display()
    )]
    Changed { path: PathBuf, difference: String },

    #[error(
        "checkpoint is of offset {byte} in input file '{path}' and does not fit it; launch with force to start anew",
        path = path.display()
    )]
    Impossible { path: PathBuf, byte: u64 },
}

impl InputError {
    /// An error of the system may be gone at the next attempt; any other is there to stay, and nothing can be skipped
    /// for it.
    pub(super) fn into_item_error(self) -> ItemError {
        match self {
            Self::Read { .. } => ItemError::transient(self),
            _ => ItemError::other(self).fatal(),
        }
    }
}

/// The reason for which a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("text is not UTF-8")]
    NotUtf8,

    #[error("text has bytes that stand for nothing in {encoding}")]
    NotEncoded { encoding: &'static str },

    #[error("record is longer than {limit} bytes{hint}")]
    TooLong { limit: usize, hint: &'static str },

    #[error("{problem}")]
    #[cfg(feature = "json")]
    Json { problem: String },

    #[error("{problem}")]
    #[cfg(feature = "xml")]
    Xml { problem: String },

    #[error("line has {found} characters, but {expected} are expected")]
    #[cfg(feature = "fixed-width")]
    LineWidth { expected: usize, found: usize },

    #[error("'{found}' is none of the record types {known}")]
    #[cfg(any(feature = "csv", feature = "fixed-width"))]
    Type { found: String, known: String },

    #[error("{}{problem}", value.as_ref().map(|value| format!("'{value}' does not fit: ")).unwrap_or_default())]
    #[cfg(any(feature = "csv", feature = "fixed-width"))]
    Field { value: Option<String>, problem: String },
}

/// The beginning of a field, for a message.
#[cfg(any(feature = "csv", feature = "fixed-width"))]
pub(super) fn shown(value: &str) -> String {
    if value.len() <= MAX_SHOWN_BYTES {
        return value.to_owned();
    }
    format!("{}…", &value[..value.floor_char_boundary(MAX_SHOWN_BYTES)])
}
