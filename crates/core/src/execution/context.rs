//! The execution context: a small JSON map that is saved with every commit, and the stored state of a step around it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::item::{Checkpoint, FiniteJson};

/// Largest stored context in bytes of JSON. It is rewritten with every chunk, so it is kept small.
pub const MAX_CONTEXT_BYTES: usize = 64 * 1024;

/// Version of the stored form; a reader of a newer version keeps what it does not know.
const STATE_VERSION: u32 = 1;

/// A small map of named JSON values that an execution carries from attempt to attempt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionContext {
    entries: Map<String, Value>,
}

/// Why a context or a stored state cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// The context has grown over the limit.
    #[error(
        "execution context takes {bytes} bytes, over the limit of {MAX_CONTEXT_BYTES}; keep large data elsewhere and its name here"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// An entry does not have the expected type.
    #[error("entry '{key}' of the execution context does not have the expected type")]
    Entry {
        /// Name of the entry.
        key: String,
        /// Error of the conversion from or to JSON.
        #[source]
        source: serde_json::Error,
    },
    /// One of several processors that run at once would set an entry, which then belonged to no chunk in particular.
    #[error(
        "entry '{key}' of the execution context cannot be set by one of several processors at once; set it in the reader or the writer"
    )]
    Beside {
        /// Name of the entry.
        key: String,
    },
    /// An entry holds the value of a secret parameter, and would be stored and shown.
    #[error(
        "entry '{key}' of the execution context would hold the value of a secret parameter, and contexts are stored as they are"
    )]
    Secret {
        /// Name of the entry.
        key: String,
    },
    /// A stored state is no JSON of the known form.
    #[error("stored execution context is unreadable")]
    Unreadable {
        /// Error of the conversion from or to JSON.
        #[source]
        source: serde_json::Error,
    },
}

impl ExecutionContext {
    /// The entry `key` as a `T`; `None` where there is none.
    ///
    /// # Errors
    /// [`ContextError::Entry`] when it has another type.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ContextError> {
        self.entries
            .get(key)
            .map(|value| T::deserialize(value))
            .transpose()
            .map_err(|source| ContextError::Entry { key: key.to_owned(), source })
    }

    /// Sets the entry `key`; it is stored with the next commit.
    ///
    /// # Errors
    /// [`ContextError::Entry`] when the value cannot be written as JSON: a number in it is not finite, for one.
    pub fn put(&mut self, key: &str, value: impl Serialize) -> Result<(), ContextError> {
        let value = serde_json::to_value(FiniteJson(&value))
            .map_err(|source| ContextError::Entry { key: key.to_owned(), source })?;
        self.entries.insert(key.to_owned(), value);
        Ok(())
    }

    /// Removes the entry `key`.
    pub fn remove(&mut self, key: &str) {
        self.entries.remove(key);
    }

    /// Returns whether there is an entry `key`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Sets or removes the entry `key`, and answers what it was.
    pub(crate) fn set(&mut self, key: &str, value: Option<Value>) -> Option<Value> {
        match value {
            Some(value) => self.entries.insert(key.to_owned(), value),
            None => self.entries.remove(key),
        }
    }

    /// The entries in which it differs from what is stored.
    pub fn changes_since(&self, stored: &Self) -> ContextChanges {
        let is_new = |(key, value): &(&String, &Value)| stored.entries.get(*key) != Some(*value);
        let set = self.entries.iter().filter(is_new).map(|(key, value)| (key.clone(), value.clone())).collect();
        let removed = stored.entries.keys().filter(|key| !self.entries.contains_key(*key)).cloned().collect();
        ContextChanges { set: Self { entries: set }, removed }
    }

    /// Takes over the entries of another; where both have one, the other's.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.entries.extend(other.entries.iter().map(|(key, value)| (key.clone(), value.clone())));
    }

    /// Returns whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries by their names.
    pub fn into_entries(self) -> Map<String, Value> {
        self.entries
    }

    /// The context as stored JSON.
    ///
    /// # Errors
    /// [`ContextError::TooLarge`] above [`MAX_CONTEXT_BYTES`].
    pub fn to_json(&self) -> Result<String, ContextError> {
        let json = serde_json::to_string(self).map_err(|source| ContextError::Unreadable { source })?;
        check_size(&json)?;
        Ok(json)
    }

    /// Reads a stored context.
    ///
    /// # Errors
    /// [`ContextError::Unreadable`] when it is no JSON object.
    pub fn from_json(json: &str) -> Result<Self, ContextError> {
        serde_json::from_str(json).map_err(|source| ContextError::Unreadable { source })
    }
}

/// Entries of the job's context to be set and removed in what is stored. Those that others have set meanwhile stay.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContextChanges {
    set: ExecutionContext,
    removed: Vec<String>,
}

impl ContextChanges {
    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }

    /// The entries that are set, as a JSON object. Each replaces the stored one as a whole.
    ///
    /// # Errors
    /// [`ContextError::TooLarge`] above [`MAX_CONTEXT_BYTES`].
    pub fn set_json(&self) -> Result<String, ContextError> {
        self.set.to_json()
    }

    /// The names of all entries that are set or removed.
    pub fn keys(&self) -> Vec<&str> {
        self.set.entries.keys().chain(&self.removed).map(String::as_str).collect()
    }
}

fn check_size(json: &str) -> Result<(), ContextError> {
    if json.len() > MAX_CONTEXT_BYTES {
        return Err(ContextError::TooLarge { bytes: json.len() });
    }
    Ok(())
}

