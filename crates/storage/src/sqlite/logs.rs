//! The contract of logs on SQLite.

use oxbatch_core::execution::ExecutionId;
use oxbatch_core::log::LogLevel;
use oxbatch_core::repository::{LogPage, LogSegment, LogSegmentId, LogSize, Logs, NewLogSegment, RepositoryFuture};

use super::SqliteRepository;
use super::shared::done;
use crate::shared::logs;

impl Logs for SqliteRepository {
    fn put_log_segment(&self, segment: NewLogSegment) -> RepositoryFuture<'_, LogSegmentId> {
        self.write_shared("store a log", move |connection| done(logs::put(connection, &segment)))
    }

    fn log_segments(
        &self,
        id: ExecutionId,
        page: LogPage,
        level: Option<LogLevel>,
    ) -> RepositoryFuture<'_, Vec<LogSegment>> {
        self.ask_shared("read a log", move |connection| done(logs::segments(connection, id, page, level)))
    }

    fn log_size(&self, id: ExecutionId) -> RepositoryFuture<'_, LogSize> {
        self.ask_shared("measure a log", move |connection| done(logs::size(connection, id)))
    }
}
