//! The files that pages load: out of the binary, named with the hash of what they hold, so that browsers keep them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};

use crate::error::{Problem, ProblemKind};

/// A year, which is for ever: other content has another address.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// A worker has the policy that its script comes with: this one asks this service for events.
const POLICY: &str =
    "default-src 'none'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// A file with its media type.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const ASSETS: [Asset; 4] = [
    Asset { name: "pages.css", kind: "text/css; charset=utf-8", text: include_str!("../../static/pages.css") },
    Asset { name: "pages.js", kind: "text/javascript; charset=utf-8", text: include_str!("../../static/pages.js") },
    Asset { name: "stream.js", kind: "text/javascript; charset=utf-8", text: include_str!("../../static/stream.js") },
    Asset { name: "icon.svg", kind: "image/svg+xml", text: include_str!("../../static/icon.svg") },
];

/// The addresses of the files.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) style: String,
    pub(super) script: String,
    pub(super) stream: String,
    pub(super) icon: String,
}

pub(super) static ADDRESSES: LazyLock<Addresses> = LazyLock::new(|| {
    let [style, script, stream, icon] = ASSETS.map(|asset| format!("/static/{}?v={}", asset.name, version(asset.text)));
    Addresses { style, script, stream, icon }
});

fn version(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Answers with a file.
pub(crate) async fn file(Path(name): Path<String>, RawQuery(query): RawQuery) -> Result<Response<Body>, Problem> {
    let Some(asset) = ASSETS.into_iter().find(|asset| asset.name == name) else {
        return Err(Problem::new(ProblemKind::NothingHere, "there is no such file"));
    };
    let is_of_version = query.is_some_and(|query| query == format!("v={}", version(asset.text)));
    let mut response = Response::new(Body::from(asset.text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(if is_of_version { FOR_EVER } else { "no-cache" }));
    Ok(response)
}