/// The state of a step that is stored with each commit: the checkpoints of its parts and its context.
#[derive(Debug, Clone, Default)]
pub struct StepState {
    /// Where the reader stands.
    pub reader: Option<Checkpoint>,
    /// Checkpoint of the processor.
    pub processor: Option<Checkpoint>,
    /// Where the writer stands.
    pub writer: Option<Checkpoint>,
    /// Where the writer of rejects stands.
    pub rejects: Option<Checkpoint>,
    /// The author's own entries.
    pub context: ExecutionContext,
    /// Fields of a newer version: kept as they are.
    unknown: Map<String, Value>,
}

impl StepState {
    /// Reads a stored state.
    ///
    /// # Errors
    /// [`ContextError::Unreadable`] when it does not have the form that [`write_json`](Self::write_json) gives it.
    pub fn from_json(json: &str) -> Result<Self, ContextError> {
        // RawValue and flatten do not go together: the known fields and the rest are read in two passes.
        #[derive(Deserialize)]
        struct Known {
            #[serde(default)]
            reader: Option<Box<RawValue>>,
            #[serde(default)]
            processor: Option<Box<RawValue>>,
            #[serde(default)]
            writer: Option<Box<RawValue>>,
            #[serde(default)]
            rejects: Option<Box<RawValue>>,
            #[serde(default)]
            context: ExecutionContext,
        }
        let unreadable = |source| ContextError::Unreadable { source };
        let known: Known = serde_json::from_str(json).map_err(unreadable)?;
        let mut unknown: Map<String, Value> = serde_json::from_str(json).map_err(unreadable)?;
        for name in ["v", "reader", "processor", "writer", "rejects", "context"] {
            unknown.remove(name);
        }
        Ok(Self {
            reader: known.reader.map(Checkpoint::from_raw),
            processor: known.processor.map(Checkpoint::from_raw),
            writer: known.writer.map(Checkpoint::from_raw),
            rejects: known.rejects.map(Checkpoint::from_raw),
            context: known.context,
            unknown,
        })
    }

    /// Writes the state as JSON into `out`, which is emptied first and can be used again.
    ///
    /// # Errors
    /// [`ContextError::TooLarge`] above [`MAX_CONTEXT_BYTES`].
    pub fn write_json(&self, out: &mut String) -> Result<(), ContextError> {
        use std::fmt::Write as _;

        let unreadable = |source| ContextError::Unreadable { source };
        out.clear();
        // Writing into a String cannot fail.
        let _ = write!(out, "{{\"v\":{STATE_VERSION}");
        let Self { reader, processor, writer, rejects, .. } = self;
        let parts = [("reader", reader), ("processor", processor), ("writer", writer), ("rejects", rejects)];
        for (name, checkpoint) in parts {
            if let Some(checkpoint) = checkpoint {
                let _ = write!(out, ",\"{name}\":{}", checkpoint.as_json());
            }
        }
        if !self.context.is_empty() {
            out.push_str(",\"context\":");
            out.push_str(&serde_json::to_string(&self.context).map_err(unreadable)?);
        }
        for (name, value) in &self.unknown {
            let name = serde_json::to_string(name).map_err(unreadable)?;
            let _ = write!(out, ",{name}:{value}");
        }
        out.push('}');
        check_size(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back_and_keeps_what_a_newer_version_wrote() {
        let stored = r#"{"v":2,"reader":{"byte":17},"context":{"a":1},"totals":{"amount":"1.20"}}"#;
        let state = StepState::from_json(stored).unwrap();
        assert_eq!(state.reader.as_ref().unwrap().as_json(), r#"{"byte":17}"#);
        assert!(state.writer.is_none() && state.processor.is_none());
        assert_eq!(state.context.get::<i64>("a").unwrap(), Some(1));
        let mut json = String::new();
        state.write_json(&mut json).unwrap();
        assert_eq!(json, r#"{"v":1,"reader":{"byte":17},"context":{"a":1},"totals":{"amount":"1.20"}}"#);
    }

    #[test]
    fn a_context_over_the_limit_is_refused_with_its_size() {
        let mut context = ExecutionContext::default();
        context.put("big", "x".repeat(MAX_CONTEXT_BYTES)).unwrap();
        let error = context.to_json().unwrap_err().to_string();
        assert!(error.contains("65546 bytes"), "{error}");
    }

    #[test]
    fn changes_are_the_entries_that_were_set_anew_or_removed() {
        let context = |json: &str| ExecutionContext::from_json(json).unwrap();
        let changes = |new: &str, stored: &str| {
            let changes = context(new).changes_since(&context(stored));
            (changes.set_json().unwrap(), changes.keys().join(" "), changes.is_empty())
        };
        let same = r#"{"a":1,"b":{"c":null}}"#;
        assert_eq!(changes(same, same), ("{}".to_owned(), String::new(), true));
        // Whole entries, whatever has changed within.
        assert_eq!(changes(r#"{"b":{"c":1}}"#, same), (r#"{"b":{"c":1}}"#.to_owned(), "b a".to_owned(), false));
        assert_eq!(changes(r#"{"a":null}"#, "{}"), (r#"{"a":null}"#.to_owned(), "a".to_owned(), false));
    }

    #[test]
    fn an_entry_of_another_type_is_an_error_that_names_it() {
        let mut context = ExecutionContext::default();
        context.put("count", "many").unwrap();
        assert!(context.get::<i64>("count").unwrap_err().to_string().contains("'count'"));
        assert_eq!(context.get::<i64>("absent").unwrap(), None);
    }
}
