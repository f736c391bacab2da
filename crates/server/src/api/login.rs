//! Logging in and out: a session of a browser in place of a token, or of the one-time code of a link.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use oxbatch_core::access::{Credential, CredentialKind, Token, hash_of};
use oxbatch_core::repository::rules::access as rules;
use oxbatch_core::repository::{NewAuditEntry, NewPass};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::access::{COOKIE, Caller, Origin, Via};
use crate::error::{Problem, ProblemKind};
use crate::extract::body::{NoBody, TextFields};
use crate::extract::{NoQuery, Strict};
use crate::middleware::access::{must_wait, note_failure};
use crate::state::AppState;

/// The proof of a login: a token, or the code of a login link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// A token.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    pub(crate) token: Option<String>,
    /// A code, which is used up by it.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    pub(crate) code: Option<String>,
}

/// Returns whether a text may be a code: no other one gets into the page.
pub(crate) fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix(CredentialKind::LoginCode.prefix()).unwrap_or_default();
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Log in.
///
/// Begins a session of 12 hours, which never outlives its token, and sets its cookie. Takes JSON, which is answered by
/// 204, or the form of a page, which is led on to `/`.
#[utoipa::path(
    post, path = "/login", tag = "access", operation_id = "log_in",
    request_body(content = Login, description = "Either a token or a code"),
    responses(
        (status = 204, description = "The session has begun", headers(("set-cookie" = String, description = "Its cookie"))),
        (status = 303, description = "The session has begun; the page is led on"),
        (status = 401, description = "There is no such token or code, or it does not hold any more"),
        (status = 408, description = "The body came too slowly"),
        (status = 415, description = "The body is neither JSON nor a form"),
        (status = 422, description = "The body has not exactly one of token and code"),
        (status = 429, description = "Too many logins from this address have failed"),
    )
)]
pub(crate) async fn log_in(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
    Extension(origin): Extension<Origin>,
    TextFields { fields, is_page }: TextFields<Login>,
) -> Result<Response, Problem> {
    let cookie = begun(&state, &origin, fields).await?;
    Ok(ended(is_page, "/", cookie))
}

/// Begins a session by a proof of a login; its cookie.
pub(crate) async fn begun(state: &AppState, origin: &Origin, fields: Login) -> Result<HeaderValue, Problem> {
    let now = state.engine().config().clock.now();
    let at = (state.access(), origin);
    if let Some(problem) = must_wait(at, now) {
        return Err(problem);
    }
    let repository = state.engine().repository();
    let found = match fields {
        Login { token: Some(token), code: None } => repository.token_by_hash(hash_of(token.trim())).await?,
        Login { token: None, code: Some(code) } => repository.use_login_code(hash_of(&code), now).await?,
        _ => return Err(Problem::new(ProblemKind::NoObject, "give either token or code")),
    };
    let Some(token) = found else {
        let refused = "there is no such token or code: a code holds for 10 minutes and once";
        return Err(
            note_failure((state, origin), now).unwrap_or_else(|| Problem::new(ProblemKind::Unauthorized, refused))
        );
    };
    rules::check_token(&token, now).map_err(|over| Problem::new(ProblemKind::Unauthorized, over.to_string()))?;
    if let Some(address) = origin.address {
        state.access().failures.forget(address);
    }
    let session = begin(state, &token, origin, now).await?;
    cookie(session.text(), rules::session_end(&token, now), now, origin.is_https)
}

/// Begins a session, and writes it down in the audit log.
async fn begin(state: &AppState, token: &Token, origin: &Origin, now: Timestamp) -> Result<Credential, Problem> {
    let session = Credential::new(CredentialKind::Session).map_err(|error| Problem::internal(error.to_string()))?;
    let repository = state.engine().repository();
    let entry = NewAuditEntry {
        time: now,
        token_id: Some(token.id),
        who: token.name.clone(),
        address: origin.address.map(|address| address.to_string()),
        action: "log_in".to_owned(),
        object: "/login".to_owned(),
    };
    let id = repository.begin_audit(entry).await?;
    let expire_time = rules::session_end(token, now);
    let pass = NewPass { hash: session.hash(), token_id: token.id, time: now, expire_time };
    repository.create_session(pass).await?;
    repository.end_audit(id, "204".to_owned()).await?;
    Ok(session)
}

/// Log out.
///
/// Ends the session by whose cookie it is asked.
#[utoipa::path(
    post, path = "/logout", tag = "access", operation_id = "log_out",
    responses((status = 204, description = "The session has ended, if there was one"))
)]
pub(crate) async fn log_out(
    State(state): State<AppState>,
    Strict(NoQuery): Strict<NoQuery>,
    Extension(origin): Extension<Origin>,
    Extension(caller): Extension<Caller>,
    NoBody: NoBody,
) -> Result<Response, Problem> {
    let cookie = end(&state, &origin, caller).await?;
    Ok(ended(false, "/login", cookie))
}

/// Ends the session of a caller; the cookie that takes its place.
pub(crate) async fn end(state: &AppState, origin: &Origin, caller: Caller) -> Result<HeaderValue, Problem> {
    if let Caller::Token { via: Via::Session { hash, .. }, .. } = caller {
        state.engine().repository().end_session(hash).await?;
    }
    let now = state.engine().config().clock.now();
    cookie("", now, now, origin.is_https)
}

/// The answer to whoever has logged in or out: a page is led on.
fn ended(is_page: bool, target: &'static str, cookie: HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = if is_page { StatusCode::SEE_OTHER } else { StatusCode::NO_CONTENT };
    let headers = response.headers_mut();
    if is_page {
        headers.insert(LOCATION, HeaderValue::from_static(target));
    }
    headers.insert(SET_COOKIE, cookie);
    response
}

/// The cookie of a session that ends at a moment; a link from a mail opens the page with it (`Lax`).
fn cookie(text: &str, end: Timestamp, now: Timestamp, is_https: bool) -> Result<HeaderValue, Problem> {
    let seconds = end.duration_since(now).as_secs().max(0);
    let secure = if is_https { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={text}; HttpOnly; SameSite=Lax; Path=/; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::try_from(cookie).map_err(|error| Problem::internal(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}
