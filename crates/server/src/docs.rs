//! The page for people at `/docs/`: Swagger UI out of the binary, so it works with no network.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use utoipa_swagger_ui::Config;

use crate::error::{Problem, ProblemKind};

/// The page loads its own scripts and styles and asks this service, nothing else. It sets styles on elements, and its
/// pictures are in its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").validator_url("none")));

pub(crate) async fn index() -> Result<Response<Body>, Problem> {
    answer("index.html")
}

pub(crate) async fn file(Path(name): Path<String>) -> Result<Response<Body>, Problem> {
    answer(&name)
}

fn answer(name: &str) -> Result<Response<Body>, Problem> {
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG))
        .map_err(|error| Problem::internal(error.to_string()))?
        .ok_or_else(|| Problem::new(ProblemKind::NothingHere, "there is no such file"))?;
    let content_type =
        HeaderValue::try_from(file.content_type).map_err(|error| Problem::internal(error.to_string()))?;
    let mut response = Response::new(Body::from(file.bytes.into_owned()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if file.gzpipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
