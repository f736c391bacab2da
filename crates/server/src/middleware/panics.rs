//! Turns a panic of a handler into a 500 with a request id; the connection and the service live on.

use std::panic::AssertUnwindSafe;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use axum::middleware::Next;
use axum::response::IntoResponse;
use futures_util::FutureExt;

use crate::error::Problem;

pub(crate) async fn catch(request: Request, next: Next) -> Response<Body> {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Problem::internal(format!("a handler panicked: {text}")).into_response()
        }
    }
}
