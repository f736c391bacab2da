//! The preview within the form of a launch: the first records in and out side by side; nothing is written.

use axum::extract::State;
use axum::response::Response;
use oxbatch_core::engine::PreviewOptions;
use serde_json::Value;

use super::form::Form;
use super::frame::Visitor;
use super::job::{Shown, answer};
use super::launch_form::given;
use super::skip_groups::phase;
use super::text::shorten;
use crate::api::preview::previewed;
use crate::error::Problem;
use crate::extract::PathName;
use crate::state::AppState;
use crate::view::{PreviewEndView, PreviewItemView, PreviewResultView, PreviewView};

/// Most characters of a record in or out.
const RECORD_CHARS: usize = 1_200;

/// A preview as it is shown.
#[derive(Debug)]
pub(super) struct PreviewPart {
    pub(super) step: String,
    pub(super) rows: Vec<PreviewRow>,
    pub(super) outputs: usize,
    pub(super) filtered: usize,
    pub(super) failed: usize,
    pub(super) end: String,
    pub(super) is_bad_end: bool,
}

/// A record in and out.
#[derive(Debug)]
pub(super) struct PreviewRow {
    pub(super) class: &'static str,
    pub(super) word: &'static str,
    pub(super) input: String,
    pub(super) output: String,
}

impl PreviewPart {
    fn new(view: PreviewView) -> Self {
        let end = match (view.end, &view.error) {
            (PreviewEndView::Failed, Some(error)) => error.clone(),
            (PreviewEndView::Failed, None) => "it ended by an error".to_owned(),
            (PreviewEndView::Enough, _) => "there is more".to_owned(),
            (PreviewEndView::EndOfInput, _) => "that is all of the input".to_owned(),
            (PreviewEndView::OutOfTime, _) => "its time was over".to_owned(),
        };
        Self {
            step: view.step_name,
            outputs: view.output_count,
            filtered: view.filter_count,
            failed: view.failure_count,
            is_bad_end: view.end == PreviewEndView::Failed,
            rows: view.items.into_iter().map(PreviewRow::new).collect(),
            end,
        }
    }
}

impl PreviewRow {
    fn new(item: PreviewItemView) -> Self {
        let input = item.input.as_ref().map(json).or(item.raw);
        let place = item.position.map(|place| format!("{place}: ")).unwrap_or_default();
        let (class, word, output) = match item.result {
            PreviewResultView::Output => ("done", "written", item.output.as_ref().map(json).unwrap_or_default()),
            PreviewResultView::Filtered => ("gone", "filtered", String::new()),
            PreviewResultView::Failed => {
                let phase = item.phase.map_or("", phase);
                ("fail", "fails", format!("{place}fails in {phase}: {}", item.error.unwrap_or_default()))
            }
        };
        let input = input.unwrap_or_else(|| "(cannot be read)".to_owned());
        Self { class, word, input: shorten(&input, RECORD_CHARS), output: shorten(&output, RECORD_CHARS) }
    }
}

/// A record as lines of `name: value`, where it is an object of plain values.
fn json(value: &Value) -> String {
    let Value::Object(fields) = value else { return value.to_string() };
    let line = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}: {text}"),
        other => format!("{name}: {other}"),
    };
    fields.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Shows what a job would make of its first records, with the form as it was filled in.
pub(crate) async fn preview(
    State(state): State<AppState>,
    PathName(name): PathName,
    visitor: Visitor,
    form: Form,
) -> Result<Response, Problem> {
    let seen = match given(&form) {
        Ok(given) => previewed(&state, &name, given, PreviewOptions::default(), visitor.sight.mask()).await,
        Err(problem) => Err(problem),
    };
    let (preview, problem) = match seen {
        Ok(view) => (Some(PreviewPart::new(view)), None),
        Err(problem) if problem.kind.status().is_client_error() && problem.kind.status() != 404 => {
            (None, Some(problem))
        }
        Err(problem) => return Err(problem),
    };
    answer(&state, &name, visitor, Shown { form, problem, preview, from: None }).await
}
