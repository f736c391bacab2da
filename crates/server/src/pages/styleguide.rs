//! The parts of which pages are made, light beside dark; in a debug build alone.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use oxbatch_core::execution::Status;
use oxbatch_core::repository::{ExecutionFilter, PageRequest};

use super::assets::scheme_classes;
use super::command::Commands;
use super::flow;
use super::frame::{Frame, Visitor, page};
use super::parts::{Badge, Markup, Moment};
use super::trend;
use crate::error::Problem;
use crate::state::AppState;
use crate::view::GraphView;

#[derive(Template)]
#[template(path = "styleguide.html")]
struct Styleguide {
    frame: Frame,
    parts: Parts,
    /// The classes that hold a part of the page in one scheme, each with a picture of a flow.
    schemes: [(&'static str, Markup); 2],
    colours: Vec<String>,
}

/// The material of the parts.
struct Parts {
    statuses: Vec<Badge>,
    status: Badge,
    at: Moment,
    trend: Markup,
    commands: Commands,
}

/// The page.
pub(crate) async fn show(State(state): State<AppState>, visitor: Visitor) -> Result<Response, Problem> {
    let engine = state.engine();
    let limit = u32::try_from(trend::RUNS).unwrap_or(u32::MAX);
    let page_of = PageRequest { before: None, limit };
    let recent = engine.repository().executions(ExecutionFilter::default(), page_of).await?.executions;
    let jobs = engine.registry().iter();
    let largest = jobs.max_by_key(|job| job.steps().len());
    let parts = Parts {
        statuses: Status::ALL.map(|status| Badge(status.into())).to_vec(),
        status: Badge(Status::Failed.into()),
        at: Moment::at(engine.config().clock.now()),
        trend: trend::picture(&recent),
        commands: Commands {
            oxbatch: "oxbatch launch BookTrades day=2026-11-29".to_owned(),
            curl: format!("curl -X POST http://{}/jobs/BookTrades/launch", visitor.host),
        },
    };
    let flow = largest.map(|job| flow::picture(&GraphView::new(job, None, &Default::default()))).unwrap_or_default();
    let (classes, colours) = scheme_classes();
    // Each picture has marks of its own.
    let schemes = classes.map(|class| (class, Markup(flow.0.replace("arrow", &format!("arrow-{class}")))));
    page(&Styleguide { frame: Frame::new("Style guide", "", visitor), parts, schemes, colours })
}
