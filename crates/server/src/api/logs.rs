//! The log of an execution: as JSON Lines or as text, from a position on or its end, followed until the execution ends.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use futures_util::stream::try_unfold;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::log::{KeptLine, LogFeed, LogFilter, LogLevel, LogPosition, MAX_TAIL, shown_line};
use oxbatch_core::repository::RepositoryError;
use tokio::sync::OwnedSemaphorePermit;

use super::events::stream_permit;
use crate::error::Problem;
use crate::extract::query::{flag, shorten};
use crate::extract::{PathId, QueryReader, Strict, StrictQuery};
use crate::state::AppState;
use crate::view::LogLineView;

/// Media type of lines of JSON.
const JSON_LINES: &str = "application/x-ndjson";
/// Media type of lines for people.
const TEXT: &str = "text/plain; charset=utf-8";
/// Longest time between two polls of a log that is followed.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// The position behind the lines of an answer that is no stream.
const POSITION: HeaderName = HeaderName::from_static("x-log-position");

/// The query of a log.
pub(crate) struct LogQuery {
    filter: LogFilter,
    after: Option<LogPosition>,
    tail: Option<u32>,
    limit: Option<u32>,
    follow: bool,
}

impl StrictQuery for LogQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let level = reader.one("level", |text| {
            let known = LogLevel::ALL.map(LogLevel::as_str).join(", ");
            text.parse().map_err(|_| format!("must be one of {known}, not '{}'", shorten(text)))
        });
        let step = reader.one("step", |text| Ok(text.to_owned()));
        Self {
            filter: LogFilter { level, step },
            after: reader.one("after", str::parse),
            tail: reader.one("tail", |text| lines(text, 0)),
            limit: reader.one("limit", |text| lines(text, 1)),
            follow: reader.one("follow", flag).unwrap_or(false),
        }
    }
}

fn lines(text: &str, least: u32) -> Result<u32, String> {
    let parsed = text.parse().ok().filter(|lines| (least..=MAX_TAIL).contains(lines) && !text.starts_with('+'));
    parsed.ok_or_else(|| format!("must be a whole number from {least} to {MAX_TAIL}, not '{}'", shorten(text)))
}

/// Read the log of an execution.
///
/// The lines of its steps, oldest first: JSON with `position`, `time`, `level`, `target`, `step`, `message` and
/// `fields`, or with `Accept: text/plain` text. With `follow` the answer goes on until the
/// execution has ended. `limit` is of no effect beside `tail` or `follow`.
#[utoipa::path(
    get, path = "/executions/{id}/logs", tag = "executions", operation_id = "read_log",
    params(
        ("id" = i64, Path, description = "Id of the execution", minimum = 1),
        ("level" = Option<String>, Query, description = "Only lines of this level and more severe ones", pattern = "^(ERROR|WARN|INFO|DEBUG|TRACE)$"),
        ("step" = Option<String>, Query, description = "Only lines of this step", pattern = "^[^\\u0000\\ufffd]*$"),
        ("after" = Option<String>, Query, description = "Only lines behind this position", pattern = "^[0-9]{1,18}-[0-9]{1,9}$"),
        ("tail" = Option<u32>, Query, description = "Only the last lines", minimum = 0, maximum = 10000),
        ("limit" = Option<u32>, Query, description = "Most lines", minimum = 1, maximum = 10000),
        ("follow" = Option<bool>, Query, description = "Go on until the execution has ended"),
    ),
    responses(
        (status = 200, description = "Its lines", content((String = "application/x-ndjson"), (String = "text/plain")),
            headers(("x-log-position" = String, description = "The position behind the lines, where their number is bounded"))),
        (status = 404, description = "There is no such execution"),
    )
)]
pub(crate) async fn read(
    State(state): State<AppState>,
    PathId(id): PathId,
    headers: HeaderMap,
    Strict(query): Strict<LogQuery>,
) -> Result<Response, Problem> {
    let id = ExecutionId(id);
    // The execution before its lines: those of one that has ended are all there.
    let execution = state.engine().execution(id).await?;
    let repository = state.engine().repository().as_ref();
    let permit = if query.follow { Some(stream_permit(&state)?) } else { None };
    let mut feed = LogFeed::new(id, query.filter, query.after);
    let form = Form::wanted(&headers);
    let (first, position) = match (query.tail, query.limit) {
        (Some(lines), _) => (feed.tail(repository, lines).await?, feed.position()),
        (None, Some(limit)) if !query.follow => bounded(&mut feed, &state, limit).await?,
        (None, _) => (feed.next(repository).await?, feed.position()),
    };
    let is_whole = !query.follow && (query.tail.is_some() || query.limit.is_some());
    let body = match is_whole {
        true => Body::from(form.write(&first)),
        false => {
            let has_ended = !execution.status.is_running();
            stream(
                Follow { state: state.clone(), id, feed, form, follow: query.follow, has_ended, _permit: permit },
                first,
            )
        }
    };
    let mut response = Response::new(body);
    let kind = if form == Form::Text { TEXT } else { JSON_LINES };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let (true, Ok(position)) = (is_whole, HeaderValue::try_from(position.to_string())) {
        response.headers_mut().insert(POSITION, position);
    }
    Ok(response)
}

