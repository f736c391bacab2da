//! Gives each request its id, writes problem documents, and logs what is the service's own error.

use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::ALLOW;
use axum::http::{HeaderName, HeaderValue, Response};
use axum::middleware::Next;
use uuid::Uuid;

use crate::error::Problem;

/// Carries the request's id, in and out.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken over from a request.
const MAX_ID_CHARS: usize = 128;

pub(crate) async fn write(request: Request, next: Next) -> Response<Body> {
    let begun = Instant::now();
    let id = taken_over(&request).unwrap_or_else(made);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let shown_id = id.to_str().unwrap_or_default();
    let status = response.status();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        // A missing repository is worth an error in the log, a caller that is turned away is not.
        if let Some(cause) = problem.cause.as_deref() {
            tracing::error!(
                request.id = shown_id, %method, path, status = status.as_u16(), problem = problem.kind.title(), cause,
                "a request failed"
            );
        }
        let allow = response.headers().get(ALLOW).cloned();
        response = problem.document(shown_id, allow);
    }
    tracing::debug!(request.id = shown_id, %method, path, status = status.as_u16(), took = ?begun.elapsed(), "request");
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The caller's own id, when it can be shown in a log as it is.
fn taken_over(request: &Request) -> Option<HeaderValue> {
    let id = request.headers().get(REQUEST_ID)?;
    let sane = (1..=MAX_ID_CHARS).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    sane.then(|| id.clone())
}

fn made() -> HeaderValue {
    let id = Uuid::new_v4().simple().to_string();
    // Hexadecimal digits are a header value.
    HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("none"))
}
