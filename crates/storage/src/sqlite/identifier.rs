//! The one function that quotes names for SQL.

/// A name as it stands in a statement. Everything else that varies is bound.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_quoted_name_cannot_leave_its_quotes() {
        assert_eq!(quoted("strikes"), "\"strikes\"");
        assert_eq!(quoted("a\"; DROP TABLE b; --"), "\"a\"\"; DROP TABLE b; --\"");
    }
}
