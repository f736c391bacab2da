//! Reads headers that may stand once.

use axum::http::HeaderMap;
use oxbatch_core::execution::TraceParent;

use crate::error::{Problem, ProblemKind};

/// Longest idempotency key.
const MAX_KEY_CHARS: usize = 255;

/// The caller's idempotency key.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    const NAME: &str = "idempotency-key";
    let key = single(headers, NAME)?;
    if key.is_some_and(|key| key.is_empty() || key.len() > MAX_KEY_CHARS || !key.bytes().all(|b| b.is_ascii_graphic()))
    {
        let detail = format!("header {NAME} must be 1 to {MAX_KEY_CHARS} visible ASCII characters without blanks");
        return Err(Problem::new(ProblemKind::InvalidHeader, detail));
    }
    Ok(key.map(str::to_owned))
}

/// The caller's span. One that is not valid is ignored, as the recommendation says: no launch fails for its trace.
pub(crate) fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    single(headers, "traceparent").ok()??.parse().ok()
}

/// The tag that the caller's If-Match names; `None` where it is missing or takes any.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    const NAME: &str = "if-match";
    let Some(given) = single(headers, NAME)? else { return Ok(None) };
    if given == "*" {
        return Ok(None);
    }
    // A shell takes the quotation marks away from whoever does not quote them.
    let tag = given.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(given);
    match Some(tag).filter(|tag| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric())) {
        Some(tag) => Ok(Some(tag.to_owned())),
        None => {
            let detail = format!("header {NAME} must be one tag, as the header etag of the plan has it");
            Err(Problem::new(ProblemKind::InvalidHeader, detail))
        }
    }
}

/// The header `name` as text, when it stands there exactly once.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut given = headers.get_all(name).iter();
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Problem::new(ProblemKind::InvalidHeader, format!("header {name} is not visible ASCII"))),
        },
        (Some(_), Some(_)) => {
            Err(Problem::new(ProblemKind::InvalidHeader, format!("header {name} is given more than once")))
        }
    }
}
