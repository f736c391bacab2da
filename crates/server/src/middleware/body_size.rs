//! Refuses a body that announces itself as too large, on every path, before anything is done.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::middleware::Next;
use axum::response::IntoResponse;

use crate::extract::body;
use crate::state::AppState;

pub(crate) async fn bound(State(state): State<AppState>, request: Request, next: Next) -> Response<Body> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let limit = state.limits().max_body_bytes;
    if length.is_none_or(|length| usize::try_from(length).is_ok_and(|length| length <= limit)) {
        return next.run(request).await;
    }
    // Who waits for `100 Continue` has not begun to send; anyone else must be read out, or the reset that follows the
    // unread bytes would take the answer with it.
    if !request.headers().contains_key(EXPECT) {
        body::read_out(request.into_body(), state.limits()).await;
    }
    body::too_large(limit).into_response()
}
