//! Bounds the requests that are worked on at once; health checks always pass.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::middleware::Next;
use axum::response::IntoResponse;

use crate::error::{Problem, ProblemKind};
use crate::state::AppState;

/// Seconds after which there may be capacity again.
const RETRY_SECONDS: u32 = 1;

pub(crate) async fn bound(State(state): State<AppState>, request: Request, next: Next) -> Response<Body> {
    // A watchdog that is turned away would kill a service that is merely busy.
    if request.uri().path().starts_with("/health/") {
        return next.run(request).await;
    }
    match Arc::clone(state.requests()).try_acquire_owned() {
        Ok(_permit) => next.run(request).await,
        Err(_) => {
            let detail = "too many requests are being worked on; try again later";
            Problem::new(ProblemKind::Overloaded, detail).retry_after(RETRY_SECONDS).into_response()
        }
    }
}
