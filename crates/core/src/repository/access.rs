//! The contract of the store for tokens, and for the sessions and codes that stand for them.

use jiff::Timestamp;

use super::RepositoryFuture;
use crate::access::{NewToken, Session, Token, TokenId};

/// A session or a one-time code that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPass {
    /// The hash of its text.
    pub hash: String,
    /// The token that it stands for.
    pub token_id: TokenId,
    /// The current time.
    pub time: Timestamp,
    /// The moment from which it holds no more.
    pub expire_time: Timestamp,
}

/// The durable store of tokens, sessions and one-time codes. Of each it keeps the hash of the text alone.
///
/// Rows of tokens are never removed: a store that has had one never again serves those who have none.
///
/// # Contract
/// That of [`JobRepository`](super::JobRepository).
pub trait Tokens: Send + Sync + 'static {
    /// Returns whether there has ever been a token.
    fn has_tokens(&self) -> RepositoryFuture<'_, bool>;

    /// Keeps a new token. Durable.
    fn create_token(&self, token: NewToken) -> RepositoryFuture<'_, TokenId>;

    /// The tokens, newest first, at most 500 of them: those that hold no more, too.
    fn tokens(&self) -> RepositoryFuture<'_, Vec<Token>>;

    /// Revokes a token, and ends its sessions and codes in the same transaction. `false` if there is none, or it was
    /// revoked before. Durable.
    fn revoke_token(&self, id: TokenId, time: Timestamp) -> RepositoryFuture<'_, bool>;

    /// The token with an id, whether it holds or not.
    fn token(&self, id: TokenId) -> RepositoryFuture<'_, Option<Token>>;

    /// The token with a hash, whether it holds or not.
    fn token_by_hash(&self, hash: String) -> RepositoryFuture<'_, Option<Token>>;

    /// Records a use of a token, unless a later one is recorded. Need not be durable.
    fn note_token_use(&self, id: TokenId, time: Timestamp) -> RepositoryFuture<'_, ()>;
}

/// Sessions and one-time codes.
///
/// # Contract
/// That of [`Tokens`].
pub trait Sessions: Send + Sync + 'static {
    /// Keeps a new code of a login link. Durable.
    fn create_login_code(&self, code: NewPass) -> RepositoryFuture<'_, ()>;

    /// Uses up a code, and answers the token that it stands for; `None` when there is none, or its time is over. Of
    /// several callers one gets it. Durable.
    fn use_login_code(&self, hash: String, time: Timestamp) -> RepositoryFuture<'_, Option<Token>>;

    /// Keeps a new session, and removes those whose time is over. Durable.
    fn create_session(&self, session: NewPass) -> RepositoryFuture<'_, ()>;

    /// The session with a hash, whether it holds or not.
    fn session_by_hash(&self, hash: String) -> RepositoryFuture<'_, Option<Session>>;

    /// Ends a session. Durable.
    fn end_session(&self, hash: String) -> RepositoryFuture<'_, ()>;
}
