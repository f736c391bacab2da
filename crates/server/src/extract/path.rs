//! Reads the one variable part of a path: a name or an id.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::error::{Problem, ProblemKind};

/// A name in a path.
pub(crate) struct PathName(pub(crate) String);

/// An id in a path. One that is too large for an id becomes 0, which nothing has.
pub(crate) struct PathId(pub(crate) i64);

impl<S: Send + Sync> FromRequestParts<S> for PathName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(Problem::new(ProblemKind::MalformedRequest, "the path is not percent-encoded UTF-8")),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let PathName(text) = PathName::from_request_parts(parts, state).await?;
        let digits = text.strip_prefix('-').unwrap_or(&text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let shown: String = text.chars().take(40).collect();
            let detail = format!("'{shown}' in the path is no id: ids are whole numbers");
            return Err(Problem::new(ProblemKind::MalformedRequest, detail));
        }
        Ok(Self(text.parse().unwrap_or(0)))
    }
}
