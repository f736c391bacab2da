//! Ends answers that go on, such as streams of events, when their caller is not accepted any more.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::Response;
use futures_util::StreamExt;

use super::{Caller, Via};
use crate::state::AppState;

/// The time between two looks at the caller's token.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// The response, cut when its caller is over, if it is one that goes on.
pub(crate) fn cut_when_over(response: Response<Body>, state: AppState, caller: Caller) -> Response<Body> {
    // The length of what is sent piece by piece is not known.
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(over(state, caller))))
}

/// Ends when the caller is not accepted any more. While the store does not answer, nobody is turned away.
async fn over(state: AppState, caller: Caller) {
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        let repository = state.engine().repository();
        let now = state.engine().config().clock.now();
        if caller.refusal(now).is_some() {
            return;
        }
        let is_over = match &caller {
            Caller::Anybody => state.access().tokens.ask(repository.as_ref()).await.unwrap_or(false),
            Caller::Token { via: Via::Session { hash, .. }, .. } => {
                matches!(repository.session_by_hash(hash.clone()).await, Ok(None))
            }
            Caller::Token { token, via: Via::Bearer } => {
                let id = token.id;
                let found = repository.token(id).await;
                found.is_ok_and(|token| token.is_none_or(|token| token.revoke_time.is_some()))
            }
        };
        if is_over {
            return;
        }
    }
}
