//! Brings the tables up to date, one transaction for each migration.

use std::path::Path;

use oxbatch_core::repository::RepositoryError;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::error::classify;
use super::open::unusable;
use super::sql::now;
pub(super) use crate::migrations::NEWEST;
use crate::migrations::{self, MIGRATIONS, Migration};
use crate::presence::{Absent, Presence};
use crate::upgrade::{Upgrade, in_use};

const OPERATION: &str = "migrate the database";

/// Applies the migrations that the database does not have yet.
pub(super) fn migrate(connection: &mut Connection, path: &Path, upgrade: Upgrade) -> Result<(), RepositoryError> {
    let classified = |error| classify(OPERATION, error);
    // Nothing is written to a database that is up to date.
    if is_current(connection).map_err(classified)? {
        return Ok(());
    }
    for migration in MIGRATIONS {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(classified)?;
        // Looked at again inside of the transaction: another process may be doing the same.
        let applied = applied(&transaction).map_err(classified)?;
        if applied > NEWEST {
            return Err(newer(&transaction, path, applied));
        }
        if applied == 0 || !has(&transaction, migration.number).map_err(classified)? {
            let others = || Presence::new(path.to_owned(), Absent::Dead).others_live();
            if applied > 0 && upgrade.waits_for_others(migration) && others() {
                return Err(in_use(&format!("'{}'", path.display()), migration, "processes"));
            }
            apply(&transaction, migration).map_err(|error| collision(error, path))?;
        }
        transaction.commit().map_err(classified)?;
    }
    Ok(())
}

fn apply(transaction: &Transaction<'_>, migration: &Migration) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS oxbatch_migration (
             number     INTEGER NOT NULL PRIMARY KEY,
             name       TEXT    NOT NULL,
             applied_at INTEGER NOT NULL
         ) STRICT",
    )?;
    transaction.execute_batch(migration.sqlite)?;
    transaction.execute(
        concat!("INSERT INTO oxbatch_migration (number, name, applied_at) VALUES (?1, ?2, ", now!(), ")"),
        params![migration.number, migration.name],
    )?;
    Ok(())
}

/// The error of a migration. One that the statements themselves do not fit is somebody else's table in the way; SQLite
/// repeats all of them in its own message.
fn collision(error: rusqlite::Error, path: &Path) -> RepositoryError {
    let rusqlite::Error::SqlInputError { msg, .. } = &error else { return classify(OPERATION, error) };
    let problem = format!(
        "the database '{}' cannot be migrated: {msg}; tables whose names begin with oxbatch_ must be the service's own",
        path.display()
    );
    unusable(problem, None)
}

/// Number of the newest migration of the database; 0 for one without any.
pub(super) fn applied(connection: &Connection) -> rusqlite::Result<i64> {
    let exists: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'oxbatch_migration')",
        [],
        |row| row.get(0),
    )?;
    if !exists {
        return Ok(0);
    }
    connection.query_row("SELECT coalesce(max(number), 0) FROM oxbatch_migration", [], |row| row.get(0))
}

/// Returns whether the database has a migration; numbers that were set aside may be filled after higher ones.
fn has(connection: &Connection, number: i64) -> rusqlite::Result<bool> {
    connection
        .query_row("SELECT EXISTS (SELECT 1 FROM oxbatch_migration WHERE number = ?1)", [number], |row| row.get(0))
}

/// Returns whether the database has the migrations of this version, and no other.
pub(super) fn is_current(connection: &Connection) -> rusqlite::Result<bool> {
    if applied(connection)? != NEWEST {
        return Ok(false);
    }
    let applied: i64 = connection.query_row("SELECT count(*) FROM oxbatch_migration", [], |row| row.get(0))?;
    Ok(migrations::are_all(applied))
}

fn newer(connection: &Connection, path: &Path, applied: i64) -> RepositoryError {
    let name: Option<String> = connection
        .query_row("SELECT name FROM oxbatch_migration WHERE number = ?1", [applied], |row| row.get(0))
        .optional()
        .unwrap_or_default();
    let name = name.unwrap_or_default();
    let problem = migrations::newer(&format!("'{}'", path.display()), applied, &name);
    unusable(problem, None)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_bundled_sqlite_has_the_fixes_that_are_relied_on() {
        assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
    }
}
