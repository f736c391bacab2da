//! Finds out who asks: by the token in the header Authorization, by the cookie of a session, or anybody at first.

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE as COOKIE_HEADER};
use jiff::Timestamp;
use oxbatch_core::access::{TokenRefusal, hash_of};
use oxbatch_core::repository::rules::access as rules;
use oxbatch_core::repository::{JobRepository, RepositoryError};

use super::{Access, COOKIE, Caller, Origin, Via};

/// Longest text that is worth a look into the store.
const MAX_CHARS: usize = 200;

/// The reason why nobody was found.
#[derive(Debug)]
pub(crate) enum IdentifyError {
    /// It shows neither a token nor a session.
    Missing,
    /// It came through a proxy, and there is no token yet.
    Forwarded,
    /// The header is no bearer token.
    Malformed,
    /// There is no such token.
    Unknown,
    /// There is no such session any more.
    NoSession,
    /// It holds no more.
    Over(TokenRefusal),
    /// The store does not answer.
    Repository(RepositoryError),
}

impl From<RepositoryError> for IdentifyError {
    fn from(error: RepositoryError) -> Self {
        Self::Repository(error)
    }
}

/// The caller of a request.
pub(crate) async fn identify(
    headers: &HeaderMap,
    (access, origin): (&Access, &Origin),
    repository: &dyn JobRepository,
    now: Timestamp,
) -> Result<Caller, IdentifyError> {
    if headers.contains_key(AUTHORIZATION) {
        let text = bearer(headers).ok_or(IdentifyError::Malformed)?;
        let token = repository.token_by_hash(hash_of(text)).await?.ok_or(IdentifyError::Unknown)?;
        rules::check_token(&token, now).map_err(IdentifyError::Over)?;
        return Ok(Caller::Token { token: Box::new(token), via: Via::Bearer });
    }
    if let Some(text) = cookie(headers) {
        let hash = hash_of(text);
        let session = repository.session_by_hash(hash.clone()).await?.ok_or(IdentifyError::NoSession)?;
        rules::check_session(&session, now).map_err(IdentifyError::Over)?;
        let via = Via::Session { hash, expire_time: session.expire_time };
        return Ok(Caller::Token { token: Box::new(session.token), via });
    }
    if access.tokens.ask(repository).await? {
        return Err(IdentifyError::Missing);
    }
    match (access.is_local, origin.is_forwarded) {
        _ if access.is_insecure => Ok(Caller::Anybody),
        (true, false) => Ok(Caller::Anybody),
        (true, true) => Err(IdentifyError::Forwarded),
        (false, _) => Err(IdentifyError::Missing),
    }
}

/// The token of the header; `None` when it is no bearer token.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let (scheme, text) = value.to_str().ok()?.split_once(' ')?;
    let text = text.trim();
    let fits = scheme.eq_ignore_ascii_case("bearer") && !text.is_empty() && text.len() <= MAX_CHARS;
    fits.then_some(text)
}

/// The text of the session's cookie.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE_HEADER).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, text)| text).filter(|text| text.len() <= MAX_CHARS)
}