/// At most so many lines, and the position behind them.
async fn bounded(
    feed: &mut LogFeed,
    state: &AppState,
    limit: u32,
) -> Result<(Vec<KeptLine>, LogPosition), RepositoryError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    while found.len() < limit {
        let next = feed.next(state.engine().repository().as_ref()).await?;
        if next.is_empty() {
            return Ok((found, feed.position()));
        }
        found.extend(next);
    }
    found.truncate(limit);
    let position = found.last().map_or_else(|| feed.position(), |line| line.position);
    Ok((found, position))
}

/// The form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Text,
}

impl Form {
    /// Text where the caller names it before the other form.
    fn wanted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
        let mut kinds =
            accepted.flat_map(|accept| accept.split(',')).map(|kind| kind.split(';').next().unwrap_or(kind));
        match kinds.find(|kind| ["text/plain", JSON_LINES].contains(&kind.trim())) {
            Some(kind) if kind.trim() == "text/plain" => Self::Text,
            _ => Self::Json,
        }
    }

    fn write(self, lines: &[KeptLine]) -> Bytes {
        let mut text = String::new();
        for line in lines {
            match self {
                Self::Json => text.push_str(&LogLineView::new(line).to_json()),
                Self::Text => text.push_str(&shown_line(&line.line)),
            }
            text.push('\n');
        }
        text.into()
    }
}

/// A log on its way to a caller.
struct Follow {
    state: AppState,
    id: ExecutionId,
    feed: LogFeed,
    form: Form,
    follow: bool,
    /// It had ended before its lines were read last.
    has_ended: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

fn stream(follow: Follow, first: Vec<KeptLine>) -> Body {
    Body::from_stream(try_unfold((follow, Some(first)), |(mut follow, first)| async move {
        let lines = match first.filter(|lines| !lines.is_empty()) {
            Some(first) => first,
            None => follow.next().await?,
        };
        let bytes = follow.form.write(&lines);
        Ok::<_, RepositoryError>((!lines.is_empty()).then_some((bytes, (follow, None))))
    }))
}

impl Follow {
    /// The next lines; none at the end.
    async fn next(&mut self) -> Result<Vec<KeptLine>, RepositoryError> {
        loop {
            let lines = self.feed.next(self.state.engine().repository().as_ref()).await?;
            if !lines.is_empty() || self.has_ended || !self.follow {
                return Ok(lines);
            }
            tokio::select! {
                () = self.state.shutdown().cancelled() => return Ok(Vec::new()),
                () = self.state.engine().change(self.id, POLL_EVERY) => {}
            }
            let execution = self.state.engine().repository().execution(self.id).await?;
            self.has_ended = execution.is_none_or(|execution| !execution.status.is_running());
        }
    }
}
