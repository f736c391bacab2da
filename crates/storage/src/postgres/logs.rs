//! The contract of logs on PostgreSQL.

use futures_util::FutureExt;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::log::LogLevel;
use oxbatch_core::repository::{LogPage, LogSegment, LogSegmentId, LogSize, Logs, NewLogSegment, RepositoryFuture};

use super::PostgresRepository;
use crate::shared::logs;

impl Logs for PostgresRepository {
    fn put_log_segment(&self, segment: NewLogSegment) -> RepositoryFuture<'_, LogSegmentId> {
        self.write("store a log", segment, |session, segment| logs::put(session, segment).boxed()).boxed()
    }

    fn log_segments(
        &self,
        id: ExecutionId,
        page: LogPage,
        level: Option<LogLevel>,
    ) -> RepositoryFuture<'_, Vec<LogSegment>> {
        let asked = (id, page, level);
        self.read("read a log", asked, |session, (id, page, level)| logs::segments(session, *id, *page, *level).boxed())
            .boxed()
    }

    fn log_size(&self, id: ExecutionId) -> RepositoryFuture<'_, LogSize> {
        self.read("measure a log", id, |session, id| logs::size(session, *id).boxed()).boxed()
    }
}
