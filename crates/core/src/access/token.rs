//! Tokens and the sessions that stand for them, without the texts that open them.

use std::time::Duration;

use jiff::Timestamp;

use super::{Grant, Role};
use crate::words::id;

/// The time for which a token holds, where nothing else is asked for.
pub const TOKEN_TIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// The time for which a login link holds.
pub const LOGIN_CODE_TIME: Duration = Duration::from_secs(10 * 60);
/// The time for which a session holds.
pub const SESSION_TIME: Duration = Duration::from_secs(12 * 3600);

id! {
    /// The id of a token, which may be shown to anybody.
    TokenId
}

/// A token that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// The hash of its text.
    pub hash: String,
    /// A name for people; several tokens may have it.
    pub name: String,
    /// Its rights.
    pub grant: Grant,
    /// The current time.
    pub time: Timestamp,
    /// The moment from which it holds no more; `None` for never.
    pub expire_time: Option<Timestamp>,
}

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// A name for people.
    pub name: String,
    /// Its rights.
    pub grant: Grant,
    /// When it was made.
    pub create_time: Timestamp,
    /// The moment from which it holds no more.
    pub expire_time: Option<Timestamp>,
    /// When it was revoked.
    pub revoke_time: Option<Timestamp>,
    /// Its last use, exact to a minute.
    pub last_use_time: Option<Timestamp>,
}

impl Token {
    /// Its role.
    pub fn role(&self) -> Role {
        self.grant.role
    }
}

/// A session of a browser, and the token that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The token.
    pub token: Token,
    /// The moment from which it holds no more.
    pub expire_time: Timestamp,
}

/// The reason why a token is not accepted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// It was revoked.
    #[error("the token was revoked at {at}")]
    Revoked {
        /// When.
        at: Timestamp,
    },
    /// Its time is over.
    #[error("the token has expired at {at}")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// The time of the session is over.
    #[error("the session has expired at {at}")]
    SessionExpired {
        /// When.
        at: Timestamp,
    },
}
