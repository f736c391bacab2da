//! Lets a request through to its route when its caller has the right that the route needs.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, EXPECT, HOST, ORIGIN};
use axum::http::{HeaderMap, Method, Response};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;
use oxbatch_core::access::{Right, TokenRefusal};
use oxbatch_core::repository::rules::access as rules;

use super::hosts::is_own;
use crate::access::{
    Access, Caller, IdentifyError, Needed, Origin, Via, cut_when_over, identify, keep_failure, needed,
};
use crate::error::{Problem, ProblemKind};
use crate::extract::body;
#[cfg(feature = "pages")]
use crate::pages::is_below_pages;
use crate::state::AppState;

/// The path of the metrics.
const METRICS: &str = "/metrics";
/// The time that a scrape waits for the store to say who asks; Prometheus waits 10 seconds for all of it.
const SCRAPE_WITHIN: Duration = Duration::from_secs(2);

pub(crate) async fn check(State(state): State<AppState>, mut request: Request, next: Next) -> Response<Body> {
    let access = state.access();
    let origin = Origin::of(&request, &access.proxies);
    request.extensions_mut().insert(origin);
    let (needed, _) = needed(&request);
    let right = match needed {
        Needed::Nothing => return next.run(request).await,
        Needed::Right(right) if right == Right::View && is_public(access, &request) => return next.run(request).await,
        Needed::Right(right) => right,
    };
    let admitted = match request.uri().path() == METRICS {
        true => admit_scrape(&state, (request.method(), request.headers()), &origin, right).await,
        false => admit(&state, (request.method(), request.headers()), &origin, right).await,
    };
    match admitted {
        Ok(caller) => {
            note_use(&state, &caller);
            request.extensions_mut().insert(caller.clone());
            let response = next.run(request).await;
            cut_when_over(response, state, caller)
        }
        // A person who begins without a session is led to the page that begins one.
        Err(problem) if problem.kind == ProblemKind::Unauthorized && is_begun_by_a_person(&request) => {
            Redirect::to(&login_for(&request)).into_response()
        }
        Err(problem) => {
            // What is left unread would take the answer with it; who waits for `100 Continue` has not begun to send.
            if !request.headers().contains_key(EXPECT) {
                body::read_out(request.into_body(), state.limits()).await;
            }
            problem.into_response()
        }
    }
}

/// `true` if a request may come from a person who begins with it: whoever has shown a token is told what is wrong.
fn is_begun_by_a_person(request: &Request) -> bool {
    let only_shows = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path();
    only_shows && (path == "/" || (is_below_pages(path) && !request.headers().contains_key(AUTHORIZATION)))
}

/// There are no pages but the first.
#[cfg(not(feature = "pages"))]
fn is_below_pages(_: &str) -> bool {
    false
}

/// The login that leads back to what was asked for.
#[cfg(feature = "pages")]
fn login_for(request: &Request) -> String {
    crate::pages::login_for(request.uri().path_and_query().map_or("/", |path| path.as_str()))
}

/// The login.
#[cfg(not(feature = "pages"))]
fn login_for(_: &Request) -> String {
    "/login".to_owned()
}

/// The caller of a scrape. While the store does not answer, one that has scraped of late may do so: metrics are asked
/// for most when something is away, and this node's own are all that is shown then.
async fn admit_scrape(
    state: &AppState,
    (method, headers): (&Method, &HeaderMap),
    origin: &Origin,
    right: Right,
) -> Result<Caller, Problem> {
    let (scrapers, now) = (&state.access().scrapers, state.engine().config().clock.now());
    let asked = tokio::time::timeout(SCRAPE_WITHIN, admit(state, (method, headers), origin, right)).await;
    let problem = match asked {
        Ok(Ok(caller)) => {
            scrapers.remember(headers, &caller, now);
            return Ok(caller);
        }
        Ok(Err(problem)) if problem.kind.status().is_server_error() => problem,
        Ok(Err(problem)) => return Err(problem),
        Err(_) => Problem::new(ProblemKind::StoreUnavailable, "the job repository does not answer; try again later"),
    };
    scrapers.known(headers, now).ok_or(problem)
}

fn is_public(access: &Access, request: &Request) -> bool {
    let path = request.uri().path();
    access.public.iter().any(|public| public == path)
}

