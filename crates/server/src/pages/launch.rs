//! The launch of a form: what does not fit is shown at its field.

use axum::extract::State;
use axum::response::Response;

use super::actions::to_execution;
use super::form::Form;
use super::frame::Visitor;
use super::job::{Shown, answer};
use super::launch_form::{given, options};
use crate::error::Problem;
use crate::extract::PathName;
use crate::state::AppState;

/// Launches a job.
pub(crate) async fn launch(
    State(state): State<AppState>,
    PathName(name): PathName,
    visitor: Visitor,
    form: Form,
) -> Result<Response, Problem> {
    match launched(&state, &name, &form).await {
        Ok(response) => Ok(response),
        // The form with what is wrong, unless there is no such job or the service itself has failed.
        Err(problem) if problem.kind.status().is_client_error() && problem.kind.status() != 404 => {
            answer(&state, &name, visitor, Shown { form, problem: Some(problem), ..Shown::default() }).await
        }
        Err(problem) => Err(problem),
    }
}

async fn launched(state: &AppState, name: &str, form: &Form) -> Result<Response, Problem> {
    let launched = state.engine().launch(name, given(form)?, options(form)?).await?;
    Ok(to_execution(launched.execution.id))
}
