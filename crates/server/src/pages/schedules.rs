//! The schedules: what launches which job when, what holds it, and how its last launch ended.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::form::Form;
use super::frame::{Frame, Visitor, page};
use super::names::Names;
use super::parts::Badge;
use super::zoned::in_zone;
use crate::error::Problem;
use crate::state::AppState;
use crate::view::ScheduleView;

#[derive(Template)]
#[template(path = "schedules.html")]
struct SchedulesPage {
    frame: Frame,
    schedules: Names<ScheduleRow>,
}

struct ScheduleRow {
    when: String,
    next: Option<String>,
    last: Option<(i64, Badge)>,
    view: ScheduleView,
}

/// The trigger of a schedule in words.
pub(super) fn when(view: &ScheduleView) -> String {
    match (&view.cron, &view.file) {
        (_, Some(file)) => format!("for files {}", file.pattern),
        (Some(cron), None) => format!("{cron} in {}", view.zone.as_deref().unwrap_or("UTC")),
        (None, None) => "not known".to_owned(),
    }
}

/// The last execution of a schedule.
pub(super) fn last(view: &ScheduleView) -> Option<(i64, Badge)> {
    Some((view.last_execution_id?, Badge(view.last_status?)))
}

/// The list; `text=` searches it.
pub(crate) async fn show(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let form = Form::of_query(query.as_deref());
    let found = state.engine().scheduler().list(1).await?;
    let row = |view: ScheduleView| ScheduleRow {
        when: when(&view),
        next: view.next_fires.first().map(|next| in_zone(next, view.zone.as_deref())),
        last: last(&view),
        view,
    };
    let schedules = found.into_iter().map(|status| row(status.into()));
    let schedules = Names::of(schedules, &form, |row| [&row.view.name, &row.view.job_name]);
    page(&SchedulesPage { schedules, frame: Frame::new("Schedules", "schedules", visitor).live("poll") })
}
