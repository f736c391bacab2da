//! The routes of the pages: each with its method, its path, the right that it needs, and the name of what it does.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodRouter, get, post};
use oxbatch_core::access::Right;

use super::{
    actions, assets, audit, backfills, bulk, context, dashboard, execution, executions, job, jobs, launch, launches,
    log, login, nodes, notices, preview, schedule, schedules, skips,
};
use crate::access::Needed;
use crate::state::AppState;

/// A route of a page.
pub(crate) struct PageRoute {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) needed: Needed,
    /// The name of a change, as the call of the interface that does the same has it: the audit log shows it.
    pub(crate) action: &'static str,
    handler: MethodRouter<AppState>,
}

/// A page that shows something.
fn shows<H: Handler<T, AppState>, T: 'static>(path: &'static str, right: Right, handler: H) -> PageRoute {
    PageRoute { method: Method::GET, path, needed: Needed::Right(right), action: "", handler: get(handler) }
}

/// A page that anybody may see.
fn open<H: Handler<T, AppState>, T: 'static>(path: &'static str, handler: H) -> PageRoute {
    PageRoute { method: Method::GET, path, needed: Needed::Nothing, action: "", handler: get(handler) }
}

/// A form that does something.
fn does<H: Handler<T, AppState>, T: 'static>(
    path: &'static str,
    right: Right,
    action: &'static str,
    handler: H,
) -> PageRoute {
    PageRoute { method: Method::POST, path, needed: Needed::Right(right), action, handler: post(handler) }
}

/// All routes of pages.
pub(crate) fn all() -> Vec<PageRoute> {
    let mut all = vec![
        shows("/", Right::View, dashboard::home),
        open("/login", login::show),
        open("/static/{file}", assets::file),
        PageRoute {
            method: Method::POST,
            path: "/ui/login",
            needed: Needed::Nothing,
            action: "log_in",
            handler: post(login::log_in),
        },
        does("/ui/logout", Right::View, "log_out", login::log_out),
    ];
    all.extend(of_executions());
    all.extend(of_jobs());
    all.extend(of_service());
    #[cfg(debug_assertions)]
    all.push(shows("/styleguide", Right::View, super::styleguide::show));
    all
}

fn of_executions() -> [PageRoute; 14] {
    [
        shows("/ui/executions", Right::View, executions::show),
        shows("/ui/executions/{id}", Right::View, execution::show),
        shows("/ui/executions/{id}/log", Right::Data, log::show),
        shows("/ui/executions/{id}/context", Right::Data, context::show),
        shows("/ui/executions/{id}/skips", Right::Data, skips::show),
        does("/ui/executions/{id}/stop", Right::Operate, "stop_execution", actions::stop),
        does("/ui/executions/{id}/abandon", Right::Operate, "abandon_execution", actions::abandon),
        does("/ui/executions/{id}/restart", Right::Operate, "restart_execution", actions::restart),
        does("/ui/executions/{id}/skips/rerun", Right::Operate, "rerun_skips", actions::rerun),
        shows("/ui/bulk", Right::View, bulk::list),
        shows("/ui/bulk/plan", Right::Operate, bulk::plan),
        shows("/ui/bulk/{id}", Right::View, bulk::show),
        does("/ui/bulk", Right::Operate, "start_bulk", bulk::start),
        does("/ui/bulk/{id}/cancel", Right::Operate, "cancel_bulk", bulk::cancel),
    ]
}

fn of_jobs() -> [PageRoute; 18] {
    [
        shows("/ui/jobs", Right::View, jobs::show),
        shows("/ui/jobs/{name}", Right::View, job::show),
        does("/ui/jobs/{name}/launch", Right::Operate, "launch_job", launch::launch),
        does("/ui/jobs/{name}/launches/pause", Right::Operate, "pause_launches_of_job", launches::pause_job),
        does("/ui/jobs/{name}/launches/resume", Right::Operate, "resume_launches_of_job", launches::resume_job),
        does("/ui/launches/pause", Right::Operate, "pause_all_launches", launches::pause_all),
        does("/ui/launches/resume", Right::Operate, "resume_all_launches", launches::resume_all),
        does("/ui/jobs/{name}/preview", Right::Data, "preview_job", preview::preview),
        shows("/ui/schedules", Right::View, schedules::show),
        shows("/ui/schedules/{name}", Right::View, schedule::show),
        does("/ui/schedules/{name}/pause", Right::Operate, "pause_schedule", schedule::pause),
        does("/ui/schedules/{name}/resume", Right::Operate, "resume_schedule", schedule::resume),
        does("/ui/schedules/{name}/run", Right::Operate, "run_schedule", schedule::run),
        does("/ui/fires/{id}/run", Right::Operate, "run_fire", schedule::run_fire),
        shows("/ui/backfills", Right::View, backfills::show),
        shows("/ui/backfills/plan", Right::Operate, backfills::plan),
        does("/ui/backfills", Right::Operate, "start_backfill", backfills::start),
        does("/ui/backfills/{id}/cancel", Right::Operate, "cancel_backfill", backfills::cancel),
    ]
}

fn of_service() -> [PageRoute; 6] {
    [
        shows("/ui/nodes", Right::View, nodes::show),
        does("/ui/nodes/{id}/drain", Right::Administer, "drain_node", nodes::drain),
        does("/ui/nodes/{id}/undrain", Right::Administer, "undrain_node", nodes::undrain),
        shows("/ui/audit", Right::Administer, audit::show),
        shows("/ui/notices", Right::View, notices::show),
        does("/ui/notices/test/{name}", Right::Operate, "test_notice_channel", notices::test),
    ]
}

/// The router with the pages.
pub(crate) fn with_pages(router: Router<AppState>) -> Router<AppState> {
    all().into_iter().fold(router, |router, route| router.route(route.path, route.handler))
}
