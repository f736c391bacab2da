//! All routes, each stated once for the router and for the OpenAPI document, and the layers around them.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[cfg(feature = "metrics")]
use crate::api::metrics;
use crate::api::{
    all_events, backfills, events, executions, fires, graph, health, instances, jobs, launch, nodes, notices, operate,
    parameters_schema, preview, rerun, restart, schedules, skips, steps,
};
#[cfg(feature = "docs")]
use crate::docs;
use crate::error::{Problem, ProblemKind};
use crate::middleware::{body_size, hosts, load, panics, problems, security_headers};
use crate::openapi;
use crate::state::AppState;

/// The target of the redirect from `/`: the page for people, or the document where there is none.
const HOME: &str = if cfg!(feature = "docs") { "/docs/" } else { "/openapi.json" };

/// The documented calls: method and path stand on their handlers.
fn calls() -> OpenApiRouter<AppState> {
    let calls = OpenApiRouter::with_openapi(openapi::head());
    #[cfg(feature = "metrics")]
    let calls = calls.routes(routes!(metrics::scrape));
    calls
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::get))
        .routes(routes!(parameters_schema::get))
        .routes(routes!(graph::of_job))
        .routes(routes!(graph::of_execution))
        .routes(routes!(launch::launch))
        .routes(routes!(preview::preview))
        .routes(routes!(executions::list))
        .routes(routes!(executions::get))
        .routes(routes!(events::follow))
        .routes(routes!(all_events::follow))
        .routes(routes!(steps::list))
        .routes(routes!(skips::list))
        .routes(routes!(rerun::rerun))
        .routes(routes!(operate::stop))
        .routes(routes!(restart::plan))
        .routes(routes!(restart::restart))
        .routes(routes!(operate::abandon))
        .routes(routes!(instances::list))
        .routes(routes!(instances::count))
        .routes(routes!(instances::get))
        .routes(routes!(instances::executions))
        .routes(routes!(instances::parameters))
        .routes(routes!(nodes::list))
        .routes(routes!(nodes::drain))
        .routes(routes!(nodes::undrain))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::add))
        .routes(routes!(schedules::get))
        .routes(routes!(schedules::remove))
        .routes(routes!(schedules::pause))
        .routes(routes!(schedules::resume))
        .routes(routes!(schedules::run))
        .routes(routes!(fires::of_schedule))
        .routes(routes!(fires::list))
        .routes(routes!(fires::run))
        .routes(routes!(backfills::plan))
        .routes(routes!(backfills::start))
        .routes(routes!(backfills::list))
        .routes(routes!(backfills::get))
        .routes(routes!(backfills::cancel))
        .routes(routes!(notices::list))
        .routes(routes!(notices::attempts))
        .routes(routes!(schedules::pause_job))
        .routes(routes!(schedules::resume_job))
        .routes(routes!(schedules::pauses))
        .routes(routes!(schedules::pause_all))
        .routes(routes!(schedules::resume_all))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
}

/// The descriptions of the documented calls.
pub(crate) fn described() -> OpenApi {
    calls().into_openapi()
}

/// The whole interface as one service.
pub fn router(state: AppState) -> Router {
    let (calls, _) = calls().split_for_parts();
    with_pages(calls)
        .route("/", get(async || Redirect::to(HOME)))
        .route("/openapi.json", get(openapi::get))
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
        .layer(from_fn_with_state(state.clone(), problems::write))
        .layer(from_fn(security_headers::set))
        .with_state(state)
}

/// The page for people.
#[cfg(feature = "docs")]
fn with_pages(router: Router<AppState>) -> Router<AppState> {
    router
        .route("/docs", get(async || Redirect::to("/docs/")))
        .route("/docs/", get(docs::index))
        .route("/docs/{*file}", get(docs::file))
}

/// The page for people is not a part of this build.
#[cfg(not(feature = "docs"))]
fn with_pages(router: Router<AppState>) -> Router<AppState> {
    router
}
