//! The page by which a session begins: with a token or the code of a link; and the end of the session.

use askama::Template;
use axum::extract::{Extension, RawQuery, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::command::segment;
use super::form::Form;
use super::frame::{Frame, Visitor, page, page_with};
use crate::access::{Caller, Origin};
use crate::api::login::{Login, begun, end, is_code};
use crate::error::{Problem, ProblemKind};
use crate::state::AppState;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    code: Option<String>,
    /// The page that was asked for.
    next: String,
    problem: Option<String>,
}

/// A path of this service's own pages; nothing else is led to.
fn own_page(text: Option<&str>) -> Option<&str> {
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    text.filter(|text| text.starts_with("/ui/") && !text.contains("//") && is_plain(text))
}

/// The page that leads a visitor without a session to the login, and back.
pub(crate) fn login_for(path_and_query: &str) -> String {
    match own_page(Some(path_and_query)) {
        Some(path) => format!("/login?next={}", segment(path)),
        None => "/login".to_owned(),
    }
}

/// The page with one form. It changes nothing: a mail program that looks at the link uses no code up.
pub(crate) async fn show(RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let form = Form::of_query(query.as_deref());
    page(&LoginPage {
        frame: Frame::new("Log in", "", Visitor::nobody()),
        code: form.get("code").filter(|code| is_code(code)).map(str::to_owned),
        next: own_page(form.get("next")).unwrap_or("/").to_owned(),
        problem: None,
    })
}

/// Begins a session and leads on to the page that was asked for.
pub(crate) async fn log_in(
    State(state): State<AppState>,
    Extension(origin): Extension<Origin>,
    form: Form,
) -> Result<Response, Problem> {
    let text = |name: &str| form.get(name).map(str::to_owned);
    let next = own_page(form.get("next")).unwrap_or("/").to_owned();
    match begun(&state, &origin, Login { token: text("token"), code: text("code") }).await {
        Ok(cookie) => Ok(led(&next, cookie)),
        Err(problem) if problem.kind.status().is_client_error() => {
            let status = match problem.kind {
                ProblemKind::NoObject => StatusCode::UNPROCESSABLE_ENTITY,
                kind => kind.status(),
            };
            let frame = Frame::new("Log in", "", Visitor::nobody());
            let page = LoginPage { frame, code: None, next, problem: Some(problem.detail) };
            page_with(status, &page)
        }
        Err(problem) => Err(problem),
    }
}

/// Ends the session.
pub(crate) async fn log_out(
    State(state): State<AppState>,
    Extension(origin): Extension<Origin>,
    Extension(caller): Extension<Caller>,
    _: Form,
) -> Result<Response, Problem> {
    Ok(led("/login", end(&state, &origin, caller).await?))
}

fn led(target: &str, cookie: HeaderValue) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    let target = HeaderValue::try_from(target).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, target);
    response.headers_mut().insert(axum::http::header::SET_COOKIE, cookie);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_of_this_service_is_led_to() {
        assert_eq!(own_page(Some("/ui/executions?status=FAILED")), Some("/ui/executions?status=FAILED"));
        for foreign in [
            "https://evil.example/",
            "//evil.example/ui/",
            "/ui//evil.example",
            "/ui/\\evil",
            "/jobs",
            "ui/",
            "/ui/\r\nx",
        ] {
            assert_eq!(own_page(Some(foreign)), None, "{foreign}");
        }
        assert_eq!(login_for("/ui/jobs"), "/login?next=%2Fui%2Fjobs");
        assert_eq!(login_for("/"), "/login");
    }
}