/// The caller, if it may do what it asks for.
async fn admit(
    state: &AppState,
    (method, headers): (&Method, &HeaderMap),
    origin: &Origin,
    right: Right,
) -> Result<Caller, Problem> {
    let access = state.access();
    let now = state.engine().config().clock.now();
    let repository = state.engine().repository();
    let caller = identify(headers, (access, origin), repository.as_ref(), now).await;
    let caller = caller.map_err(|error| refused(error, (state, origin), now))?;
    if !rules::may(caller.grant(), right) {
        return Err(forbidden(&caller, right));
    }
    let only_shows = matches!(*method, Method::GET | Method::HEAD);
    if let Caller::Token { via: Via::Session { .. }, .. } = &caller
        && !only_shows
    {
        check_page(headers, origin)?;
    }
    if access.read_only && !only_shows && matches!(right, Right::Operate | Right::Administer) {
        let detail = "this service only shows: it was started with --read-only, and nothing is changed through it";
        return Err(Problem::new(ProblemKind::ReadOnly, detail));
    }
    Ok(caller)
}

/// Refuses a change by cookie that no page of the service itself asks for: browsers send cookies with whatever any
/// page asks.
fn check_page(headers: &HeaderMap, origin: &Origin) -> Result<(), Problem> {
    let scheme = if origin.is_https { "https://" } else { "http://" };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let mut given = headers.get_all(ORIGIN).iter();
    let page = match (given.next(), given.next()) {
        (Some(page), None) => page.to_str().ok(),
        _ => None,
    };
    if page.is_some_and(|page| page.starts_with(scheme) && is_own(page, host)) {
        return Ok(());
    }
    let detail = format!(
        "a change by the cookie of a session needs a header Origin that names this service, {scheme}{}; programs send a \
         token in the header Authorization instead. Behind a proxy that speaks TLS the service needs --trusted-proxy",
        host.unwrap_or_default()
    );
    Err(Problem::new(ProblemKind::CrossOrigin, detail))
}

fn forbidden(caller: &Caller, right: Right) -> Problem {
    let or_data = if right == Right::Data { ", or a token made with --data" } else { "" };
    let has = match caller {
        Caller::Token { token, .. } => format!("token {} '{}' has the role {}", token.id, token.name, token.role()),
        Caller::Anybody => "it was asked for without a token".to_owned(),
    };
    Problem::new(ProblemKind::Forbidden, format!("this needs the role {}{or_data}; {has}", right.least_role()))
}

/// The problem of a caller who is not known, counted if it has tried a text.
fn refused(error: IdentifyError, (state, origin): (&AppState, &Origin), now: Timestamp) -> Problem {
    let detail = match error {
        IdentifyError::Missing => "this needs a token: send it in the header 'Authorization: Bearer oxb_…'; \
             'oxbatch tokens create' makes one"
            .to_owned(),
        IdentifyError::Forwarded => "a proxy has passed this request on, and then a token is needed: \
             'oxbatch tokens create --role admin' makes one"
            .to_owned(),
        IdentifyError::Malformed => "header authorization must be 'Bearer' and a token".to_owned(),
        IdentifyError::NoSession => "the session has ended: log in again".to_owned(),
        IdentifyError::Over(refusal @ TokenRefusal::SessionExpired { .. }) => format!("{refusal}: log in again"),
        IdentifyError::Over(refusal) => format!("{refusal}: 'oxbatch tokens create' makes another"),
        IdentifyError::Repository(error) => return error.into(),
        IdentifyError::Unknown => {
            if let Some(problem) = note_failure((state, origin), now) {
                return problem;
            }
            "there is no such token: 'oxbatch tokens list' shows those that there are".to_owned()
        }
    };
    Problem::new(ProblemKind::Unauthorized, detail)
}

/// Counts a failure of an address; the problem of one that has failed too often.
pub(crate) fn note_failure((state, origin): (&AppState, &Origin), now: Timestamp) -> Option<Problem> {
    let (access, address) = (state.access(), origin.address?);
    keep_failure(state, address, now);
    if access.failures.wait(address, now).is_none() {
        access.failures.note(address, now);
        tracing::warn!(%address, "a login has failed");
    }
    must_wait((access, origin), now)
}

/// The problem of an address that has failed too often.
pub(crate) fn must_wait((access, origin): (&Access, &Origin), now: Timestamp) -> Option<Problem> {
    let wait = access.failures.wait(origin.address?, now)?;
    let seconds = u32::try_from(wait.as_secs().saturating_add(1)).unwrap_or(u32::MAX);
    let detail = format!("too many logins from this address have failed; try again in {seconds} seconds");
    Some(Problem::new(ProblemKind::TooManyFailures, detail).retry_after(seconds))
}

/// Records the use of a token beside the request, at most once a minute.
fn note_use(state: &AppState, caller: &Caller) {
    let Caller::Token { token, .. } = caller else { return };
    let now = state.engine().config().clock.now();
    if rules::is_use_recorded(token, now) {
        let (repository, id) = (state.engine().repository().clone(), token.id);
        tokio::spawn(async move {
            if let Err(error) = repository.note_token_use(id, now).await {
                tracing::debug!(token.id = id.0, %error, "the use of a token is not recorded");
            }
        });
    }
}
