//! The frame of every page: who looks, what they may, where they are, and the answer with its headers.

use askama::Template;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use oxbatch_core::access::{Grant, Right};
use oxbatch_core::repository::rules::access::may;

use super::assets::{ADDRESSES, Addresses};
use crate::access::{Caller, Sight, Via};
use crate::error::Problem;
use crate::state::AppState;

/// A page loads its own style and script, asks this service alone, and sends its forms to it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The person who looks at a page, with their rights.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    grant: Option<Grant>,
    /// The name of the token.
    pub(super) name: Option<String>,
    /// They have logged in, and can log out.
    pub(super) has_session: bool,
    /// Nothing can be changed through this service.
    pub(super) read_only: bool,
    /// The address by which they call the service.
    pub(super) host: String,
    /// The part of the data that they see.
    pub(super) sight: Sight,
}

impl Visitor {
    /// Nobody in particular: for pages that stand before the check of rights.
    pub(super) fn nobody() -> Self {
        Self {
            grant: None,
            name: None,
            has_session: false,
            read_only: false,
            host: String::new(),
            sight: Sight::default(),
        }
    }

    /// May change what runs.
    pub(super) fn operates(&self) -> bool {
        !self.read_only && self.has(Right::Operate)
    }

    /// May see the raw text of records, of which no column is masked.
    pub(super) fn sees_raw(&self) -> bool {
        self.sight.sees_raw()
    }

    /// May see records of the data.
    pub(super) fn sees_data(&self) -> bool {
        self.sight.sees_data()
    }

    /// May see the audit log.
    pub(super) fn audits(&self) -> bool {
        self.has(Right::Administer)
    }

    /// May drain nodes.
    pub(super) fn administers(&self) -> bool {
        !self.read_only && self.audits()
    }

    fn has(&self, right: Right) -> bool {
        self.grant.is_some_and(|grant| may(grant, right))
    }
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>();
        let (name, has_session) = match caller {
            Some(Caller::Token { token, via }) => (Some(token.name.clone()), matches!(via, Via::Session { .. })),
            Some(Caller::Anybody) | None => (None, false),
        };
        let Ok(sight) = Sight::from_request_parts(parts, state).await;
        let caller = parts.extensions.get::<Caller>();
        let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("localhost:8000");
        Ok(Self {
            grant: caller.map(Caller::grant),
            name,
            has_session,
            read_only: state.access().read_only,
            host: host.to_owned(),
            sight,
        })
    }
}

/// The surroundings of the content of a page.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) title: String,
    /// The entry of the navigation that the page belongs to.
    pub(super) section: &'static str,
    /// The events for which the page is drawn anew: `all`, those of the execution of an id, `poll` for what has none.
    pub(super) live: String,
    pub(super) visitor: Visitor,
    pub(super) files: &'static Addresses,
    pub(super) has_docs: bool,
}

impl Frame {
    pub(super) fn new(title: impl Into<String>, section: &'static str, visitor: Visitor) -> Self {
        let (files, has_docs) = (&*ADDRESSES, cfg!(feature = "docs"));
        Self { title: title.into(), section, live: String::new(), visitor, files, has_docs }
    }

    /// The same, drawn anew when something happens: anything (`all`), to the execution of an id, or, where there are no
    /// events of it, every few seconds (`poll`).
    pub(super) fn live(mut self, events: impl ToString) -> Self {
        self.live = events.to_string();
        self
    }

    /// `page` for the entry of the navigation that the page belongs to.
    pub(super) fn current(&self, section: &str) -> &'static str {
        if self.section == section { "page" } else { "false" }
    }
}

/// The answer with a page.
pub(super) fn page(template: &impl Template) -> Result<Response<Body>, Problem> {
    page_with(StatusCode::OK, template)
}

/// The answer with a page and another status.
pub(super) fn page_with(status: StatusCode, template: &impl Template) -> Result<Response<Body>, Problem> {
    let html = template.render().map_err(|error| Problem::internal(error.to_string()))?;
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    set_headers(response.headers_mut());
    Ok(response)
}

fn set_headers(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // Under `no-referrer` a browser says `Origin: null` when it sends a form.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}
