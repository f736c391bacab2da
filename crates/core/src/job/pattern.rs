//! Patterns of STRING parameters: a regular expression for the whole value, and its description for people.

use std::fmt;

use regex_lite::Regex;

/// A regular expression that the whole value must match, and what it stands for.
#[derive(Clone)]
pub struct Pattern {
    expression: String,
    description: String,
    compiled: Result<Regex, String>,
}

impl Pattern {
    pub(super) fn new(expression: &str, description: &str) -> Self {
        let compiled = Regex::new(&anchored(expression)).map_err(|error| error.to_string());
        Self { expression: expression.to_owned(), description: description.to_owned(), compiled }
    }

    /// The regular expression as it was given.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The expression with the anchors that make it match whole values, as JSON Schema has it.
    pub fn anchored(&self) -> String {
        anchored(&self.expression)
    }

    /// The description for people, which goes on after "must be".
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The defect of the expression.
    pub(super) fn error(&self) -> Option<&str> {
        self.compiled.as_ref().err().map(String::as_str)
    }

    /// `true` if a value matches.
    pub(super) fn matches(&self, value: &str) -> bool {
        self.compiled.as_ref().is_ok_and(|compiled| compiled.is_match(value))
    }
}

fn anchored(expression: &str) -> String {
    format!("^(?:{expression})$")
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.expression, &self.description) == (&other.expression, &other.description)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.expression).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_values_alone() {
        let pattern = Pattern::new("[A-Z]{3}|[0-9]+", "a code");
        for (value, matches) in
            [("ABC", true), ("42", true), ("ABCD", false), ("xABC", false), ("42\n", false), ("", false), ("٤٢", false)]
        {
            assert_eq!(pattern.matches(value), matches, "{value:?}");
        }
        assert!(Pattern::new(r"\d+", "digits").matches("7") && !Pattern::new(r"\d+", "digits").matches("٧"));
    }

    #[test]
    fn an_expression_that_is_none_has_an_error_and_matches_nothing() {
        for expression in ["[a-", "(", "a{9999999}", "(?<", r"\p{Greek}"] {
            let pattern = Pattern::new(expression, "nothing");
            assert!(pattern.error().is_some_and(|error| !error.is_empty()), "{expression}");
            assert!(!pattern.matches("a"));
        }
    }
}
