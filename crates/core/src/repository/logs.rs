//! The contract of the store for the logs of executions.

use super::RepositoryFuture;
use crate::execution::ExecutionId;
use crate::log::LogLevel;

/// The id of a segment of a log. Within an execution they ascend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogSegmentId(pub i64);

/// A segment that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLogSegment {
    /// The execution.
    pub execution_id: ExecutionId,
    /// The segment that it takes the place of: the last one of the execution, with further lines.
    pub replaces: Option<LogSegmentId>,
    /// Its number of lines.
    pub lines: u32,
    /// The most severe level of its lines.
    pub worst: LogLevel,
    /// The compressed lines.
    pub data: Vec<u8>,
}

/// A segment as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSegment {
    /// Its id.
    pub id: LogSegmentId,
    /// Its number of lines.
    pub lines: u32,
    /// The compressed lines.
    pub data: Vec<u8>,
}

/// The part of a log that is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPage {
    /// A segment, which may have grown since it was read, and those behind it, oldest first.
    After {
        /// The segment; smaller than all for the begin of the log.
        segment: LogSegmentId,
        /// Most segments.
        limit: u32,
    },
    /// Those before a segment, or the last ones, newest first.
    Before {
        /// The segment; `None` for the last ones.
        segment: Option<LogSegmentId>,
        /// Most segments.
        limit: u32,
    },
}

/// The size of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogSize {
    /// Segments.
    pub segments: i64,
    /// Lines.
    pub lines: i64,
    /// Bytes, compressed.
    pub bytes: i64,
}

/// The durable store of the logs of executions.
///
/// # Contract
/// That of [`JobRepository`](super::JobRepository). One process at a time writes the log of an execution: the one that
/// runs it. A log is removed with its execution.
pub trait Logs: Send + Sync + 'static {
    /// Stores a segment behind the others, or in the place of the last one. It need not be durable: lines may be lost.
    ///
    /// # Errors
    /// [`RepositoryError::NotFound`](super::RepositoryError::NotFound) when there is no such execution any more.
    fn put_log_segment(&self, segment: NewLogSegment) -> RepositoryFuture<'_, LogSegmentId>;

    /// Segments of a log that have a line of a level or a more severe one.
    fn log_segments(
        &self,
        id: ExecutionId,
        page: LogPage,
        level: Option<LogLevel>,
    ) -> RepositoryFuture<'_, Vec<LogSegment>>;

    /// The size of the log of an execution.
    fn log_size(&self, id: ExecutionId) -> RepositoryFuture<'_, LogSize>;
}
