//! The contract of the store for notices.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Node, PageRequest, RepositoryFuture};
use crate::notice::{Notice, NoticeAttempt, NoticeChannel, NoticeId, NoticeState};

/// The channels of a service, as its settings have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceChannels {
    /// The service.
    pub node: Node,
    /// The time at which it has confirmed them last.
    pub confirm_time: Timestamp,
    /// The channels, by name.
    pub channels: Vec<NoticeChannel>,
}

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
    /// The channels of all services that have any.
    fn notice_channels(&self) -> RepositoryFuture<'_, Vec<ServiceChannels>>;

    /// Sets the channels of a service in place of those that it had, and forgets those of the services `gone`. A notice
    /// is written, once, to each channel that any service wants it for. Durable.
    fn set_notice_channels(&self, of: ServiceChannels, gone: Vec<Uuid>) -> RepositoryFuture<'_, ()>;

    /// The channels for which an attempt is due.
    fn due_channels(&self, time: Timestamp) -> RepositoryFuture<'_, Vec<String>>;

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
    ///
    /// # Errors
    /// [`RepositoryError::NotFound`](super::RepositoryError::NotFound).
    fn notice_attempts(&self, id: NoticeId) -> RepositoryFuture<'_, Vec<NoticeAttempt>>;
}
