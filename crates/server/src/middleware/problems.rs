//! Gives each request its id, writes problem documents, counts requests, and logs what is the service's own error.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::ALLOW;
use axum::http::{HeaderName, HeaderValue, Method, Response};
use axum::middleware::Next;
use uuid::Uuid;

use crate::error::Problem;
use crate::state::AppState;

/// Carries the request's id, in and out.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken over from a request.
const MAX_ID_CHARS: usize = 128;

pub(crate) async fn write(State(state): State<AppState>, request: Request, next: Next) -> Response<Body> {
    let begun = Instant::now();
    let id = taken_over(&request).unwrap_or_else(made);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let form = Form::of(&request);
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
        response = form.write(&problem, shown_id, allow);
    }
    tracing::debug!(request.id = shown_id, %method, path, status = status.as_u16(), took = ?begun.elapsed(), "request");
    count(&state, (&method, route.as_ref()), status.as_u16(), begun.elapsed());
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The form of the answer to a request that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Document,
    #[cfg(feature = "pages")]
    Page,
}

impl Form {
    #[cfg(feature = "pages")]
    fn of(request: &Request) -> Self {
        let is_page = crate::pages::is_page(request.uri().path(), request.headers());
        if is_page { Self::Page } else { Self::Document }
    }

    #[cfg(not(feature = "pages"))]
    fn of(_: &Request) -> Self {
        Self::Document
    }

    fn write(self, problem: &Problem, id: &str, allow: Option<HeaderValue>) -> Response<Body> {
        match self {
            Self::Document => problem.document(id, allow),
            #[cfg(feature = "pages")]
            Self::Page => {
                crate::pages::problem_page(problem, id, allow.clone()).unwrap_or_else(|| problem.document(id, allow))
            }
        }
    }
}

/// Counts a request by its route.
#[cfg(feature = "metrics")]
fn count(state: &AppState, (method, route): (&Method, Option<&MatchedPath>), status: u16, took: Duration) {
    state.sums().count(method, route.map(MatchedPath::as_str), status, took);
}

/// Nothing asks for it.
#[cfg(not(feature = "metrics"))]
fn count(_: &AppState, _: (&Method, Option<&MatchedPath>), _: u16, _: Duration) {}

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
