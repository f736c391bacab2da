//! Reads the body of a launch within the limits of size and time.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use futures_util::StreamExt;
use oxbatch_core::job::GivenParameters;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::config::Limits;
use crate::error::{Problem, ProblemKind};
use crate::extract::header;
use crate::state::AppState;

/// Bytes of a body that is too large that are read and thrown away, so that its sender gets to read the answer.
const MAX_READ_OUT_BYTES: usize = 16 * 1024 * 1024;

/// The parameters of a launch: a JSON object, or nothing.
pub(crate) struct LaunchBody(pub(crate) GivenParameters);

impl FromRequest<AppState> for LaunchBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let content_type = header::single(&parts.headers, CONTENT_TYPE.as_str());
        let bytes = read(body, state.limits()).await?;
        if bytes.is_empty() {
            return Ok(Self(GivenParameters::default()));
        }
        if !is_json(content_type?) {
            let detail = "header content-type must be application/json when there is a body";
            return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
        }
        GivenParameters::from_json(&bytes).map(Self).map_err(|error| refuse(&error))
    }
}

/// A JSON object of a closed shape.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let content_type = header::single(&parts.headers, CONTENT_TYPE.as_str());
        let bytes = read(body, state.limits()).await?;
        if !bytes.is_empty() && !is_json(content_type?) {
            let detail = "header content-type must be application/json when there is a body";
            return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => {
                Problem::new(ProblemKind::NoObject, format!("the body does not fit: {error}"))
            }
            _ => Problem::new(ProblemKind::MalformedBody, format!("the body is not valid JSON: {error}")),
        })
    }
}

/// An object of texts: of JSON, or of the form of a page.
pub(crate) struct TextFields<T> {
    pub(crate) fields: T,
    /// It is the form of a page.
    pub(crate) is_page: bool,
}

impl<T: DeserializeOwned> FromRequest<AppState> for TextFields<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let content_type = header::single(&parts.headers, CONTENT_TYPE.as_str());
        let bytes = read(body, state.limits()).await?;
        let content_type = content_type?;
        let is_page = essence(content_type).eq_ignore_ascii_case("application/x-www-form-urlencoded");
        let object = if is_page {
            let pairs = form_urlencoded::parse(&bytes).into_owned();
            pairs.map(|(name, text)| (name, serde_json::Value::String(text))).collect::<serde_json::Map<_, _>>().into()
        } else if is_json(content_type) {
            serde_json::from_slice(&bytes).map_err(|error| {
                Problem::new(ProblemKind::MalformedBody, format!("the body is not valid JSON: {error}"))
            })?
        } else {
            let detail = "header content-type must be application/json or application/x-www-form-urlencoded";
            return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
        };
        // The error would repeat the text, which is a secret.
        let fields = serde_json::from_value(object);
        let fields = fields.map_err(|_| Problem::new(ProblemKind::NoObject, "the body does not fit this call"))?;
        Ok(Self { fields, is_page })
    }
}

/// The body of the form of a page, or nothing.
#[cfg(feature = "pages")]
pub(crate) async fn form_text(request: Request, limits: &Limits) -> Result<Vec<u8>, Problem> {
    let (parts, body) = request.into_parts();
    let content_type = header::single(&parts.headers, CONTENT_TYPE.as_str());
    let bytes = read(body, limits).await?;
    if bytes.is_empty() || essence(content_type?).eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(bytes);
    }
    let detail = "header content-type must be application/x-www-form-urlencoded";
    Err(Problem::new(ProblemKind::UnsupportedMediaType, detail))
}

/// No body at all, or an object without entries: a parameter that is sent to a call that takes none is not passed over.
pub(crate) struct NoBody;

impl FromRequest<AppState> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), state.limits()).await?;
        let is_empty = bytes.iter().filter(|byte| !byte.is_ascii_whitespace()).copied().eq(*b"{}");
        if bytes.trim_ascii().is_empty() || is_empty {
            return Ok(Self);
        }
        Err(Problem::new(ProblemKind::MalformedBody, "this call takes no body"))
    }
}

fn refuse(error: &serde_json::Error) -> Problem {
    match error.classify() {
        serde_json::error::Category::Data => {
            let detail = format!("the body must be a JSON object of parameters, such as {{\"size\": 100}}: {error}");
            Problem::new(ProblemKind::NoObject, detail)
        }
        _ => Problem::new(ProblemKind::MalformedBody, format!("the body is not valid JSON: {error}")),
    }
}

fn essence(content_type: Option<&str>) -> &str {
    content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim()
}

fn is_json(content_type: Option<&str>) -> bool {
    essence(content_type).eq_ignore_ascii_case("application/json")
}

async fn read(body: Body, limits: &Limits) -> Result<Vec<u8>, Problem> {
    let deadline = Instant::now() + limits.body_timeout;
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    loop {
        let slow = |_| {
            let detail = format!("the body did not arrive within {:?}", limits.body_timeout);
            Problem::new(ProblemKind::BodyTimeout, detail)
        };
        match timeout_at(deadline, stream.next()).await.map_err(slow)? {
            None => return Ok(bytes),
            Some(Ok(part)) if bytes.len() + part.len() <= limits.max_body_bytes => bytes.extend_from_slice(&part),
            Some(Ok(_)) => {
                drop(bytes);
                read_out_stream(&mut stream, deadline).await;
                return Err(too_large(limits.max_body_bytes));
            }
            Some(Err(_)) => {
                return Err(Problem::new(ProblemKind::MalformedBody, "the body ended before it was complete"));
            }
        }
    }
}

/// Reads and throws away what is left of a body, within bounds.
pub(crate) async fn read_out(body: Body, limits: &Limits) {
    read_out_stream(&mut body.into_data_stream(), Instant::now() + limits.body_timeout).await;
}

async fn read_out_stream(stream: &mut axum::body::BodyDataStream, deadline: Instant) {
    let mut left = MAX_READ_OUT_BYTES;
    while let Ok(Some(Ok(part))) = timeout_at(deadline, stream.next()).await {
        match left.checked_sub(part.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

pub(crate) fn too_large(limit: usize) -> Problem {
    let detail =
        format!("the body is larger than {limit} bytes; put larger input into a file and give its path as a parameter");
    Problem::new(ProblemKind::BodyTooLarge, detail)
}
