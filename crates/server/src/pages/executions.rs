//! The list of executions: filters that stand in the address, pages by key, and what can be done with all that match.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use oxbatch_core::execution::Status;

use super::form::Form;
use super::frame::{Frame, Visitor, page_with};
use super::rows::Row;
use crate::access::Sight;
use crate::api::executions::{ExecutionsQuery, found};
use crate::api::page::List;
use crate::error::{Problem, ProblemKind};
use crate::extract::Strict;
use crate::state::AppState;
use crate::view::StatusView;

/// Most jobs that are offered as a filter.
const JOBS: usize = 500;

#[derive(Template)]
#[template(path = "executions.html")]
struct ExecutionsPage {
    frame: Frame,
    rows: Vec<Row>,
    jobs: Vec<String>,
    statuses: Vec<Choice>,
    form: Form,
    /// The query of this page.
    given: String,
    /// The query of the filters alone.
    filter: String,
    next: Option<String>,
    is_first: bool,
    problem: Option<String>,
}

/// A status that can be filtered by.
struct Choice {
    status: StatusView,
    is_chosen: bool,
}

impl ExecutionsPage {
    fn text<'a>(&'a self, name: &str) -> &'a str {
        self.form.get(name).unwrap_or_default()
    }

    fn is_filtered(&self) -> bool {
        !self.filter.is_empty()
    }
}

/// The list by the query of the form, in which fields are left empty.
pub(crate) async fn show(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let form = Form::of_query(query.as_deref());
    let given = form.query_without("");
    let engine = state.engine();
    let (rows, next, problem) = match rows(&state, &given, &visitor.sight).await {
        Ok((rows, next)) => (rows, next, None),
        Err(problem) if matches!(problem.kind, ProblemKind::InvalidQuery | ProblemKind::JobNotFound) => {
            (Vec::new(), None, Some(problem.detail))
        }
        Err(problem) => return Err(problem),
    };
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let chosen = form.all("status");
    let choice =
        |status: Status| Choice { status: status.into(), is_chosen: chosen.iter().any(|it| it == status.as_str()) };
    let frame = Frame::new("Executions", "executions", visitor);
    let is_first = form.get("cursor").is_none();
    let page = ExecutionsPage {
        frame: if is_first && problem.is_none() { frame.live("all") } else { frame },
        rows,
        jobs: engine.registry().names().into_iter().take(JOBS).collect(),
        statuses: Status::ALL.into_iter().map(choice).collect(),
        given,
        filter: form.query_without("cursor"),
        form,
        next,
        is_first,
        problem,
    };
    page_with(status, &page)
}

async fn rows(state: &AppState, query: &str, sight: &Sight) -> Result<(Vec<Row>, Option<String>), Problem> {
    let asked: ExecutionsQuery = Strict::of(query)?;
    let engine = state.engine();
    if let Some(name) = &asked.filter.job_name {
        engine.check_job_name(name).await?;
    }
    let found = found(engine, asked.filter, asked.page, sight).await?;
    let mut rows = Vec::with_capacity(found.executions.len());
    for execution in found.executions {
        rows.push(Row::listed(engine, execution).await?);
    }
    Ok((rows, found.next.map(|next| List::Executions.query(query, next))))
}
