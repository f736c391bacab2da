//! The answer to a request that failed: one problem document (RFC 9457) for every error.

mod convert;
mod kind;

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Response};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use kind::ProblemKind;

use crate::view::RestartPlanView;

/// Media type of a problem document.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// An error on its way to the caller. The middleware `problems` adds the request id, logs what is the service's own
/// error, and writes the document.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) kind: ProblemKind,
    pub(crate) detail: String,
    pub(crate) execution_id: Option<i64>,
    pub(crate) errors: Vec<ParameterError>,
    retry_after: Option<u32>,
    plan: Option<Box<RestartPlanView>>,
    /// For the log, never for the caller.
    pub(crate) cause: Option<Arc<str>>,
}

/// The problem document of a failed request.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// The kind of the problem; it never changes for a kind.
    #[schema(format = "uri", example = "urn:oxbatch:problem:already-running")]
    r#type: String,
    /// The kind in words.
    title: String,
    /// The status code of the response.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The error in this request, and the change that would mend it.
    detail: String,
    /// The service's log explains the problem under this id.
    request_id: String,
    /// The parameter that is at error, or the first of them that has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parameter: Option<String>,
    /// The execution that stands in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    execution_id: Option<i64>,
    /// Every parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    errors: Option<Vec<ParameterError>>,
    /// The plan that holds by now, where a restart was asked for by another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    plan: Option<Box<RestartPlanView>>,
}

/// An error of one parameter, or of several together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ParameterError {
    /// Its name; left out where a rule over several parameters refuses them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) parameter: Option<String>,
    /// The error in words that go on after the name; a sentence where there is none.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { kind, detail, execution_id: None, errors: Vec::new(), retry_after: None, plan: None, cause: None }
    }

    /// An error of the service itself: the caller learns the request id, the log learns the cause.
    pub(crate) fn internal(cause: impl Into<Arc<str>>) -> Self {
        let mut problem =
            Self::new(ProblemKind::Internal, "the service failed; its log explains it under this request id");
        problem.cause = Some(cause.into());
        problem
    }

    /// Wrong parameters; the first one is also named on its own.
    pub(crate) fn parameters(kind: ProblemKind, errors: Vec<ParameterError>) -> Self {
        let sentence = |error: &ParameterError| match &error.parameter {
            Some(parameter) => format!("parameter '{parameter}' {}", error.message),
            None => error.message.clone(),
        };
        let mut problem = Self::new(kind, errors.iter().map(sentence).collect::<Vec<_>>().join("; "));
        problem.errors = errors;
        problem
    }

    pub(crate) fn with_execution(mut self, id: oxbatch_core::execution::ExecutionId) -> Self {
        self.execution_id = Some(id.0);
        self
    }

    pub(crate) fn with_plan(mut self, plan: RestartPlanView) -> Self {
        self.plan = Some(Box::new(plan));
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn with_cause(mut self, cause: impl Into<Arc<str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The response as the caller gets it; `allow` is kept from a refused method.
    pub(crate) fn document(&self, request_id: &str, allow: Option<HeaderValue>) -> Response<Body> {
        let status = self.kind.status();
        let document = ProblemDocument {
            r#type: self.kind.uri(),
            title: self.kind.title().to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone(),
            request_id: request_id.to_owned(),
            parameter: self.errors.iter().find_map(|error| error.parameter.clone()),
            execution_id: self.execution_id,
            errors: (!self.errors.is_empty()).then(|| self.errors.clone()),
            plan: self.plan.clone(),
        };
        // Strings and numbers can always be written.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        self.set_headers(response.headers_mut(), allow);
        response
    }

    /// The headers of the answer, whatever its form; `allow` is kept from a refused method.
    pub(crate) fn set_headers(&self, headers: &mut HeaderMap, allow: Option<HeaderValue>) {
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind == ProblemKind::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(methods) = allow {
            headers.insert(ALLOW, methods);
        }
    }
}

/// Only carries the problem to the middleware that writes it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.kind.status();
        response.extensions_mut().insert(self);
        response
    }
}
