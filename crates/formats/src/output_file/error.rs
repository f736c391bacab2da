//! The errors of an output file; each names the file.

use std::io;
use std::path::{Path, PathBuf};

/// The reason for which an output file cannot be written. Messages read well after "failed to open the writer".
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("folder '{path}' cannot be created", path = path.display())]
    CreateFolder { path: PathBuf, source: io::Error },

    #[error("output file '{path}' cannot be opened", path = path.display())]
    Open { path: PathBuf, source: io::Error },

    #[error("output path '{path}' is not a file", path = path.display())]
    NotAFile { path: PathBuf },

    #[error("output file '{path}' exists already and this step may not replace it", path = path.display())]
    Exists { path: PathBuf },

    #[error("a copy of '{from}' cannot be given the name '{path}'", from = from.display(), path = path.display())]
    Copy { from: PathBuf, path: PathBuf, source: io::Error },

    #[error("file '{path}', which the output is appended to, cannot be copied or claimed", path = path.display())]
    CopyTarget { path: PathBuf, source: io::Error },

    #[error(
        "file '{path}', which the output is appended to, is {found}, but this step writes {expected}",
        path = path.display(), found = kind(*found), expected = kind(*expected)
    )]
    OtherCompression { path: PathBuf, found: Option<&'static str>, expected: Option<&'static str> },

    #[error("file '{path}', which the output is appended to, is held by another that appends to it; restart", path = path.display())]
    TargetLocked { path: PathBuf },

    #[error(
        "file '{path}' is not what it was when this step began to append to it ({length} bytes); what the step has written is kept in '{part}'; put the file back, or launch with force to append to what it is now",
        path = path.display(), part = part.display()
    )]
    TargetChanged { path: PathBuf, part: PathBuf, length: u64 },

    #[error(
        "output '{path}' is a sequence of files, which is not appended to; leave `roll_after_items` and `roll_after_bytes` away, or use `OnExisting::Refuse` or `OnExisting::Replace`",
        path = path.display()
    )]
    AppendedSequence { path: PathBuf },

    #[error(
        "output file '{path}' is the file '{input}', which this step reads; give the output a name of its own",
        path = path.display(), input = input.display()
    )]
    IsInput { path: PathBuf, input: PathBuf },

    #[error(
        "output file '{path}' is being written by another execution, which holds '{part}'; launch again when that has ended",
        path = path.display(), part = part.display()
    )]
    Rival { path: PathBuf, part: PathBuf },

    #[error(
        "output file '{path}' cannot be given the mode of '{target}', which it is to replace",
        path = path.display(), target = target.display()
    )]
    Follow { path: PathBuf, target: PathBuf, source: io::Error },

    #[error("output file '{path}' is held by an earlier attempt that is still alive", path = path.display())]
    Locked { path: PathBuf },

    #[error("output file '{path}' cannot be locked; its file system must support advisory locks", path = path.display())]
    Lock { path: PathBuf, source: io::Error },

    #[error(
        "output file '{path}' is missing, although its checkpoint says {length} bytes; restore it or launch with force to start anew",
        path = path.display()
    )]
    Missing { path: PathBuf, length: u64 },

    #[error(
        "output file '{path}' is missing, although it was finished before the checkpoint; restore it or launch with force to start anew",
        path = path.display()
    )]
    MissingFinished { path: PathBuf },

    #[error(
        "output file '{path}' has {length} bytes, it is shorter than its checkpoint says ({expected}); restore it or launch with force to start anew",
        path = path.display()
    )]
    Short { path: PathBuf, length: u64, expected: u64 },

    #[error(
        "output file '{path}' was changed: what stands before its checkpoint is not what was written; restore it or launch with force to start anew",
        path = path.display()
    )]
    Changed { path: PathBuf },

    #[error(
        "output file '{path}' was not on disk as its checkpoint says: behind the first {forced} of {length} bytes, which were forced to the disk, something is missing, as after a loss of power; restore it or launch with force to start anew",
        path = path.display()
    )]
    Torn { path: PathBuf, forced: u64, length: u64 },

    #[error("checkpoint is of output '{stored}', but this attempt writes '{now}'; launch with force to start anew")]
    OtherName { stored: String, now: String },

    #[error(
        "output file '{path}' was complete in an earlier attempt, but the input has more items now; launch with force to start anew",
        path = path.display()
    )]
    Complete { path: PathBuf },

    #[error("output file '{path}' is not open", path = path.display())]
    NotOpen { path: PathBuf },

    #[error("output file '{path}' cannot be written", path = path.display())]
    Write { path: PathBuf, source: io::Error },

    #[error("output file '{path}' cannot be compressed", path = path.display())]
    Compress { path: PathBuf, source: io::Error },

    #[error("output file '{path}' was left by an earlier attempt and cannot be removed", path = path.display())]
    Remove { path: PathBuf, source: io::Error },

    #[error("output file '{path}' cannot be cut back to {length} bytes", path = path.display())]
    Cut { path: PathBuf, length: u64, source: io::Error },

    #[error("output file '{path}' cannot be forced to the disk", path = path.display())]
    Sync { path: PathBuf, source: io::Error },

    #[error("output file '{from}' cannot be renamed to '{path}'", from = from.display(), path = path.display())]
    Rename { from: PathBuf, path: PathBuf, source: io::Error },
}

fn kind(compression: Option<&'static str>) -> &'static str {
    compression.unwrap_or("not compressed")
}

impl FileError {
    /// A file is not there, although a checkpoint says so many bytes.
    pub(crate) fn missing(path: &Path, length: u64) -> Self {
        Self::Missing { path: path.to_owned(), length }
    }

    /// The reason for which a file is not forced again: the system says once that pages could not be written, and
    /// nothing of them after that.
    pub(super) fn forced_in_vain() -> io::Error {
        io::Error::other("it could not be forced before, and what was lost then is not known")
    }

    /// True if the file of a checkpoint is not there.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}
