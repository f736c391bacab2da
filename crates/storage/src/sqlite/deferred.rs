//! Deferred foreign keys: SQLite checks them in the commit alone, so a trial is a commit that is vetoed.

use rusqlite::{Connection, Error, ffi};

/// Checks the deferred foreign keys of the transaction that is open, and undoes it: a commit checks them before it asks
/// the hook, which turns it into a roll-back.
///
/// # Errors
/// That of the commit, for which [`is_deferred_violation`] holds when a foreign key is broken; the transaction is still
/// open then.
pub(crate) fn check_deferred(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.commit_hook(Some(|| true))?;
    let ended = connection.execute_batch("COMMIT");
    connection.commit_hook(None::<fn() -> bool>)?;
    match ended {
        Err(Error::SqliteFailure(code, _)) if code.extended_code == ffi::SQLITE_CONSTRAINT_COMMITHOOK => Ok(()),
        // Nothing was changed, so nobody was asked.
        ended => ended,
    }
}

/// A commit that fails by this has found a broken foreign key.
pub(crate) fn is_deferred_violation(error: &Error) -> bool {
    matches!(error, Error::SqliteFailure(code, _) if code.extended_code == ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str = "CREATE TABLE species (name TEXT PRIMARY KEY) STRICT;
        CREATE TABLE strike (species TEXT REFERENCES species DEFERRABLE INITIALLY DEFERRED) STRICT;";

    #[test]
    fn a_trial_finds_what_the_commit_would_refuse_and_keeps_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        connection.execute_batch(TABLES).unwrap();
        let cases = [
            ("INSERT INTO strike VALUES ('gull')", false),
            ("INSERT INTO strike VALUES ('gull'); INSERT INTO species VALUES ('gull')", true),
            ("INSERT INTO species VALUES ('gull')", true),
            ("SELECT 1", true),
        ];
        for (statements, is_good) in cases {
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            connection.execute_batch(statements).unwrap();
            match check_deferred(&mut connection) {
                Ok(()) => assert!(is_good, "{statements}"),
                Err(error) => assert!(!is_good && is_deferred_violation(&error), "{statements}: {error}"),
            }
            if !connection.is_autocommit() {
                connection.execute_batch("ROLLBACK").unwrap();
            }
            let kept: i64 = connection.query_row("SELECT count(*) FROM species", [], |row| row.get(0)).unwrap();
            assert_eq!(kept, 0, "{statements}");
        }
        // The next commit asks nobody.
        connection.execute_batch("BEGIN; INSERT INTO species VALUES ('gull'); COMMIT").unwrap();
    }
}
