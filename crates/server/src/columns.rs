//! Masks of columns: records of the data as they are shown to callers who have not been given the data.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use oxbatch_core::engine::{Preview, PreviewEnd};
use oxbatch_core::execution::StoredSkip;
use oxbatch_core::step::{PreviewOutcome, PreviewedItem};
use serde_json::{Map, Value};

use crate::access::Caller;
use crate::state::AppState;
use crate::view::SECRET;

/// Values with fewer characters are not searched for in messages: there they are a coincidence.
const LEAST_WITHIN: usize = 3;

/// The columns that are shown as `***`, by their names in lower case; none shows everything. Cheap to clone.
///
/// As an extractor it is the mask for the caller: it is empty for those who have been given the data, whatever their
/// role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ColumnMask {
    columns: Arc<[String]>,
}

/// The values of masked columns that a record has; `None` for a record whose columns are not known.
type Seen = Option<Vec<String>>;

impl FromRequestParts<AppState> for ColumnMask {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let has_data = parts.extensions.get::<Caller>().is_some_and(|caller| caller.grant().data);
        Ok(if has_data { Self::default() } else { state.access().mask.clone() })
    }
}

impl ColumnMask {
    pub(crate) fn new(columns: &[String]) -> Self {
        Self { columns: columns.iter().map(|name| name.to_lowercase()).collect() }
    }

    /// `true` if it shows everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The entries of a context as they may be shown.
    pub(crate) fn entries(&self, entries: Map<String, Value>) -> Map<String, Value> {
        if self.columns.is_empty() {
            return entries;
        }
        let mut all = Value::Object(entries);
        let mut seen = Vec::new();
        self.mask_names(&mut all, &mut seen);
        match all {
            Value::Object(entries) => entries,
            _ => Map::new(),
        }
    }

    /// A skipped item as it may be shown. One that is no JSON with names is hidden as a whole, and so is its error,
    /// which may repeat any of it; its position stays.
    pub(crate) fn skip(&self, mut skip: StoredSkip) -> StoredSkip {
        if self.columns.is_empty() {
            return skip;
        }
        let item = &mut skip.item;
        let seen = item.item.as_mut().and_then(|text| self.mask_text(text));
        hide_in(&mut item.error, &seen);
        if let (Some(position), Some(_)) = (&mut item.position, &seen) {
            hide_in(position, &seen);
        }
        skip
    }

    /// A preview as it may be shown.
    pub(crate) fn preview(&self, mut preview: Preview) -> Preview {
        if self.columns.is_empty() {
            return preview;
        }
        let mut all = Vec::new();
        for item in &mut preview.items {
            all.extend(self.mask_item(item).unwrap_or_default());
        }
        if let PreviewEnd::Failed(message) = &mut preview.end {
            hide_in(message, &Some(all));
        }
        preview
    }

    /// The values of a previewed item that were masked.
    fn mask_item(&self, item: &mut PreviewedItem) -> Seen {
        let mut seen = item.input.as_mut().and_then(|input| self.mask_value(input));
        match &mut item.outcome {
            PreviewOutcome::Output(output) => {
                let of_output = self.mask_value(output).unwrap_or_default();
                seen.get_or_insert_default().extend(of_output);
            }
            PreviewOutcome::Failed { position, raw, error, .. } => {
                if let Some(raw) = raw {
                    seen = self.mask_text(raw);
                }
                hide_in(error, &seen);
                if let (Some(position), Some(_)) = (position, &seen) {
                    hide_in(position, &seen);
                }
            }
            PreviewOutcome::Filtered => {}
        }
        seen
    }

    /// Masks a record that is kept as text.
    fn mask_text(&self, text: &mut String) -> Seen {
        let parsed = serde_json::from_str(text).ok();
        let masked = parsed.and_then(|mut value: Value| self.mask_value(&mut value).map(|seen| (value, seen)));
        match masked {
            // Without a masked column it stays as it was written, to the letter.
            Some((_, seen)) if seen.is_empty() => Some(seen),
            Some((value, seen)) => {
                *text = value.to_string();
                Some(seen)
            }
            None => {
                SECRET.clone_into(text);
                None
            }
        }
    }

    /// Masks a record: an object, or a list of them. Anything else has no columns that have a name, and is hidden as a
    /// whole.
    fn mask_value(&self, value: &mut Value) -> Seen {
        let has_names = match value {
            Value::Object(_) => true,
            Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_object),
            _ => false,
        };
        if !has_names {
            *value = SECRET.into();
            return None;
        }
        let mut seen = Vec::new();
        self.mask_names(value, &mut seen);
        Some(seen)
    }

    fn mask_names(&self, value: &mut Value, seen: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if self.columns.contains(&name.to_lowercase()) {
                        // It counts as masked although it may hold nothing.
                        seen.push(String::new());
                        collect(value, seen);
                        *value = SECRET.into();
                    } else {
                        self.mask_names(value, seen);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_names(item, seen)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// The texts and numbers of a value.
fn collect(value: &Value, seen: &mut Vec<String>) {
    match value {
        Value::String(text) => seen.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, seen)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, seen)),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => seen.push(value.to_string()),
    }
}

