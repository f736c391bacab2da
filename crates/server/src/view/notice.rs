//! Notices and the attempts to deliver them.

use oxbatch_core::notice::{Notice, NoticeAttempt};
use serde::Serialize;
use utoipa::ToSchema;

use super::value::time;

/// A notice to a channel of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Notice)]
pub struct NoticeView {
    #[schema(minimum = 1)]
    pub(crate) id: i64,
    pub(crate) channel: String,
    /// Its subject: `failed`, `late`, `missed`, `recovered`, `skips` or `test`.
    pub(crate) kind: &'static str,
    #[schema(required)]
    pub(crate) job_name: Option<String>,
    #[schema(required, minimum = 1)]
    pub(crate) execution_id: Option<i64>,
    #[schema(required)]
    pub(crate) schedule: Option<String>,
    #[schema(required, format = DateTime)]
    pub(crate) instant: Option<String>,
    pub(crate) message: String,
    #[schema(format = DateTime)]
    pub(crate) create_time: String,
    /// PENDING, DELIVERED, or UNDELIVERED: given up after 24 hours.
    pub(crate) state: &'static str,
    #[schema(minimum = 0)]
    pub(crate) attempts: i64,
    #[schema(required, format = DateTime)]
    pub(crate) next_attempt: Option<String>,
}

/// An attempt to deliver a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NoticeAttempt)]
pub struct NoticeAttemptView {
    #[schema(format = DateTime)]
    pub(crate) time: String,
    pub(crate) node: String,
    /// Why it failed; null where the channel has taken the notice.
    #[schema(required)]
    pub(crate) error: Option<String>,
}

/// The outcome of a trial of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NoticeTrial)]
pub struct NoticeTrialView {
    /// Its name.
    pub channel: String,
    /// `true` if the channel has taken the trial.
    pub taken: bool,
    /// Why it has not; null where it has.
    #[schema(required)]
    pub problem: Option<String>,
}

impl From<Notice> for NoticeView {
    fn from(notice: Notice) -> Self {
        Self {
            id: notice.id.0,
            channel: notice.channel,
            kind: notice.kind.as_str(),
            job_name: notice.job_name,
            execution_id: notice.execution_id.map(|id| id.0),
            schedule: notice.schedule,
            instant: notice.instant.map(time),
            message: notice.message,
            create_time: time(notice.create_time),
            state: notice.state.as_str(),
            attempts: notice.attempts,
            next_attempt: notice.next_attempt.map(time),
        }
    }
}

impl From<NoticeAttempt> for NoticeAttemptView {
    fn from(attempt: NoticeAttempt) -> Self {
        Self { time: time(attempt.time), node: attempt.node, error: attempt.error }
    }
}
