//! The caller of a request, once it is known.

use jiff::Timestamp;
use oxbatch_core::access::{Grant, Token, TokenRefusal};
use oxbatch_core::repository::rules::access;

/// The way in which a token was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Via {
    /// In the header Authorization.
    Bearer,
    /// By the session with this hash, until the moment.
    Session { hash: String, expire_time: Timestamp },
}

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Anybody, while there is no token yet.
    Anybody,
    /// A token that holds.
    Token { token: Box<Token>, via: Via },
}

impl Caller {
    /// The rights of the caller.
    pub(crate) fn grant(&self) -> Grant {
        match self {
            Self::Anybody => Grant::ALL,
            Self::Token { token, .. } => token.grant,
        }
    }

    /// The reason why it is not accepted any more.
    pub(crate) fn refusal(&self, now: Timestamp) -> Option<TokenRefusal> {
        match self {
            Self::Anybody => None,
            Self::Token { via: Via::Session { expire_time, .. }, .. } if *expire_time <= now => {
                Some(TokenRefusal::SessionExpired { at: *expire_time })
            }
            Self::Token { token, .. } => access::check_token(token, now).err(),
        }
    }
}
