//! The audit log: who has changed what, from where, and what came of it.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::form::Form;
use super::frame::{Frame, Visitor, page};
use super::parts::Moment;
use crate::api::audit::AuditQuery;
use crate::api::page::List;
use crate::error::Problem;
use crate::extract::Strict;
use crate::state::AppState;
use crate::view::AuditView;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    entries: Vec<(Moment, AuditView)>,
    since: String,
    next: Option<String>,
}

/// A page of the log.
pub(crate) async fn show(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let form = Form::of_query(query.as_deref());
    let given = form.query_without("");
    let asked: AuditQuery = Strict::of(&given)?;
    let found = state.engine().repository().audit(asked.since, asked.page).await?;
    let entry = |view: AuditView| (Moment::of(&view.time), view);
    page(&AuditPage {
        frame: Frame::new("Audit", "audit", visitor),
        entries: found.entries.into_iter().map(|it| entry(it.into())).collect(),
        since: form.get("since").unwrap_or_default().to_owned(),
        next: found.next.map(|next| List::Audit.query(&given, next)),
    })
}
