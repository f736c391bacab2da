//! The page of a request that failed: what was wrong, and what to do next.

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response};

use super::frame::{Frame, Visitor, page_with};
use crate::error::{Problem, ProblemKind};

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: Frame,
    title: &'a str,
    detail: &'a str,
    request_id: &'a str,
    /// It may go away by itself.
    passes: bool,
    must_log_in: bool,
    execution_id: Option<i64>,
}

/// `true` if the answer to a request is a page.
pub(crate) fn is_page(path: &str, headers: &HeaderMap) -> bool {
    is_below_pages(path) || (path == "/" && accepts_html(headers))
}

/// `true` if a path is that of pages alone; `/` leads programs to the description of the interface.
pub(crate) fn is_below_pages(path: &str) -> bool {
    path.starts_with("/ui/") || path == "/styleguide"
}

/// `true` if a browser asks for something to show.
pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get_all("accept").iter().any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html")))
}

/// The page of a problem; `None` where it cannot be made.
pub(crate) fn problem_page(problem: &Problem, request_id: &str, allow: Option<HeaderValue>) -> Option<Response<Body>> {
    let status = problem.kind.status();
    let template = ProblemPage {
        frame: Frame::new(problem.kind.title(), "", Visitor::nobody()),
        title: problem.kind.title(),
        detail: &problem.detail,
        request_id,
        passes: status.as_u16() == 503 || status.as_u16() == 429,
        must_log_in: problem.kind == ProblemKind::Unauthorized,
        execution_id: problem.execution_id,
    };
    let mut response = page_with(status, &template).ok()?;
    problem.set_headers(response.headers_mut(), allow);
    Some(response)
}
