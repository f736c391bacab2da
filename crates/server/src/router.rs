//! All routes, each stated once for the router and for the OpenAPI document, and the layers around them.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::get;
use oxbatch_core::access::Right;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::access::{Needed, administer, data, open, operate, view};
#[cfg(feature = "metrics")]
use crate::api::metrics;
use crate::api::{
    all_events, audit, backfills, bulk, events, executions, fires, graph, health, instances, jobs, launch,
    launch_pauses, login, logs, nodes, notices, operate, parameters_schema, preview, rerun, restart, schedules, skips,
    steps,
};
#[cfg(feature = "docs")]
use crate::docs;
use crate::error::{Problem, ProblemKind};
use crate::middleware::{access, audit as audit_log, body_size, hosts, load, panics, problems, security_headers};
use crate::openapi;
use crate::state::AppState;

/// The target of the redirect from `/`: the page for people, or the document where there is none.
pub(crate) const HOME: &str = if cfg!(feature = "docs") { "/docs/" } else { "/openapi.json" };

/// The rights of what the document does not describe: the page for people, and the document itself.
pub(crate) const UNDOCUMENTED: [(&str, Needed); 6] = [
    ("/", Needed::Right(Right::View)),
    ("/login", Needed::Nothing),
    ("/openapi.json", Needed::Right(Right::View)),
    ("/docs", Needed::Nothing),
    ("/docs/", Needed::Nothing),
    ("/docs/{*file}", Needed::Nothing),
];

/// The documented calls: method and path stand on their handlers, the right that each needs stands here.
fn calls() -> OpenApiRouter<AppState> {
    let calls = OpenApiRouter::with_openapi(openapi::head());
    #[cfg(feature = "metrics")]
    let calls = calls.routes(view(routes!(metrics::scrape)));
    service(schedules(executions(calls)))
}

/// Jobs, executions, instances.
fn executions(calls: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
    calls
        .routes(view(routes!(jobs::list)))
        .routes(view(routes!(jobs::get)))
        .routes(view(routes!(parameters_schema::get)))
        .routes(view(routes!(graph::of_job)))
        .routes(view(routes!(graph::of_execution)))
        .routes(operate(routes!(launch::launch)))
        .routes(view(routes!(launch_pauses::list)))
        .routes(operate(routes!(launch_pauses::pause_job)))
        .routes(operate(routes!(launch_pauses::resume_job)))
        .routes(operate(routes!(launch_pauses::pause_all)))
        .routes(operate(routes!(launch_pauses::resume_all)))
        .routes(data(routes!(preview::preview)))
        .routes(view(routes!(executions::list)))
        .routes(view(routes!(executions::get)))
        .routes(view(routes!(events::follow)))
        .routes(view(routes!(all_events::follow)))
        .routes(data(routes!(logs::read)))
        .routes(view(routes!(steps::list)))
        .routes(data(routes!(skips::list)))
        .routes(operate(routes!(rerun::rerun)))
        .routes(operate(routes!(operate::stop)))
        .routes(view(routes!(restart::plan)))
        .routes(operate(routes!(restart::restart)))
        .routes(operate(routes!(operate::abandon)))
        .routes(view(routes!(instances::list)))
        .routes(view(routes!(instances::count)))
        .routes(view(routes!(instances::get)))
        .routes(view(routes!(instances::executions)))
        .routes(view(routes!(instances::parameters)))
}

/// Schedules, fires, backfills, notices.
fn schedules(calls: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
    calls
        .routes(view(routes!(schedules::list)))
        .routes(operate(routes!(schedules::add)))
        .routes(view(routes!(schedules::get)))
        .routes(operate(routes!(schedules::remove)))
        .routes(operate(routes!(schedules::pause)))
        .routes(operate(routes!(schedules::resume)))
        .routes(operate(routes!(schedules::run)))
        .routes(view(routes!(fires::of_schedule)))
        .routes(view(routes!(fires::list)))
        .routes(operate(routes!(fires::run)))
        .routes(view(routes!(backfills::plan)))
        .routes(operate(routes!(backfills::start)))
        .routes(view(routes!(backfills::list)))
        .routes(view(routes!(backfills::get)))
        .routes(operate(routes!(backfills::cancel)))
        .routes(view(routes!(notices::list)))
        .routes(view(routes!(notices::attempts)))
        .routes(operate(routes!(notices::test)))
        .routes(operate(routes!(schedules::pause_job)))
        .routes(operate(routes!(schedules::resume_job)))
        .routes(view(routes!(schedules::pauses)))
        .routes(operate(routes!(schedules::pause_all)))
        .routes(operate(routes!(schedules::resume_all)))
}

/// Bulk work, nodes, the audit log, logins, health.
fn service(calls: OpenApiRouter<AppState>) -> OpenApiRouter<AppState> {
    calls
        .routes(view(routes!(nodes::list)))
        .routes(administer(routes!(nodes::drain)))
        .routes(administer(routes!(nodes::undrain)))
        .routes(operate(routes!(bulk::start)))
        .routes(view(routes!(bulk::list)))
        .routes(view(routes!(bulk::get)))
        .routes(view(routes!(bulk::results)))
        .routes(operate(routes!(bulk::cancel)))
        .routes(administer(routes!(audit::list)))
        .routes(open(routes!(login::log_in)))
        .routes(view(routes!(login::log_out)))
        .routes(open(routes!(health::live)))
        .routes(open(routes!(health::ready)))
}

/// The descriptions of the documented calls.
pub(crate) fn described() -> OpenApi {
    calls().into_openapi()
}

/// The whole interface as one service.
pub fn router(state: AppState) -> Router {
    let (calls, _) = calls().split_for_parts();
    with_pages(with_docs(calls))
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
        .layer(from_fn_with_state(state.clone(), audit_log::record))
        .layer(from_fn_with_state(state.clone(), access::check))
        .layer(from_fn_with_state(state.clone(), load::bound))
        .layer(from_fn_with_state(state.clone(), hosts::check))
        .layer(from_fn(panics::catch))
        .layer(from_fn_with_state(state.clone(), problems::write))
        .layer(from_fn(security_headers::set))
        .with_state(state)
}

/// The pages for people.
#[cfg(feature = "pages")]
fn with_pages(router: Router<AppState>) -> Router<AppState> {
    crate::pages::with_pages(router)
}

/// The pages for people are not a part of this build, but for the one that begins a session.
#[cfg(not(feature = "pages"))]
fn with_pages(router: Router<AppState>) -> Router<AppState> {
    router.route("/", get(async || Redirect::to(HOME))).route("/login", get(crate::api::login_page::page))
}

/// The pages for people: method, path, and the right that each needs; `None` for those that anybody may ask.
#[cfg(feature = "pages")]
pub fn pages() -> Vec<(axum::http::Method, &'static str, Option<Right>)> {
    let right = |needed| match needed {
        Needed::Nothing => None,
        Needed::Right(right) => Some(right),
    };
    crate::pages::all().into_iter().map(|route| (route.method, route.path, right(route.needed))).collect()
}

/// The page of the interface's description.
#[cfg(feature = "docs")]
fn with_docs(router: Router<AppState>) -> Router<AppState> {
    router
        .route("/docs", get(async || Redirect::to("/docs/")))
        .route("/docs/", get(docs::index))
        .route("/docs/{*file}", get(docs::file))
}

/// The page of the interface's description is not a part of this build.
#[cfg(not(feature = "docs"))]
fn with_docs(router: Router<AppState>) -> Router<AppState> {
    router
}
