//! The OpenAPI 3.1 document: the handlers' descriptions, completed with what every call may answer.

pub(crate) mod shapes;

use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response};
use utoipa::OpenApi;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Required, Response as Answer, ResponseBuilder};

use self::shapes::{ExecutionIdShape, ParameterMatchShape};
use crate::access::{COOKIE, SCHEMES};
use crate::error::{PROBLEM_JSON, ParameterError, ProblemDocument};
use crate::router;

/// Answers that any call may give.
const EVERYWHERE: [(&str, &str); 5] = [
    ("400", "A parameter or a header is unknown or does not fit"),
    ("413", "The body is too large"),
    ("421", "The Host header names a host by which the service may not be called"),
    ("500", "The service failed; its log explains it under the request id"),
    ("503", "Too much to do, shutting down, or the job repository does not answer; try again later"),
];
/// The calls whose body may be left out: a launch without parameters.
const MAY_HAVE_NO_BODY: [&str; 2] = ["launch_job", "preview_job"];
/// Further answers of calls that change something.
const ON_CHANGES: [(&str, &str); 1] = [("403", "A page of another site asked for a change")];
/// Further answers of calls that need a right.
const WITH_A_RIGHT: [(&str, &str); 3] = [
    ("401", "A token is needed, or the one that was sent does not hold"),
    ("403", "The role of the token does not suffice, or the service only shows"),
    ("429", "Too many logins from this address have failed"),
];

/// The head of the document: everything but the calls, which the router adds.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Oxbatch",
        description = "Launch batch jobs, watch them, stop them and let them go on where they were.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(ProblemDocument, ParameterError, ExecutionIdShape, ParameterMatchShape)),
    tags(
        (name = "jobs", description = "What the service can run"),
        (name = "executions", description = "Attempts to run a job"),
        (name = "instances", description = "Jobs with their identifying parameters"),
        (name = "nodes", description = "Processes that share the work"),
        (name = "schedules", description = "Jobs that are launched by themselves"),
        (name = "access", description = "Sessions, and the log of who has changed what"),
        (name = "health", description = "For watchdogs"),
    ),
)]
struct Head;

/// The document without calls.
pub(crate) fn head() -> utoipa::openapi::OpenApi {
    Head::openapi()
}

/// The OpenAPI 3.1 document of the interface.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = router::described();
    let schemes = document.components.get_or_insert_default();
    let [token, session] = SCHEMES;
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token, oxb_…")).build();
    schemes.add_security_scheme(token, SecurityScheme::Http(bearer));
    let cookie = ApiKeyValue::with_description(COOKIE, "The session of a browser that has logged in");
    schemes.add_security_scheme(session, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    for item in document.paths.paths.values_mut() {
        let PathItem { get, post, .. } = item;
        for operation in get.iter_mut() {
            complete(operation, &[]);
        }
        for operation in post.iter_mut() {
            complete(operation, &ON_CHANGES);
        }
    }
    document
}

fn complete(operation: &mut Operation, more: &[(&str, &str)]) {
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        let may_be_left_out = operation.operation_id.as_deref().is_some_and(|id| MAY_HAVE_NO_BODY.contains(&id));
        body.required = Some(if may_be_left_out { Required::False } else { Required::True });
    }
    let answers = &mut operation.responses.responses;
    let needs_a_right = operation.security.as_ref().is_some_and(|security| !security.is_empty());
    let with_a_right: &[_] = if needs_a_right { &WITH_A_RIGHT } else { &[] };
    for (status, description) in EVERYWHERE.iter().chain(with_a_right).chain(more) {
        answers
            .entry((*status).to_owned())
            .or_insert_with(|| RefOr::T(ResponseBuilder::new().description(*description).build()));
    }
    for (status, answer) in answers.iter_mut() {
        let RefOr::T(answer) = answer else { continue };
        add_header(answer, "x-request-id", "Under this id the service's log explains it", Type::String);
        if status.starts_with(['4', '5']) {
            let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
            answer.content.insert(PROBLEM_JSON.to_owned(), RefOr::T(Content::new(Some(schema))));
        }
        if ["429", "503"].contains(&status.as_str()) {
            add_header(answer, "retry-after", "Seconds after which to try again", Type::Integer);
        }
        if status == "401" {
            add_header(answer, "www-authenticate", "The way to show a token: Bearer", Type::String);
        }
    }
}

fn add_header(answer: &mut Answer, name: &str, description: &str, kind: Type) {
    let schema = ObjectBuilder::new().schema_type(SchemaType::Type(kind)).build();
    let header = HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build();
    answer.headers.insert(name.to_owned(), RefOr::T(header));
}

pub(crate) async fn get() -> Response<Body> {
    static JSON: LazyLock<Bytes> = LazyLock::new(|| document().to_json().unwrap_or_default().into());
    let mut response = Response::new(Body::from(JSON.clone()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
