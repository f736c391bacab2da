//! The audit log: every change, who asked for it, and what came of it.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::{AppendHeaders, IntoResponse};
use jiff::Timestamp;
use oxbatch_core::repository::PageRequest;

use super::executions::instant;
use super::page::List;
use crate::error::Problem;
use crate::extract::{QueryReader, Strict, StrictQuery};
use crate::state::AppState;
use crate::view::AuditView;

/// The query of the audit log.
pub(crate) struct AuditQuery {
    pub(crate) since: Option<Timestamp>,
    pub(crate) page: PageRequest,
}

impl StrictQuery for AuditQuery {
    fn read(reader: &mut QueryReader) -> Self {
        Self { since: reader.one("since", instant), page: List::Audit.page(reader) }
    }
}

/// List the changes that were asked for, newest first.
#[utoipa::path(
    get, path = "/audit", tag = "access", operation_id = "list_audit",
    params(
        ("since" = Option<String>, Query, description = "Asked for at or after", format = DateTime),
        ("limit" = Option<u32>, Query, description = "Most rows", minimum = 1, maximum = 500),
        ("cursor" = Option<String>, Query, description = "From the link to the next page", pattern = "^a[1-9a-f][0-9a-f]{0,14}$"),
    ),
    responses((status = 200, description = "A page of the audit log", body = Vec<AuditView>,
        headers(("link" = String, description = "The next page, if there is one"))))
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    Strict(query): Strict<AuditQuery>,
) -> Result<impl IntoResponse, Problem> {
    let page = state.engine().repository().audit(query.since, query.page).await?;
    let views: Vec<AuditView> = page.entries.into_iter().map(Into::into).collect();
    Ok((AppendHeaders(List::Audit.link(&uri, page.next)?), Json(views)))
}
