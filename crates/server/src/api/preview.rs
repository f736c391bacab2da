//! The preview of the first items of a job, without running it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use oxbatch_core::engine::{MAX_PREVIEW_ITEMS, PreviewOptions};
use oxbatch_core::job::GivenParameters;

use super::jobs::known;
use crate::columns::ColumnMask;
use crate::error::{Problem, ProblemKind};
use crate::extract::body::LaunchBody;
use crate::extract::query::shorten;
use crate::extract::{PathName, QueryReader, Strict, StrictQuery};
use crate::state::AppState;
use crate::view::{PreviewView, ValueView};

/// Seconds after which another preview may have ended.
const RETRY_SECONDS: u32 = 5;

/// The query of a preview.
pub(crate) struct PreviewQuery {
    options: PreviewOptions,
}

impl StrictQuery for PreviewQuery {
    fn read(reader: &mut QueryReader) -> Self {
        let mut options = PreviewOptions::default();
        if let Some(items) = reader.one("items", items) {
            options.items = items;
        }
        options.step = reader.one("step", |text| Ok(text.to_owned()));
        Self { options }
    }
}

fn items(text: &str) -> Result<usize, String> {
    let items = text.parse().ok().filter(|items| (1..=MAX_PREVIEW_ITEMS).contains(items));
    items.ok_or_else(|| format!("must be a whole number from 1 to {MAX_PREVIEW_ITEMS}, not '{}'", shorten(text)))
}

/// Show what a job makes of its first items.
///
/// Reads and processes the first items of a chunk step and shows input next to output, filtered and failing items.
/// Nothing is written and nothing is stored: there is no execution. Within 30 seconds; what has been seen by then is
/// shown.
#[utoipa::path(
    post, path = "/jobs/{name}/preview", tag = "jobs", operation_id = "preview_job",
    params(
        ("name" = String, Path, description = "Name of the job", min_length = 1),
        ("items" = Option<usize>, Query, description = "Most items; 20 unless asked", minimum = 1, maximum = 500),
        ("step" = Option<String>, Query, description = "Name of the step; the first chunk step unless asked", pattern = "^[^\\u0000\\ufffd]*$"),
    ),
    request_body(
        description = "The parameters by name as for a launch, or nothing",
        content((std::collections::HashMap<String, ValueView> = "application/json"))
    ),
    responses(
        (status = 200, description = "The first items; an error of the input is shown in it", body = PreviewView),
        (status = 404, description = "There is no such job"),
        (status = 408, description = "The body came too slowly"),
        (status = 409, description = "The job has nothing to preview; `detail` says why"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "The parameters do not fit; `errors` names each that is wrong"),
        (status = 429, description = "As many previews run as may"),
    )
)]
pub(crate) async fn preview(
    State(state): State<AppState>,
    PathName(job_name): PathName,
    Strict(query): Strict<PreviewQuery>,
    mask: ColumnMask,
    LaunchBody(given): LaunchBody,
) -> Result<Json<PreviewView>, Problem> {
    Ok(Json(previewed(&state, &job_name, given, query.options, &mask).await?))
}

/// The preview of a job, within the number of previews that may run.
pub(crate) async fn previewed(
    state: &AppState,
    job_name: &str,
    given: GivenParameters,
    options: PreviewOptions,
    mask: &ColumnMask,
) -> Result<PreviewView, Problem> {
    let engine = state.engine();
    let job = known(engine, job_name)?;
    // Held until the last of the author's code has ended, also when nobody waits for it any more.
    let slot = Arc::clone(state.previews()).try_acquire_owned().map_err(|_| {
        let detail = "as many previews run as may; try again later";
        Problem::new(ProblemKind::TooManyPreviews, detail).retry_after(RETRY_SECONDS)
    })?;
    let shown = engine.preview(job, given, options, slot).await?;
    Ok(PreviewView::new(job_name.to_owned(), mask.preview(shown)))
}
