//! What can go wrong with an input file, and with a record of it.

use std::io;
use std::path::{Path, PathBuf};

use oxbatch_core::item::ItemError;

/// Longest piece of a field that a message shows, in bytes.
#[cfg(feature = "fixed-width")]
const MAX_SHOWN_BYTES: usize = 100;

/// Why a file cannot be read.
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

    #[error("input file '{path}' is UTF-16; convert it to UTF-8", path = path.display())]
    Utf16 { path: PathBuf },

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
    /// Checks that what a checkpoint counts, of which each takes a byte, can stand before its offset.
    pub(super) fn check_counts(path: &Path, byte: u64, line: u64, records: u64) -> Result<(), Self> {
        // The first line is 1, and the last record may have its end behind the offset.
        let most = byte.saturating_add(1);
        if (1..=most).contains(&line) && records <= most {
            return Ok(());
        }
        Err(Self::Impossible { path: path.to_owned(), byte })
    }

    /// An error of the system may be gone at the next attempt; any other is there to stay, and nothing can be skipped for it.
    pub(super) fn into_item_error(self) -> ItemError {
        match self {
            Self::Read { .. } => ItemError::transient(self),
            _ => ItemError::other(self).fatal(),
        }
    }
}

/// Why a record cannot be read.
#[cfg(any(feature = "fixed-width", feature = "json", feature = "xml"))]
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("text is not UTF-8")]
    NotUtf8,

    #[error("record is longer than {limit} bytes")]
    TooLong { limit: usize },

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
    #[cfg(feature = "fixed-width")]
    Type { found: String, known: String },

    #[error("{}{problem}", value.as_ref().map(|value| format!("'{value}' does not fit: ")).unwrap_or_default())]
    #[cfg(feature = "fixed-width")]
    Field { value: Option<String>, problem: String },
}

/// The beginning of a field, for a message.
#[cfg(feature = "fixed-width")]
pub(super) fn shown(value: &str) -> String {
    if value.len() <= MAX_SHOWN_BYTES {
        return value.to_owned();
    }
    format!("{}…", &value[..value.floor_char_boundary(MAX_SHOWN_BYTES)])
}
