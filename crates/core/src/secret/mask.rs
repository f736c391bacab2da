//! Masks: what an execution says is searched for the values of its secret parameters.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use serde_json::Value;

use crate::execution::{JobParameters, ParameterValue, SECRET_SHOWN, Secret, SkippedItem};

/// Secrets with fewer characters are masked where they stand alone: as a part of other texts they are a coincidence.
const LEAST_WITHIN: usize = 4;
/// Lines of a secret of several, such as a private key, are masked from this number of characters on.
const LEAST_LINE: usize = 8;

/// The masks of the executions that run in this process, for what it logs as a whole.
static ACTIVE: RwLock<Vec<Weak<Texts>>> = RwLock::new(Vec::new());
/// Length of `ACTIVE`, to be asked without its lock.
static ACTIVE_COUNT: AtomicUsize = AtomicUsize::new(0);

/// The values of secret parameters, to be replaced where they are found. Cheap to clone; the default finds nothing.
#[derive(Clone, Default)]
pub(crate) struct Mask {
    texts: Option<Arc<Texts>>,
}

struct Texts {
    /// Each value as a whole.
    whole: Vec<String>,
    /// The values that are searched for within texts, and how they are written in JSON and by `Debug`; the longest
    /// first, since one may be a part of another.
    within: Vec<String>,
}

/// A mask that [`mask_active`] knows as long as this lives.
#[derive(Clone, Default)]
pub(crate) struct ActiveMask {
    mask: Mask,
}

impl Mask {
    /// The mask of parameters that are in use.
    pub(crate) fn of(parameters: &JobParameters) -> Self {
        let secrets = parameters.iter().filter_map(|(_, parameter)| match &parameter.value {
            ParameterValue::Secret(value) => value.opened(),
            _ => None,
        });
        Self::of_texts(secrets.map(Secret::expose))
    }

