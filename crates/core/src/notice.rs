//! Notices: what people are told of by a command or a webhook. They are written in the transaction of what they tell
//! of, and delivered at least once afterwards, by whichever node comes to it.

mod rules;

use std::fmt;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

pub use rules::{GIVE_UP_AFTER, next_attempt};

use crate::execution::ExecutionId;

/// The id of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoticeId(pub i64);

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The subject of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoticeKind {
    /// An execution has failed, and nothing goes on with it by itself.
    Failed,
    /// A fire has passed a deadline.
    Late,
    /// Fires were missed.
    Missed,
    /// An execution is complete whose job had failed before.
    Recovered,
    /// An execution has skipped more items than the channel allows.
    Skips,
    /// A person tries the channel.
    Test,
}

impl NoticeKind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Failed, Self::Late, Self::Missed, Self::Recovered, Self::Skips, Self::Test];

    /// Its word in settings, rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Late => "late",
            Self::Missed => "missed",
            Self::Recovered => "recovered",
            Self::Skips => "skips",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no kind of notice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is none of failed, late, missed, recovered and skips")]
pub struct UnknownNotice {
    text: String,
}

impl std::str::FromStr for NoticeKind {
    type Err = UnknownNotice;

    fn from_str(text: &str) -> Result<Self, UnknownNotice> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownNotice { text: text.to_owned() })
    }
}

/// Those who are told, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeChannel {
    /// Its name in the settings.
    pub name: String,
    /// The subjects that it is told of.
    pub kinds: Vec<NoticeKind>,
    /// The number of skipped items of an execution that it is told of when there are more.
    pub skips_over: Option<u32>,
}

/// The state of the delivery of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoticeState {
    /// It is to be delivered.
    Pending,
    /// The channel has taken it.
    Delivered,
    /// It was given up.
    Undelivered,
}

impl NoticeState {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Pending, Self::Delivered, Self::Undelivered];

    /// Its word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Delivered => "DELIVERED",
            Self::Undelivered => "UNDELIVERED",
        }
    }
}

/// A text that names no state of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is none of PENDING, DELIVERED and UNDELIVERED")]
pub struct UnknownNoticeState {
    text: String,
}

impl std::str::FromStr for NoticeState {
    type Err = UnknownNoticeState;

    fn from_str(text: &str) -> Result<Self, UnknownNoticeState> {
        let found = Self::ALL.iter().copied().find(|state| state.as_str() == text);
        found.ok_or_else(|| UnknownNoticeState { text: text.to_owned() })
    }
}

/// A notice to one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its id: the same at each attempt, so that a receiver knows one that comes again.
    pub id: NoticeId,
    /// The channel.
    pub channel: String,
    /// Its subject.
    pub kind: NoticeKind,
    /// The job.
    pub job_name: Option<String>,
    /// The execution.
    pub execution_id: Option<ExecutionId>,
    /// The schedule.
    pub schedule: Option<String>,
    /// The instant of the fire.
    pub instant: Option<Timestamp>,
    /// A sentence.
    pub message: String,
    /// When it was written.
    pub create_time: Timestamp,
    /// The state of its delivery.
    pub state: NoticeState,
    /// Attempts that were begun.
    pub attempts: i64,
    /// The next attempt.
    pub next_attempt: Option<Timestamp>,
}

/// An attempt to deliver a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeAttempt {
    /// When it ended.
    pub time: Timestamp,
    /// The node that made it.
    pub node: String,
    /// Why it failed; `None` where the channel has taken the notice.
    pub error: Option<String>,
}

/// The way to the channels of a process.
///
/// # Contract
/// A delivery ends within a bound, whatever the receiver does. One whose answer was lost is made again.
pub trait NoticeSender: Send + Sync + 'static {
    /// The channels.
    fn channels(&self) -> Vec<NoticeChannel>;

    /// Delivers a notice to its channel.
    ///
    /// # Errors
    /// A sentence fragment for the delivery log, without secrets.
    fn deliver<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), String>>;
}
