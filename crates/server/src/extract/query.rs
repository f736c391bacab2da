//! Reads query parameters strictly: unknown, repeated and unfit ones are refused, all of them at once.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use oxbatch_core::job::{MAX_PRIORITY, MIN_PRIORITY};

use crate::error::{ParameterError, Problem, ProblemKind};

/// Longest wait that a caller may ask for.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// A set of query parameters.
pub(crate) trait StrictQuery: Sized {
    /// Takes the parameters that it knows.
    fn read(reader: &mut QueryReader) -> Self;
}

/// Extracts a set of query parameters, or refuses the request.
pub(crate) struct Strict<T>(pub(crate) T);

/// No query parameters at all.
pub(crate) struct NoQuery;

impl StrictQuery for NoQuery {
    fn read(_: &mut QueryReader) -> Self {
        Self
    }
}

/// Hands out query parameters by name and collects what is wrong with them.
pub(crate) struct QueryReader {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: Vec<ParameterError>,
}

impl QueryReader {
    fn new(query: &str) -> Self {
        let given = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { given, known: Vec::new(), errors: Vec::new() }
    }

    /// A parameter that may stand once.
    pub(crate) fn one<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let values = self.many(name, parse);
        if values.len() > 1 {
            self.refuse(name, "is given more than once".to_owned());
        }
        values.into_iter().next()
    }

    /// A parameter that may be repeated.
    pub(crate) fn many<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.known.push(name);
        let mut values = Vec::new();
        let mut errors = Vec::new();
        for (_, text) in self.given.iter().filter(|(given, _)| given == name) {
            match readable(text).and_then(&parse) {
                Ok(value) => values.push(value),
                Err(message) => errors.push(message),
            }
        }
        for message in errors {
            self.refuse(name, message);
        }
        values
    }

    /// Refuses what a value alone does not tell.
    pub(crate) fn refuse(&mut self, name: &str, message: String) {
        self.errors.push(ParameterError { parameter: Some(name.to_owned()), message });
    }

    fn finish(mut self) -> Result<(), Problem> {
        let known = match self.known.as_slice() {
            [] => "this call takes none".to_owned(),
            known => format!("this call takes {}", known.join(", ")),
        };
        let unknown = self.given.iter().filter(|(name, _)| !self.known.contains(&name.as_str()));
        let unknown = unknown.map(|(name, _)| ParameterError {
            parameter: Some(shorten(name)),
            message: format!("is unknown: {known}"),
        });
        self.errors.extend(unknown);
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::parameters(ProblemKind::InvalidQuery, self.errors)) }
    }
}

impl<T: StrictQuery> Strict<T> {
    /// The set of a query, or its refusal.
    pub(crate) fn of(query: &str) -> Result<T, Problem> {
        let mut reader = QueryReader::new(query);
        let query = T::read(&mut reader);
        reader.finish()?;
        Ok(query)
    }
}

impl<S: Send + Sync, T: StrictQuery> FromRequestParts<S> for Strict<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn readable(text: &str) -> Result<&str, String> {
    // What is not UTF-8 was replaced while it was decoded.
    match text.contains(['\0', '\u{fffd}']) {
        true => Err("has a NUL or is not percent-encoded UTF-8".to_owned()),
        false => Ok(text),
    }
}

/// `true` or `false`.
pub(crate) fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("must be true or false, not '{}'", shorten(text)))
}

/// A whole number of at least 1.
pub(crate) fn id(text: &str) -> Result<i64, String> {
    let parsed = text.parse().ok().filter(|id| *id >= 1 && text.bytes().all(|byte| byte.is_ascii_digit()));
    parsed.ok_or_else(|| format!("must be a whole number from 1 on, not '{}'", shorten(text)))
}

/// A rank in the queue.
pub(crate) fn priority(text: &str) -> Result<i32, String> {
    let parsed = text.parse().ok().filter(|priority| (MIN_PRIORITY..=MAX_PRIORITY).contains(priority));
    let refuse = || format!("must be a whole number from {MIN_PRIORITY} to {MAX_PRIORITY}, not '{}'", shorten(text));
    parsed.filter(|_| !text.starts_with('+')).ok_or_else(refuse)
}

/// A time as `500ms`, `30s` or `2m`, at most five minutes.
pub(crate) fn wait(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let time = match (number.parse::<u32>(), unit) {
        (Ok(number), "ms") => Some(Duration::from_millis(number.into())),
        (Ok(number), "s") => Some(Duration::from_secs(number.into())),
        (Ok(number), "m") => Some(Duration::from_secs(u64::from(number) * 60)),
        _ => None,
    };
    let refuse = || format!("must be a time such as 500ms, 30s or 2m, at most 5m, not '{}'", shorten(text));
    time.filter(|time| *time <= MAX_WAIT).ok_or_else(refuse)
}

/// At most 40 characters of what was given, for messages.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
