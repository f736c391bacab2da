//! The items that a step went on without: by pages, or all of them as JSON Lines.

use std::convert::Infallible;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, OriginalUri, State};
use axum::http::HeaderValue;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::{AppendHeaders, IntoResponse, Response};
use futures_util::stream::try_unfold;
use oxbatch_core::execution::StepExecutionId;
use oxbatch_core::repository::{PageRequest, RepositoryError};

use super::page::{List, MAX_LIMIT};
use crate::columns::ColumnMask;
use crate::error::Problem;
use crate::extract::{PathId, QueryReader, Strict, StrictQuery};
use crate::state::AppState;
use crate::view::SkipView;

/// Media type of the whole list, an item a line.
const JSON_LINES: &str = "application/x-ndjson";

/// The way in which the list is shown: an item a line, and with which columns masked.
pub(crate) struct Shown {
    wants_lines: bool,
    mask: ColumnMask,
}

impl FromRequestParts<AppState> for Shown {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let takes_lines =
            |accept: &str| accept.split(',').any(|kind| kind.split(';').next().map(str::trim) == Some(JSON_LINES));
        let wants_lines = parts.headers.get_all(ACCEPT).iter().any(|accept| accept.to_str().is_ok_and(takes_lines));
        let mask = ColumnMask::from_request_parts(parts, state).await?;
        Ok(Self { wants_lines, mask })
    }
}

/// The query of a list of skipped items.
pub(crate) struct SkipsQuery {
    page: PageRequest,
}

impl StrictQuery for SkipsQuery {
    fn read(reader: &mut QueryReader) -> Self {
        Self { page: List::Skips.page(reader) }
    }
}

/// List the items that a step skipped, in their order; with `Accept: application/x-ndjson` all of them, an item a line.
#[utoipa::path(
    get, path = "/steps/{id}/skips", tag = "executions", operation_id = "list_skips",
    params(
        ("id" = i64, Path, description = "Id of the step execution", minimum = 1),
        ("limit" = Option<u32>, Query, description = "Most rows", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "From the link to the next page", pattern = "^s[1-9a-f][0-9a-f]{0,14}$"),
    ),
    responses(
        (status = 200, description = "A page of skipped items, or all of them", headers(("link" = String, description = "The next page, if there is one")),
            content((Vec<SkipView> = "application/json"), (String = "application/x-ndjson"))),
        (status = 404, description = "There is no such step execution"),
    )
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    PathId(id): PathId,
    Shown { wants_lines, mask }: Shown,
    Strict(query): Strict<SkipsQuery>,
) -> Result<Response, Problem> {
    let id = StepExecutionId(id);
    let (after, limit) = (query.page.before, if wants_lines { MAX_LIMIT } else { query.page.limit });
    let page = state.engine().repository().skips(id, after, limit).await?;
    let views: Vec<SkipView> = page.skips.into_iter().map(|skip| mask.skip(skip).into()).collect();
    if wants_lines {
        let mut response = Response::new(lines((state, mask), id, views, page.next));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON_LINES));
        return Ok(response);
    }
    Ok((AppendHeaders(List::Skips.link(&uri, page.next)?), Json(views)).into_response())
}

/// All items from a first page on, page by page as the caller takes them.
fn lines((state, mask): (AppState, ColumnMask), id: StepExecutionId, first: Vec<SkipView>, next: Option<i64>) -> Body {
    let pages = try_unfold(Some((Some(first), next)), move |at| {
        let (state, mask) = (state.clone(), mask.clone());
        async move {
            let (views, next) = match at {
                None | Some((None, None)) => return Ok(None),
                Some((Some(first), next)) => (first, next),
                Some((None, after)) => {
                    let page = state.engine().repository().skips(id, after, MAX_LIMIT).await?;
                    (page.skips.into_iter().map(|skip| mask.skip(skip).into()).collect(), page.next)
                }
            };
            let mut text = Vec::new();
            for view in &views {
                // A shape of texts and numbers can always be written.
                let _ = serde_json::to_writer(&mut text, view);
                text.push(b'\n');
            }
            Ok::<_, RepositoryError>(Some((Bytes::from(text), next.map(|next| (None, Some(next))))))
        }
    });
    Body::from_stream(pages)
}
