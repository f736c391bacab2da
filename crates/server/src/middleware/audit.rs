//! Writes each change into the audit log: before it is made, and what came of it afterwards.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{Method, Response};
use axum::middleware::Next;
use axum::response::IntoResponse;
use oxbatch_core::access::Right;
use oxbatch_core::repository::{AuditId, NewAuditEntry};

use crate::access::{Caller, Needed, Origin, needed};
use crate::error::Problem;
use crate::extract::body;
use crate::state::AppState;

/// Most characters of what a change is done to.
const MAX_OBJECT_CHARS: usize = 500;

/// The names of changes that need no right to change.
const ALSO: [&str; 1] = ["log_out"];
/// The names of changes that are made also where they cannot be written down: a stop must reach what runs here although
/// the store is busy, perhaps by its doing.
const IN_ANY_CASE: [&str; 1] = ["stop_execution"];

pub(crate) async fn record(State(state): State<AppState>, request: Request, next: Next) -> Response<Body> {
    let Some(entry) = entry(&state, &request) else { return next.run(request).await };
    let repository = state.engine().repository();
    if IN_ANY_CASE.contains(&entry.action.as_str()) {
        let (begun, response) = tokio::join!(repository.begin_audit(entry), next.run(request));
        match begun {
            Ok(id) => end(&state, id, outcome(&response)).await,
            Err(error) => tracing::warn!(%error, "a stop is not in the audit log"),
        }
        return response;
    }
    let id = match repository.begin_audit(entry).await {
        Ok(id) => id,
        // What cannot be written down is not done.
        Err(error) => {
            body::read_out(request.into_body(), state.limits()).await;
            return Problem::from(error).into_response();
        }
    };
    let response = next.run(request).await;
    end(&state, id, outcome(&response)).await;
    response
}

/// The outcome of a change: its status, and what it has made.
fn outcome(response: &Response<Body>) -> String {
    let place = response.headers().get(LOCATION).and_then(|place| place.to_str().ok());
    let status = response.status().as_u16();
    place.map_or_else(|| status.to_string(), |place| format!("{status} {place}"))
}

/// Writes down what came of a change.
async fn end(state: &AppState, id: AuditId, outcome: String) {
    if let Err(error) = state.engine().repository().end_audit(id, outcome).await {
        tracing::warn!(audit.id = id.0, %error, "the outcome of a change is not in the audit log");
    }
}

/// The entry of a request that asks for a change.
fn entry(state: &AppState, request: &Request) -> Option<NewAuditEntry> {
    let (needed, operation) = needed(request);
    let changes = matches!(needed, Needed::Right(Right::Operate | Right::Administer)) || ALSO.contains(&operation);
    if !changes || matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let origin = request.extensions().get::<Origin>();
    let (token_id, who) = match request.extensions().get::<Caller>() {
        Some(Caller::Token { token, .. }) => (Some(token.id), token.name.clone()),
        Some(Caller::Anybody) | None => (None, "anybody".to_owned()),
    };
    let object = request.uri().path_and_query().map_or("", |path| path.as_str());
    Some(NewAuditEntry {
        time: state.engine().config().clock.now(),
        token_id,
        who,
        address: origin.and_then(|origin| origin.address).map(|address| address.to_string()),
        action: operation.to_owned(),
        object: object.chars().take(MAX_OBJECT_CHARS).collect(),
    })
}
