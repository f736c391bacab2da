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

/// The classes that hold a part of a page in one scheme, light and dark, and the names of the colours.
#[cfg(debug_assertions)]
pub(super) fn scheme_classes() -> ([&'static str; 2], Vec<String>) {
    let [light, _] = schemes();
    let names = light.split("--").skip(1).filter_map(|rest| rest.split_once(": #")).map(|(name, _)| name.to_owned());
    (["light", "dark"], names.collect())
}

/// The colours of the style sheet: those of its first block, and those for who prefers dark.
#[cfg(debug_assertions)]
fn schemes() -> [&'static str; 2] {
    let mut blocks = include_str!("../../static/pages.css").split(":root {").skip(1);
    let mut next = || blocks.next().and_then(|rest| rest.split('}').next()).unwrap_or_default();
    [next(), next()]
}

/// The style of the style guide: both schemes as classes, of the same colours.
#[cfg(debug_assertions)]
fn styleguide() -> String {
    let [light, dark] = schemes();
    let (_, names) = scheme_classes();
    let swatches = names.iter().map(|name| format!(".c-{name} {{ background: var(--{name}); }}\n"));
    format!(
        ".light {{{light}color-scheme: light; }}\n.dark {{{dark}color-scheme: dark; }}\n{}\n{}",
        ".scheme { background: var(--back); color: var(--text); padding: 1rem; border-radius: var(--round); min-width: 0; }\n\
         .guide { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem; }\n\
         .swatches { display: flex; flex-wrap: wrap; gap: .5rem 1rem; }\n\
         .swatch { display: inline-flex; align-items: center; gap: .4rem; }\n\
         .swatch i { width: 1.6rem; height: 1.6rem; border-radius: 4px; border: 1px solid var(--line); }\n\
         @media (max-width: 820px) { .guide { grid-template-columns: minmax(0, 1fr); } }",
        swatches.collect::<String>()
    )
}

/// Answers with a file.
pub(crate) async fn file(Path(name): Path<String>, RawQuery(query): RawQuery) -> Result<Response<Body>, Problem> {
    #[cfg(debug_assertions)]
    if name == "styleguide.css" {
        let mut response = Response::new(Body::from(styleguide()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
        return Ok(response);
    }
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
