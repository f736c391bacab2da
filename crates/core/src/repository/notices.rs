//! The contract of the store for notices.

use std::time::Duration;

use jiff::Timestamp;

use super::{PageRequest, RepositoryFuture};
use crate::notice::{Notice, NoticeAttempt, NoticeChannel, NoticeId, NoticeState};

/// The end of an attempt to deliver a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    /// The notice.
    pub notice_id: NoticeId,
    /// The attempt.
    pub attempt: NoticeAttempt,
    /// The next one, where it has failed; `None` gives the notice up.
    pub next_attempt: Option<Timestamp>,
}

/// A page of notices, the newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct NoticePage {
    /// The notices.
    pub notices: Vec<Notice>,
    /// The cursor of the next page.
    pub next: Option<i64>,
}

impl NoticePage {
    /// A page of so many rows as [`PageRequest::rows_to_read`] says.
    pub fn of(mut notices: Vec<Notice>, limit: u32) -> Self {
        let next = super::query::cut(&mut notices, limit).map(|last| last.id.0);
        Self { notices, next }
    }
}

/// The durable store of notices. Their cause writes them, in its own transaction: the end of an execution, fires
/// that are missed, deadlines that have passed.
///
/// # Contract
/// That of [`JobRepository`](super::JobRepository).
pub trait Notices: Send + Sync + 'static {
    /// Sets the channels that get notices from now on, in place of those before. Durable.
    fn set_notice_channels(&self, channels: Vec<NoticeChannel>) -> RepositoryFuture<'_, ()>;

    /// Takes notices of these channels whose attempt is due, at most so many: nobody else tries them for a while, and
    /// then, if their end was not recorded, somebody does.
    fn claim_notices(
        &self,
        channels: Vec<String>,
        time: Timestamp,
        keep: Duration,
        limit: u32,
    ) -> RepositoryFuture<'_, Vec<Notice>>;

    /// Records the end of an attempt. Durable.
    fn end_attempt(&self, end: AttemptEnd) -> RepositoryFuture<'_, ()>;

    /// Notices, one page.
    fn notices(&self, state: Option<NoticeState>, page: PageRequest) -> RepositoryFuture<'_, NoticePage>;

    /// The attempts to deliver a notice, the last 100 of them, in their order.
    fn notice_attempts(&self, id: NoticeId) -> RepositoryFuture<'_, Vec<NoticeAttempt>>;
}
