//! From what the server says to an error with an item: its kind for the policies, its row, and a sentence.

use oxbatch_core::item::{ErrorKind, ItemError};
use tokio_postgres::Error;
use tokio_postgres::error::DbError;

/// The error of the server, with the purpose of the statement.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct Refused {
    what: String,
    source: Error,
}

/// The server's answer with its details, as one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
struct ServerError {
    sentence: String,
}

/// An error of the server's. `what` reads well behind "failed to": `write to table 'trades'`.
pub(crate) fn item_error(what: &str, error: Error) -> ItemError {
    let Some(server) = error.as_db_error() else {
        // The connection is gone, or the value never left: the next attempt makes a new connection.
        let lost =
            error.is_closed() || std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>());
        let kind = if lost { ErrorKind::Transient } else { ErrorKind::Other };
        return ItemError::new(kind, Refused { what: format!("failed to {what}"), source: error });
    };
    let sentence = format!("failed to {what}: {}", sentence(server));
    let converted = ItemError::new(kind(server), ServerError { sentence });
    match server.where_().and_then(copied_line) {
        Some((line, _)) => converted.at(format!("row {line} of the chunk")),
        None => converted,
    }
}

/// The kind by the class of the code (PostgreSQL's documentation, appendix A).
fn kind(error: &DbError) -> ErrorKind {
    let code = error.code().code();
    match code {
        // The value does not fit: too long, out of range, malformed; a column of a wrong type.
        _ if code.starts_with("22") => ErrorKind::Validation,
        _ if code.starts_with("23") => ErrorKind::Constraint,
        // A name that is too long for its type.
        "42622" => ErrorKind::Validation,
        // What a view's check option or a trigger's own code refuses.
        "44000" | "P0001" => ErrorKind::Constraint,
        // A row that a policy refuses has the code of a missing privilege, which would be one of all rows.
        "42501" if error.routine() == Some("ExecWithCheckOptions") => ErrorKind::Constraint,
        // Deadlocks, serialization, locks that are not free, lost connections, a server that restarts or is full.
        "40001" | "40P01" | "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "57P04" => ErrorKind::Transient,
        _ if code.starts_with("08") || code.starts_with("53") => ErrorKind::Transient,
        _ => ErrorKind::Other,
    }
}

/// The server's message, the value and the constraint included.
fn sentence(error: &DbError) -> String {
    let mut sentence = match error.code().code() {
        "57014" => format!("the statement took longer than the server allows ({})", error.message()),
        "53100" => format!("no space is left on the server's disk ({})", error.message()),
        _ => error.message().to_owned(),
    };
    if let Some((_, Some(column))) = error.where_().and_then(copied_line) {
        sentence.push_str(&format!(" (column {column})"));
    }
    if let Some(detail) = error.detail() {
        sentence.push_str(&format!("; {}", detail.trim_end_matches('.')));
    }
    if let Some(hint) = error.hint() {
        sentence.push_str(&format!("; {}", hint.trim_end_matches('.')));
    }
    sentence
}

/// The line and the column of `COPY trades, line 17, column amount: "x"`.
fn copied_line(context: &str) -> Option<(u64, Option<&str>)> {
    let rest = context.lines().find(|line| line.starts_with("COPY "))?;
    let (_, rest) = rest.split_once(", line ")?;
    let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    let column = rest[digits..].strip_prefix(", column ").map(|rest| rest.split(':').next().unwrap_or(rest));
    Some((rest[..digits].parse().ok()?, column))
}

#[cfg(test)]
mod tests {
    use super::copied_line;

    #[test]
    fn the_row_and_the_column_are_read_from_the_context_of_a_copy() {
        assert_eq!(copied_line("COPY trades, line 17, column amount: \"x\""), Some((17, Some("amount"))));
        assert_eq!(copied_line("COPY trades, line 3"), Some((3, None)));
        assert_eq!(copied_line("COPY trades, line 3: \"a,b\""), Some((3, None)));
        assert_eq!(
            copied_line("PL/pgSQL function f() line 3 at RAISE\nCOPY t, line 9, column a"),
            Some((9, Some("a")))
        );
        assert_eq!(copied_line("SQL statement \"x\""), None);
    }
}
