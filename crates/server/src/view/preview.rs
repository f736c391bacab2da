//! The first items of a step, input next to output.

use std::collections::BTreeMap;

use oxbatch_core::engine::{Preview, PreviewEnd};
use oxbatch_core::step::{PreviewOutcome, PreviewedItem};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::SkipPhaseView;
use super::value::{ValueView, parameters};

/// The first items of a step. Nothing of it was written or stored.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Preview)]
pub struct PreviewView {
    pub(crate) job_name: String,
    pub(crate) step_name: String,
    /// The parameters by name, defaults included; secrets are `***`, in the items too.
    pub(crate) parameters: BTreeMap<String, ValueView>,
    /// The items in their order.
    pub(crate) items: Vec<PreviewItemView>,
    /// Items with an output.
    #[schema(minimum = 0)]
    pub(crate) output_count: usize,
    /// Items that the processor left out.
    #[schema(minimum = 0)]
    pub(crate) filter_count: usize,
    /// Items that cannot be read or processed.
    #[schema(minimum = 0)]
    pub(crate) failure_count: usize,
    pub(crate) end: PreviewEndView,
    /// The error that ended it.
    #[schema(required)]
    pub(crate) error: Option<String>,
}

/// One of the first items of a step.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = PreviewItem)]
pub struct PreviewItemView {
    pub(crate) result: PreviewResultView,
    /// The item as it was read; null where it could not be read.
    #[schema(required, value_type = Option<Value>)]
    pub(crate) input: Option<Value>,
    /// The output that would be written; null without one.
    #[schema(required, value_type = Option<Value>)]
    pub(crate) output: Option<Value>,
    /// The phase in which a failed item failed.
    #[schema(required)]
    pub(crate) phase: Option<SkipPhaseView>,
    /// The position of a failed item in the source, where that is known.
    #[schema(required)]
    pub(crate) position: Option<String>,
    /// The raw text of an item that could not be read, where that is known.
    #[schema(required)]
    pub(crate) raw: Option<String>,
    /// The error of a failed item.
    #[schema(required)]
    pub(crate) error: Option<String>,
}

/// The outcome of a previewed item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = PreviewResult)]
pub enum PreviewResultView {
    /// It has an output.
    Output,
    /// The processor leaves it out.
    Filtered,
    /// It cannot be read or processed.
    Failed,
}

/// The reason why a preview shows no more items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = PreviewEnd)]
pub enum PreviewEndView {
    /// These are as many as were asked for.
    Enough,
    /// The input has ended.
    EndOfInput,
    /// Its time was over.
    OutOfTime,
    /// `error` says what happened.
    Failed,
}

impl PreviewView {
    /// The shape of a preview of a step of `job_name`.
    pub fn new(job_name: String, preview: Preview) -> Self {
        let items: Vec<PreviewItemView> = preview.items.into_iter().map(Into::into).collect();
        let count = |result| items.iter().filter(|item| item.result == result).count();
        let (end, error) = match preview.end {
            PreviewEnd::Enough => (PreviewEndView::Enough, None),
            PreviewEnd::EndOfInput => (PreviewEndView::EndOfInput, None),
            PreviewEnd::OutOfTime => (PreviewEndView::OutOfTime, None),
            PreviewEnd::Failed(message) => (PreviewEndView::Failed, Some(message)),
        };
        Self {
            job_name,
            step_name: preview.step_name,
            parameters: parameters(&preview.parameters),
            output_count: count(PreviewResultView::Output),
            filter_count: count(PreviewResultView::Filtered),
            failure_count: count(PreviewResultView::Failed),
            items,
            end,
            error,
        }
    }
}

impl From<PreviewedItem> for PreviewItemView {
    fn from(item: PreviewedItem) -> Self {
        let mut view = Self {
            result: PreviewResultView::Filtered,
            input: item.input,
            output: None,
            phase: None,
            position: None,
            raw: None,
            error: None,
        };
        match item.outcome {
            PreviewOutcome::Output(output) => {
                view.result = PreviewResultView::Output;
                view.output = Some(output);
            }
            PreviewOutcome::Filtered => {}
            PreviewOutcome::Failed { phase, position, raw, error } => {
                view.result = PreviewResultView::Failed;
                (view.phase, view.position, view.raw, view.error) = (Some(phase.into()), position, raw, Some(error));
            }
        }
        view
    }
}