/// Hides values in a message; all of it where they are not known.
fn hide_in(message: &mut String, seen: &Seen) {
    let Some(values) = seen else { return SECRET.clone_into(message) };
    let mut values: Vec<_> = values.iter().filter(|value| value.chars().count() >= LEAST_WITHIN).collect();
    // The longest first: one may be a part of another.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    for value in values {
        if message.contains(value.as_str()) {
            *message = message.replace(value.as_str(), SECRET);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use oxbatch_core::execution::{SkipPhase, SkippedItem, StepExecutionId};
    use serde_json::json;

    fn mask() -> ColumnMask {
        ColumnMask::new(&["iban".to_owned(), "Name".to_owned()])
    }

    fn skip(position: &str, item: Option<&str>, error: &str) -> StoredSkip {
        let (position, item) = (Some(position.to_owned()), item.map(str::to_owned));
        let item = SkippedItem { phase: SkipPhase::Process, position, item, complete: true, error: error.to_owned() };
        let time = Timestamp::UNIX_EPOCH;
        StoredSkip { id: 1, step_id: StepExecutionId(1), time, item, rerun_execution_id: None }
    }

    #[test]
    fn a_masked_column_is_shown_nowhere_in_a_skipped_item() {
        for (item, position, error, expected) in [
            (
                Some(r#"{"id":1,"iban":"DE12345","nested":[{"NAME":"Möwe","age":3}]}"#),
                "key DE12345",
                "DE12345 of Möwe is no account",
                (
                    Some(r#"{"id":1,"iban":"***","nested":[{"NAME":"***","age":3}]}"#),
                    "key ***",
                    "*** of *** is no account",
                ),
            ),
            (
                Some(r#"{"id":1,"iban":12345,"name":null}"#),
                "a.csv:2",
                "12345 is wrong",
                (Some(r#"{"iban":"***","id":1,"name":"***"}"#), "a.csv:2", "*** is wrong"),
            ),
            (
                Some(r#"[{"iban":["DE1","DE2"]},{"name":{"first":"Anna"}}]"#),
                "a.csv:2",
                "no DE1, DE2, Anna",
                (Some(r#"[{"iban":"***"},{"name":"***"}]"#), "a.csv:2", "no ***, ***, ***"),
            ),
            // Nothing in it is masked.
            (Some(r#"{"b":1, "a":"x"}"#), "a.csv:2", "x is odd", (Some(r#"{"b":1, "a":"x"}"#), "a.csv:2", "x is odd")),
            // No columns that have names.
            (Some("1;DE12345;Möwe"), "a.csv:2", "DE12345 is wrong", (Some("***"), "a.csv:2", "***")),
            (Some(r#"["DE12345"]"#), "a.csv:2", "DE12345 is wrong", (Some("***"), "a.csv:2", "***")),
            (Some(r#"{"iban":"DE12345","no"#), "a.csv:2", "cut", (Some("***"), "a.csv:2", "***")),
            (Some("[]"), "a.csv:2", "empty", (Some("***"), "a.csv:2", "***")),
            (None, "a.csv:2", "DE12345 is wrong", (None, "a.csv:2", "***")),
        ] {
            let shown = mask().skip(skip(position, item, error)).item;
            let text = shown.item.as_deref();
            // The order of names is that of JSON in this program.
            let same = |one: Option<&str>, two: Option<&str>| match (one, two) {
                (Some(one), Some(two)) => {
                    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
                    one == two || (parsed(one).is_some() && parsed(one) == parsed(two))
                }
                (one, two) => one == two,
            };
            assert!(same(text, expected.0), "{item:?}: {text:?}");
            assert_eq!((shown.position.as_deref(), shown.error.as_str()), (Some(expected.1), expected.2), "{item:?}");
            let all = ColumnMask::default().skip(skip(position, item, error));
            assert_eq!(all, skip(position, item, error));
        }
    }

    #[test]
    fn a_masked_column_is_shown_nowhere_in_a_preview() {
        let item = |input: Option<Value>, outcome: PreviewOutcome| PreviewedItem { input, outcome };
        let failed = |raw: Option<&str>, error: &str| PreviewOutcome::Failed {
            phase: SkipPhase::Process,
            position: Some("key DE12345".to_owned()),
            raw: raw.map(str::to_owned),
            error: error.to_owned(),
        };
        let preview = Preview {
            step_name: "Load".to_owned(),
            parameters: oxbatch_core::JobParameters::default(),
            items: vec![
                item(
                    Some(json!({"iban": "DE12345", "a": 1})),
                    PreviewOutcome::Output(json!({"IBAN": "DE 123", "b": 2})),
                ),
                item(Some(json!({"iban": "DE12345"})), failed(None, "DE12345 is wrong")),
                item(None, failed(Some("1;DE12345"), "DE12345 is wrong")),
                item(Some(json!("DE12345")), PreviewOutcome::Filtered),
            ],
            end: PreviewEnd::Failed("gave up at DE12345".to_owned()),
        };
        let shown = mask().preview(preview.clone());
        let texts = format!("{shown:?}");
        // The position of the record without names stays.
        assert_eq!(texts.matches("DE12345").count(), 1, "{texts}");
        assert!(!texts.contains("DE 123"), "{texts}");
        assert_eq!(shown.items[0].input, Some(json!({"iban": "***", "a": 1})));
        assert_eq!(shown.items[0].outcome, PreviewOutcome::Output(json!({"IBAN": "***", "b": 2})));
        assert_eq!(shown.items[3].input, Some(json!("***")));
        assert_eq!(ColumnMask::default().preview(preview.clone()), preview);
    }
}
