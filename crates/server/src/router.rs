//! All routes, and the layers around them.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::api::{
    all_events, events, executions, health, instances, jobs, launch, nodes, operate, preview, rerun, skips, steps,
};
use crate::error::{Problem, ProblemKind};
use crate::middleware::{body_size, hosts, load, panics, problems, security_headers};
use crate::state::AppState;
use crate::{docs, openapi};

/// The whole interface as one service.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/", get(async || Redirect::to("/docs/")))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{name}", get(jobs::get))
        .route("/jobs/{name}/launch", post(launch::launch))
        .route("/jobs/{name}/preview", post(preview::look))
        .route("/executions", get(executions::list))
        .route("/executions/{id}", get(executions::get))
        .route("/executions/{id}/events", get(events::follow))
        .route("/events", get(all_events::follow))
        .route("/executions/{id}/steps", get(steps::list))
        .route("/executions/{id}/stop", post(operate::stop))
        .route("/executions/{id}/restart", post(launch::restart))
        .route("/executions/{id}/abandon", post(operate::abandon))
        .route("/executions/{id}/skips/rerun", post(rerun::rerun))
        .route("/steps/{id}/skips", get(skips::list))
        .route("/nodes", get(nodes::list))
        .route("/nodes/{id}/drain", post(nodes::drain))
        .route("/nodes/{id}/undrain", post(nodes::undrain))
        .route("/instances", get(instances::list))
        .route("/instances/{id}", get(instances::get))
        .route("/instances/{id}/executions", get(instances::executions))
        .route("/instances/{id}/parameters", get(instances::parameters))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/openapi.json", get(openapi::get))
        .route("/docs", get(async || Redirect::to("/docs/")))
        .route("/docs/", get(docs::index))
        .route("/docs/{*file}", get(docs::file))
        .fallback(async || Problem::new(ProblemKind::NothingHere, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                ProblemKind::MethodNotAllowed,
                "this path does not take this method; header allow lists those it takes",
            )
        })
        // The last layer is the first that a request meets.
        .layer(from_fn_with_state(state.clone(), body_size::bound))
        .layer(from_fn_with_state(state.clone(), load::bound))
        .layer(from_fn_with_state(state.clone(), hosts::check))
        .layer(from_fn(panics::catch))
        .layer(from_fn(problems::write))
        .layer(from_fn(security_headers::set))
        .with_state(state)
}
