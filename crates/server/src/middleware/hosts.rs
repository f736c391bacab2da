//! Answers only requests that call the service by a name of its own, and no change that a foreign page asks for.
//!
//! A page of another site can make its visitor's browser send requests to this machine: by a name that it points here
//! (DNS rebinding), which the `Host` header shows, or across origins, which the `Origin` header shows.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, Response, Version};
use axum::middleware::Next;
use axum::response::IntoResponse;

use crate::error::{Problem, ProblemKind};
use crate::state::AppState;

/// The hosts by which the service may be called, on any port.
#[derive(Debug)]
pub(crate) struct AllowedHosts {
    names: HashSet<String>,
    /// It listens on every address of the machine: then any address may be its own. An address cannot be rebound.
    any_address: bool,
}

impl AllowedHosts {
    pub(crate) fn new(listen: &str, address: SocketAddr, extra: &[String]) -> Self {
        let own = ["localhost", "127.0.0.1", "[::1]", listen].map(str::to_owned);
        let address_text = address.to_string();
        let given = own.iter().chain(extra).chain([&address_text]);
        let names = given.filter_map(|host| Some(Self::host(host)?.to_ascii_lowercase())).collect();
        Self { names, any_address: address.ip().is_unspecified() }
    }

    /// `true` if a text names a host, with or without a port.
    pub(crate) fn is_host(text: &str) -> bool {
        Self::host(text).is_some()
    }

    /// The host of `host[:port]`; an IPv6 address keeps its brackets.
    fn host(text: &str) -> Option<String> {
        let authority: Authority = text.parse().ok()?;
        // `Authority` also takes user information, which no host has.
        let host = authority.host();
        let fits = !host.is_empty() && !text.contains('@');
        fits.then(|| host.strip_suffix('.').unwrap_or(host).to_owned())
    }

    fn allows(&self, text: &str) -> bool {
        let Some(host) = Self::host(text) else { return false };
        let is_address = || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        self.names.contains(&host.to_ascii_lowercase()) || (self.any_address && is_address())
    }
}

pub(crate) async fn check(State(state): State<AppState>, request: Request, next: Next) -> Response<Body> {
    let checked = check_host(&request, state.hosts()).and_then(|()| check_origin(&request));
    match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check_host(request: &Request, allowed: &AllowedHosts) -> Result<(), Problem> {
    let unknown = || {
        let detail = "header Host names a host by which this service may not be called; call it by the address that it \
                      listens on, or add the name to its allowed hosts";
        Problem::new(ProblemKind::UnknownHost, detail)
    };
    let mut given = request.headers().get_all(HOST).iter();
    match (given.next(), given.next()) {
        (Some(host), None) => {
            if !host.to_str().is_ok_and(|host| allowed.allows(host)) {
                return Err(unknown());
            }
        }
        (None, _) if request.version() == Version::HTTP_10 => {}
        (None, _) => return Err(Problem::new(ProblemKind::MalformedRequest, "header Host is missing")),
        (Some(_), Some(_)) => {
            return Err(Problem::new(ProblemKind::MalformedRequest, "header Host is given more than once"));
        }
    }
    match request.uri().authority() {
        Some(authority) if !allowed.allows(authority.as_str()) => Err(unknown()),
        _ => Ok(()),
    }
}

fn check_origin(request: &Request) -> Result<(), Problem> {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let own = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| is_own(origin, host));
    if !changes || request.headers().get_all(ORIGIN).iter().all(own) {
        return Ok(());
    }
    let detail = "header Origin shows that a page of another site asks for a change; such requests are refused";
    Err(Problem::new(ProblemKind::CrossOrigin, detail))
}

/// `true` if a page came from the very address that it calls: another port of the same host is another site.
pub(crate) fn is_own(origin: &str, host: Option<&str>) -> bool {
    let authority = origin.split_once("://").map(|(scheme, authority)| (scheme, authority.to_ascii_lowercase()));
    let (Some((scheme, authority)), Some(host)) = (authority, host) else { return false };
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let bare = |text: &str| text.strip_suffix(default_port).unwrap_or(text).to_owned();
    bare(&authority) == bare(&host.to_ascii_lowercase())
}
