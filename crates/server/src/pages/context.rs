//! The contexts of an execution and of its steps: entries, cut on the page of the execution, and whole on their own.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use oxbatch_core::execution::{ExecutionId, StepExecutionId};
use serde_json::{Map, Value};

use super::form::Form;
use super::frame::{Frame, Visitor, page};
use super::parts::count;
use super::text::{shorten, shown};
use crate::api::context::{self, ContextQuery};
use crate::error::Problem;
use crate::extract::{PathId, Strict};
use crate::state::AppState;

/// Most characters of a name on the page of an execution, and on the page of a context.
const NAME_CHARS: usize = 120;
/// Most characters of a value on the page of an execution.
const VALUE_CHARS: usize = 160;
/// Most entries on the page of an execution.
const ENTRIES: usize = 20;
/// Most bytes of the entries on the page of a context.
const BYTES: usize = 64 * 1024;

/// An entry of a context.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// The value as JSON.
    pub(super) value: String,
    pub(super) is_cut: bool,
}

/// A context on the page of an execution.
#[derive(Debug)]
pub(super) struct ContextPart {
    pub(super) entries: Vec<Entry>,
    /// The number of all entries.
    pub(super) all: String,
    /// Something is left out.
    pub(super) is_cut: bool,
    /// The page with all of it.
    pub(super) path: String,
}

#[derive(Template)]
#[template(path = "context.html")]
struct ContextPage {
    frame: Frame,
    id: i64,
    job: String,
    /// The step, where it is that of a step.
    step: Option<(i64, String)>,
    entries: Vec<Entry>,
    /// Entries that are left out.
    more: usize,
}

fn entry(name: &str, value: &Value, most: usize) -> Entry {
    let value = value.to_string();
    let cut = shorten(&value, most);
    Entry { name: shorten(name, NAME_CHARS), is_cut: cut.len() < value.len(), value: cut }
}

impl ContextPart {
    /// The part of a context; `None` for one that has no entry.
    pub(super) fn new(entries: &Map<String, Value>, id: ExecutionId, step: Option<StepExecutionId>) -> Option<Self> {
        if entries.is_empty() {
            return None;
        }
        let of_step = step.map(|step| format!("?step={step}")).unwrap_or_default();
        let parts: Vec<Entry> =
            entries.iter().take(ENTRIES).map(|(name, value)| entry(name, value, VALUE_CHARS)).collect();
        Some(Self {
            is_cut: parts.len() < entries.len() || parts.iter().any(|entry| entry.is_cut),
            all: count(i64::try_from(entries.len()).unwrap_or(i64::MAX)),
            path: format!("/ui/executions/{id}/context{of_step}"),
            entries: parts,
        })
    }
}

/// The page of a context: that of the execution, or with `step=` that of one of its steps.
pub(crate) async fn show(
    State(state): State<AppState>,
    PathId(id): PathId,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let (engine, id) = (state.engine(), ExecutionId(id));
    let asked: ContextQuery = Strict::of(&Form::of_query(query.as_deref()).query_without(""))?;
    let execution = engine.execution(id).await?;
    let found = context::shown(&state, id, asked.step, &visitor.sight).await?.entries;
    let step = match asked.step {
        None => None,
        Some(step) => {
            let steps = engine.repository().steps(id).await?;
            steps.into_iter().find(|it| it.id == step).map(|it| (step.0, it.step_name))
        }
    };
    let entries = within(&found, BYTES);
    page(&ContextPage {
        frame: Frame::new(format!("Context of #{id}"), "executions", visitor),
        id: id.0,
        job: execution.job_name,
        step,
        more: found.len() - entries.len(),
        entries,
    })
}

/// The first entries whose markup takes so many bytes; the last of them may be cut.
fn within(all: &Map<String, Value>, bytes: usize) -> Vec<Entry> {
    let mut left = bytes;
    let mut entries = Vec::new();
    for (name, value) in all {
        let mut next = entry(name, value, usize::MAX);
        let takes = shown(&next.name).len() + shown(&next.value).len();
        if takes > left {
            // No character takes more in the page than this.
            next = entry(name, value, left / 10);
            left = 0;
        }
        left = left.saturating_sub(takes);
        entries.push(next);
        if left == 0 {
            break;
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_context_is_cut_where_it_would_be_too_much() {
        let many: Map<String, Value> = (0..25).map(|n| (format!("k{n:02}"), json!(n))).collect();
        let part = ContextPart::new(&many, ExecutionId(7), Some(StepExecutionId(9))).unwrap();
        assert_eq!((part.entries.len(), part.all.as_str(), part.is_cut), (20, "25", true));
        assert_eq!(part.path, "/ui/executions/7/context?step=9");
        let few = json!({"a": "x".repeat(500), "b": {"c": [1, 2]}});
        let part = ContextPart::new(few.as_object().unwrap(), ExecutionId(7), None).unwrap();
        assert!(part.entries[0].is_cut && part.is_cut && part.entries[0].value.ends_with('…'));
        assert_eq!(part.entries[1].value, r#"{"c":[1,2]}"#);
        assert!(ContextPart::new(&Map::new(), ExecutionId(7), None).is_none());
    }

    #[test]
    fn a_page_of_a_context_has_a_bound_however_its_values_are_written() {
        let hostile = json!({"a": "<".repeat(60_000), "b": 1, "c": "\u{202e}".repeat(20_000), "d": 2});
        let entries = within(hostile.as_object().unwrap(), BYTES);
        let bytes: usize = entries.iter().map(|entry| shown(&entry.value).len()).sum();
        assert!(bytes <= BYTES + 100 && entries.len() == 1 && entries[0].is_cut, "{bytes}");
        let small = json!({"a": "x".repeat(60_000), "b": 1});
        let entries = within(small.as_object().unwrap(), BYTES);
        assert!(entries.len() == 2 && !entries[0].is_cut);
    }
}
