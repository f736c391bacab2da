//! All routes, each stated once for the router and for the OpenAPI document, and the layers around them.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
#[cfg(any(feature = "docs", not(feature = "pages")))]
use axum::response::Redirect;
use axum::routing::get;
use oxbatch_core::access::Right;
use utoipa::openapi::{OpenApi, Paths};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use crate::access::{Needed, administer, data, open, operate, view};
#[cfg(feature = "metrics")]
use crate::api::metrics;
use crate::api::{
    all_events, audit, backfills, bulk, context, events, executions, fires, graph, health, instances, jobs, launch,
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

/// Takes the documented calls one by one. Who serves them drops their descriptions call by call: all of them together
/// have some megabytes.
type Add<'a> = &'a mut dyn FnMut(UtoipaMethodRouter<AppState>);

/// The documented calls: method and path stand on their handlers, the right that each needs stands here.
fn calls(add: Add<'_>) {
    #[cfg(feature = "metrics")]
    add(view(routes!(metrics::scrape)));
    executions(add);
    schedules(add);
    service(add);
}

/// Jobs, executions, instances.
fn executions(add: Add<'_>) {
    add(view(routes!(jobs::list)));
    add(view(routes!(jobs::get)));
    add(view(routes!(parameters_schema::get)));
    add(view(routes!(graph::of_job)));
    add(view(routes!(graph::of_execution)));
    add(operate(routes!(launch::launch)));
    add(view(routes!(launch_pauses::list)));
    add(operate(routes!(launch_pauses::pause_job)));
    add(operate(routes!(launch_pauses::resume_job)));
    add(operate(routes!(launch_pauses::pause_all)));
    add(operate(routes!(launch_pauses::resume_all)));
    add(data(routes!(preview::preview)));
    add(view(routes!(executions::list)));
    add(view(routes!(executions::get)));
    add(view(routes!(events::follow)));
    add(view(routes!(all_events::follow)));
    add(data(routes!(logs::read)));
    add(view(routes!(steps::list)));
    add(data(routes!(context::get)));
    add(data(routes!(skips::list)));
    add(operate(routes!(rerun::rerun)));
    add(operate(routes!(operate::stop)));
    add(view(routes!(restart::plan)));
    add(operate(routes!(restart::restart)));
    add(operate(routes!(operate::abandon)));
    add(view(routes!(instances::list)));
    add(view(routes!(instances::count)));
    add(view(routes!(instances::get)));
    add(view(routes!(instances::executions)));
    add(view(routes!(instances::parameters)));
}

/// Schedules, fires, backfills, notices.
fn schedules(add: Add<'_>) {
    add(view(routes!(schedules::list)));
    add(operate(routes!(schedules::add)));
    add(view(routes!(schedules::get)));
    add(operate(routes!(schedules::remove)));
    add(operate(routes!(schedules::pause)));
    add(operate(routes!(schedules::resume)));
    add(operate(routes!(schedules::run)));
    add(view(routes!(fires::of_schedule)));
    add(view(routes!(fires::list)));
    add(operate(routes!(fires::run)));
    add(view(routes!(backfills::plan)));
    add(operate(routes!(backfills::start)));
    add(view(routes!(backfills::list)));
    add(view(routes!(backfills::get)));
    add(operate(routes!(backfills::cancel)));
    add(view(routes!(notices::list)));
    add(view(routes!(notices::attempts)));
    add(operate(routes!(notices::test)));
    add(operate(routes!(schedules::pause_job)));
    add(operate(routes!(schedules::resume_job)));
    add(view(routes!(schedules::pauses)));
    add(operate(routes!(schedules::pause_all)));
    add(operate(routes!(schedules::resume_all)));
}

/// Bulk work, nodes, the audit log, logins, health.
fn service(add: Add<'_>) {
    add(view(routes!(nodes::list)));
    add(administer(routes!(nodes::drain)));
    add(administer(routes!(nodes::undrain)));
    add(operate(routes!(bulk::start)));
    add(view(routes!(bulk::list)));
    add(view(routes!(bulk::get)));
    add(view(routes!(bulk::results)));
    add(operate(routes!(bulk::cancel)));
    add(administer(routes!(audit::list)));
    add(open(routes!(login::log_in)));
    add(view(routes!(login::log_out)));
    add(open(routes!(health::live)));
    add(open(routes!(health::ready)));
}

/// The descriptions of the documented calls.
pub(crate) fn described() -> OpenApi {
    let mut described = OpenApiRouter::with_openapi(openapi::head());
    calls(&mut |routes| described = std::mem::take(&mut described).routes(routes));
    described.into_openapi()
}

/// The descriptions of the documented calls, one by one.
pub(crate) fn each_description(mut see: impl FnMut(Paths)) {
    calls(&mut |(_, paths, _)| see(paths));
}

fn served() -> Router<AppState> {
    let mut router = Router::new();
    calls(&mut |(_, paths, methods)| {
        for path in paths.paths.keys() {
            router = std::mem::take(&mut router).route(path, methods.clone());
        }
    });
    router
}

/// The whole interface as one service.
pub fn router(state: AppState) -> Router {
    with_pages(with_docs(served()))
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