    /// The mask of secrets, among them those that a caller gave and nobody has taken.
    pub(crate) fn of_texts<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let whole: Vec<String> = secrets.filter(|text| !text.is_empty()).map(str::to_owned).collect();
        let mut within: Vec<String> = whole.iter().flat_map(|text| forms(text)).collect();
        if whole.is_empty() {
            return Self::default();
        }
        within.sort_by(|one, two| two.len().cmp(&one.len()).then_with(|| one.cmp(two)));
        within.dedup();
        Self { texts: Some(Arc::new(Texts { whole, within })) }
    }

    /// True if there is nothing to be found.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_none()
    }

    /// The text with `***` in place of each secret.
    pub(crate) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.texts.as_ref().map_or(Cow::Borrowed(text), |texts| texts.apply(text))
    }

    /// The same for a text that is owned.
    pub(crate) fn masked(&self, text: String) -> String {
        match self.apply(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(masked) => masked,
        }
    }

    /// True if a secret is in the text.
    pub(crate) fn finds(&self, text: &str) -> bool {
        matches!(self.apply(text), Cow::Owned(_))
    }

    /// True if a secret is in a text or a name of a JSON value. Numbers may be the same by coincidence.
    pub(crate) fn finds_in(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.finds(text),
            Value::Array(values) => values.iter().any(|value| self.finds_in(value)),
            Value::Object(fields) => fields.iter().any(|(name, value)| self.finds(name) || self.finds_in(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// Masks the texts and numbers of a JSON value.
    pub(crate) fn mask_json(&self, value: &mut Value) {
        let Some(texts) = &self.texts else { return };
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = texts.apply(text) {
                    *text = masked;
                }
            }
            Value::Number(number) if texts.whole.contains(&number.to_string()) => *value = SECRET_SHOWN.into(),
            Value::Array(values) => values.iter_mut().for_each(|value| self.mask_json(value)),
            Value::Object(fields) => fields.values_mut().for_each(|value| self.mask_json(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Skipped items as they may be kept: one that holds a secret is not whole any more, and cannot be run again.
    pub(crate) fn skips<'a>(&self, skips: &'a [SkippedItem]) -> Cow<'a, [SkippedItem]> {
        if self.is_empty() || skips.is_empty() {
            return Cow::Borrowed(skips);
        }
        let masked = skips.iter().map(|skip| {
            let item = skip.item.as_deref().map(|item| self.apply(item));
            SkippedItem {
                phase: skip.phase,
                position: skip.position.as_deref().map(|position| self.apply(position).into_owned()),
                complete: skip.complete && matches!(item, Some(Cow::Borrowed(_))),
                item: item.map(Cow::into_owned),
                error: self.apply(&skip.error).into_owned(),
            }
        });
        Cow::Owned(masked.collect())
    }

    /// Makes it known to [`mask_active`].
    pub(crate) fn activate(self) -> ActiveMask {
        if let Some(texts) = &self.texts {
            let mut active = ACTIVE.write().unwrap_or_else(PoisonError::into_inner);
            active.retain(|texts| texts.strong_count() > 0);
            active.push(Arc::downgrade(texts));
            ACTIVE_COUNT.store(active.len(), Ordering::Release);
        }
        ActiveMask { mask: self }
    }
}

impl std::ops::Deref for ActiveMask {
    type Target = Mask;

    fn deref(&self) -> &Mask {
        &self.mask
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Texts {
    fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.whole.iter().any(|secret| secret == text) {
            return Cow::Owned(SECRET_SHOWN.to_owned());
        }
        let mut masked = Cow::Borrowed(text);
        for secret in &self.within {
            if masked.contains(secret.as_str()) {
                masked = masked.replace(secret.as_str(), SECRET_SHOWN).into();
            }
        }
        masked
    }
}

/// The forms in which a secret is searched for within texts.
fn forms(secret: &str) -> Vec<String> {
    if secret.chars().count() < LEAST_WITHIN {
        return Vec::new();
    }
    let inner = |quoted: String| quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned();
    let mut forms = vec![secret.to_owned(), inner(Value::from(secret).to_string()), inner(format!("{secret:?}"))];
    let lines = secret.lines().map(str::trim).filter(|line| line.chars().count() >= LEAST_LINE && *line != secret);
    forms.extend(lines.map(str::to_owned));
    forms
}

/// A text of this process as a whole, a line of its log say, with `***` in place of the secrets of all executions that
/// run in it.
pub fn mask_active(text: &str) -> Cow<'_, str> {
    if ACTIVE_COUNT.load(Ordering::Acquire) == 0 {
        return Cow::Borrowed(text);
    }
    let active: Vec<_> = {
        let active = ACTIVE.read().unwrap_or_else(PoisonError::into_inner);
        active.iter().filter_map(Weak::upgrade).collect()
    };
    active.iter().fold(Cow::Borrowed(text), |text, texts| match texts.apply(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(masked) => Cow::Owned(masked),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(secrets: &[&str]) -> Mask {
        Mask::of_texts(secrets.iter().copied())
    }

    #[test]
    fn a_secret_is_found_within_a_text_however_it_is_written() {
        let mask = mask(&["pa\"ss\\word", "pass", "1234"]);
        for (text, expected) in [
            ("login pa\"ss\\word failed", "login *** failed"),
            (r#"{"p":"pa\"ss\\word"}"#, r#"{"p":"***"}"#),
            ("bypass 12345", "by*** ***5"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(mask.apply(text), expected);
            assert_eq!(mask.finds(text), text != expected);
        }
    }

    #[test]
    fn a_short_secret_is_masked_where_it_stands_alone() {
        let mask = mask(&["abc", ""]);
        assert_eq!((mask.apply("abc"), mask.apply("abcd"), mask.apply("")), ("***".into(), "abcd".into(), "".into()));
        let mut value = serde_json::json!({"a": ["abc", 1, "x abc"], "b": {"c": "abc"}});
        mask.mask_json(&mut value);
        assert_eq!(value, serde_json::json!({"a": ["***", 1, "x abc"], "b": {"c": "***"}}));
        assert!(mask.finds_in(&serde_json::json!([{"abc": 1}])) && !mask.finds_in(&serde_json::json!(["abcd", 1])));
    }

    #[test]
    fn each_line_of_a_key_is_found() {
        let mask = mask(&["-----BEGIN KEY-----\nMIIEvQIBADANBg\nab\n"]);
        assert_eq!(mask.apply("line 2 is MIIEvQIBADANBg, then ab"), "line 2 is ***, then ab");
        assert_eq!(mask.apply("\"-----BEGIN KEY-----\\nMIIEvQIBADANBg\\nab\\n\""), "\"***\"");
    }

    #[test]
    fn an_item_that_holds_a_secret_is_not_whole_any_more() {
        let skip = |item: &str| SkippedItem {
            phase: crate::execution::SkipPhase::Process,
            position: Some("file hunter2.csv".to_owned()),
            item: Some(item.to_owned()),
            complete: true,
            error: "hunter2 is wrong".to_owned(),
        };
        let masked = mask(&["hunter2"]).skips(&[skip("a;hunter2"), skip("a;b")]).into_owned();
        assert_eq!((masked[0].item.as_deref(), masked[0].complete), (Some("a;***"), false));
        assert_eq!((masked[1].item.as_deref(), masked[1].complete), (Some("a;b"), true));
        assert_eq!((masked[0].position.as_deref(), masked[0].error.as_str()), (Some("file ***.csv"), "*** is wrong"));
    }

    #[test]
    fn what_the_process_logs_is_masked_while_an_execution_runs() {
        let active = mask(&["only-in-this-test"]).activate();
        assert_eq!(mask_active("x only-in-this-test"), "x ***");
        drop(active);
        assert_eq!(mask_active("x only-in-this-test"), "x only-in-this-test");
    }
}
