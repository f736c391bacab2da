//! The page that begins a session, where the pages for people are not a part of the build.

use axum::extract::Query;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;

use super::login::is_code;

/// The page sends a form to its own service, and nothing else.
const POLICY: &str = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// The page of a link that has a code, around the code.
const WITH_CODE: [&str; 2] = [
    r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Log in to Oxbatch</title><h1>Oxbatch</h1>
<form method="post" action="/login"><input type="hidden" name="code" value=""#,
    r#""><p>This link holds once.</p><p><button>Log in</button></p></form></html>"#,
];
/// The page of those who have a token.
const WITH_TOKEN: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>Log in to Oxbatch</title><h1>Oxbatch</h1>
<form method="post" action="/login"><p><label>Token <input type="password" name="token" required autofocus
autocomplete="current-password"></label> <button>Log in</button></p></form></html>"#;

/// The query of the page; anything else in it is passed over, as pages do.
#[derive(Deserialize)]
pub(crate) struct PageQuery {
    code: Option<String>,
}

/// The page with one form. It changes nothing: a mail program that looks at the link uses no code up.
pub(crate) async fn page(Query(query): Query<PageQuery>) -> Response {
    let code = query.code.filter(|code| is_code(code));
    let html = match code {
        Some(code) => WITH_CODE.join(&code),
        None => WITH_TOKEN.to_owned(),
    };
    let mut response = Html(html).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // Under `no-referrer` a browser says `Origin: null` when it sends the form.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
