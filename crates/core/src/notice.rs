//! Notices: what people are notified of by a command or a webhook. They are written in the transaction of their cause,
//! and delivered at least once afterwards, by whichever node comes to it.

pub mod rules;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

pub use rules::{GIVE_UP_AFTER, next_attempt};

use crate::execution::ExecutionId;
use crate::words::{id, words};

id! {
    /// The id of a notice.
    NoticeId
}

words! {
    /// The subject of a notice.
    NoticeKind, "kind of notice" {
        /// An execution has failed, and nothing goes on with it by itself.
        Failed = "failed",
        /// A fire has passed a deadline.
        Late = "late",
        /// Fires were missed.
        Missed = "missed",
        /// An execution is complete whose job had failed before.
        Recovered = "recovered",
        /// An execution has skipped more items than the channel allows.
        Skips = "skips",
        /// A person tries the channel.
        Test = "test",
    }
}

/// A receiver of notices, and the kinds that it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeChannel {
    /// Its name in the settings.
    pub name: String,
    /// The kinds that it gets.
    pub kinds: Vec<NoticeKind>,
    /// The number of skipped items above which it gets a notice of an execution.
    pub skips_over: Option<u32>,
}

words! {
    /// The state of the delivery of a notice.
    NoticeState, "state of a delivery" {
        /// It is to be delivered.
        Pending = "PENDING",
        /// The channel has taken it.
        Delivered = "DELIVERED",
        /// It was given up.
        Undelivered = "UNDELIVERED",
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

impl Notice {
    /// A trial of a channel: it is delivered, and not stored.
    pub fn trial(channel: &str, time: Timestamp) -> Self {
        Self {
            id: NoticeId(0),
            channel: channel.to_owned(),
            kind: NoticeKind::Test,
            job_name: None,
            execution_id: None,
            schedule: None,
            instant: None,
            message: "a trial of this channel".to_owned(),
            create_time: time,
            state: NoticeState::Pending,
            attempts: 1,
            next_attempt: None,
        }
    }
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
