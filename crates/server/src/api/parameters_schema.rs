//! The JSON Schema of the parameters of a job.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::jobs::known;
use crate::error::Problem;
use crate::extract::{NoQuery, PathName, Strict};
use crate::state::AppState;

/// Media type of a JSON Schema.
const SCHEMA_JSON: &str = "application/schema+json";

/// Show the JSON Schema of a job's parameters.
///
/// Draft 2020-12, for forms and checks before a launch. The launch has the last word: the schema does not know the
/// rules over several parameters that a job may have, nor that `1.0` is no INTEGER and 30 February no day.
#[utoipa::path(
    get, path = "/jobs/{name}/parameters-schema", tag = "jobs", operation_id = "get_parameters_schema",
    params(("name" = String, Path, description = "Name of the job", min_length = 1)),
    responses(
        (status = 200, description = "The schema of the object of parameters", content_type = "application/schema+json",
            body = Object),
        (status = 404, description = "There is no such job"),
    )
)]
pub(crate) async fn get(
    State(state): State<AppState>,
    PathName(name): PathName,
    Strict(NoQuery): Strict<NoQuery>,
) -> Result<Response, Problem> {
    let job = known(state.engine(), &name)?;
    let mut response = job.parameters_schema().to_string().into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(SCHEMA_JSON));
    Ok(response)
}
