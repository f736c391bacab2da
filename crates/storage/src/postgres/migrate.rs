//! Brings the tables up to date, one transaction for each migration, one node at a time.

use oxbatch_core::repository::RepositoryError;
use tokio_postgres::error::SqlState;

use super::connect::unusable;
use super::error::{Said, StoreError};
use super::session::Session;
use super::settings::PostgresSettings;
use super::sql::now;
pub(super) use crate::migrations::NEWEST;
use crate::migrations::{self, MIGRATIONS, Migration};
use crate::upgrade::{Upgrade, in_use};

/// The oldest server whose ways are relied on.
const LEAST_SERVER: i32 = 15;
/// The migration that creates the table of nodes.
const FIRST_WITH_NODES: i64 = 5;
/// Attempts to migrate beside others whose transactions hold the same tables.
const MOST_ATTEMPTS: u32 = 10;
/// The wait before the second attempt; it grows with each.
const BACK_OFF: std::time::Duration = std::time::Duration::from_millis(200);
/// The advisory lock of all who migrate: "oxbatch" in ASCII.
const LOCK: i64 = 0x6f_78_62_61_74_63_68;

/// Checks the server and applies the migrations that the database does not have yet.
pub(super) async fn migrate(
    session: &mut Session,
    settings: &PostgresSettings,
    upgrade: Upgrade,
) -> Result<(), RepositoryError> {
    check_server(session, settings).await?;
    // Nothing is written to a database that is up to date.
    if is_current(session).await.map_err(|error| unusable(settings, error))? {
        return Ok(());
    }
    for migration in MIGRATIONS {
        let mut attempt = 1;
        while let Attempt::Disturbed(error) = bring(session, settings, upgrade, migration).await? {
            if attempt == MOST_ATTEMPTS {
                return Err(refused(settings, error));
            }
            let error = refused(settings, error);
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                attempt,
                "others work on the tables: the migration is repeated"
            );
            tokio::time::sleep(BACK_OFF * attempt).await;
            attempt += 1;
        }
    }
    Ok(())
}

/// The end of an attempt to migrate.
enum Attempt {
    /// The database has the migration.
    Done,
    /// Another transaction was in the way, as in a deadlock: nothing is changed.
    Disturbed(StoreError),
}

/// Brings one migration to the database, in a transaction of its own, unless it has it.
async fn bring(
    session: &mut Session,
    settings: &PostgresSettings,
    upgrade: Upgrade,
    migration: &Migration,
) -> Result<Attempt, RepositoryError> {
    session.enter_transaction();
    // Whoever migrates a large database may take longer than others wait for a row.
    let begun = session.batch("BEGIN; SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0").await;
    let locked = match begun {
        Ok(()) => session.query("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await,
        Err(error) => Err(error),
    };
    locked.map_err(|error| unusable(settings, error))?;
    // Looked at again under the lock: another node may have been faster.
    let applied = applied(session).await.map_err(|error| unusable(settings, error))?;
    if applied > NEWEST {
        let newer = newer(session, settings, applied).await;
        session.roll_back().await;
        return Err(newer);
    }
    let needed = applied == 0 || !has(session, migration.number).await.map_err(|error| unusable(settings, error))?;
    if needed && applied > 0 && upgrade.waits_for_others(migration) {
        let nodes = live_nodes(session, applied).await.map_err(|error| unusable(settings, error))?;
        if !nodes.is_empty() {
            session.roll_back().await;
            return Err(in_use(&settings.address(), migration, &format!("the nodes {}", nodes.join(", "))));
        }
    }
    let applied = if needed { apply(session, migration).await } else { Ok(()) };
    if let Err(error) = applied {
        session.roll_back().await;
        return if error.passes() { Ok(Attempt::Disturbed(error)) } else { Err(refused(settings, error)) };
    }
    session.commit().await.map_err(|error| refused(settings, error))?;
    Ok(Attempt::Done)
}

async fn check_server(session: &Session, settings: &PostgresSettings) -> Result<(), RepositoryError> {
    let unusable_for = |problem| RepositoryError::Unusable { problem, source: None };
    let sql = "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_version'),
         pg_is_in_recovery(), current_setting('server_encoding'), current_setting('default_transaction_read_only') = 'on'";
    let row = session.one(sql, &[]).await.map_err(|error| unusable(settings, error))?;
    let read = || -> Result<(i32, String, bool, String, bool), tokio_postgres::Error> {
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?))
    };
    let (version, name, is_standby, encoding, is_read_only) =
        read().map_err(|error| unusable(settings, error.into()))?;
    let address = settings.address();
    if version < LEAST_SERVER {
        return Err(unusable_for(format!(
            "the server of {address} is PostgreSQL {name}; {LEAST_SERVER} or newer is needed"
        )));
    }
    if is_standby {
        return Err(unusable_for(format!("the server of {address} is a read-only standby; name the primary")));
    }
    if is_read_only {
        return Err(unusable_for(format!(
            "default_transaction_read_only is on for the user or the database of {address}, and what is run has to be recorded: \
             name another user, or take it off with ALTER ROLE … RESET default_transaction_read_only"
        )));
    }
    if encoding != "UTF8" {
        return Err(unusable_for(format!(
            "the database {address} is encoded in {encoding}; create one with: createdb --encoding=UTF8 --template=template0"
        )));
    }
    Ok(())
}

/// The names of the nodes whose last heartbeat is not older than their leases.
async fn live_nodes(session: &Session, applied: i64) -> Result<Vec<String>, StoreError> {
    if applied < FIRST_WITH_NODES {
        return Ok(Vec::new());
    }
    let sql = concat!(
        "SELECT name FROM oxbatch_node WHERE heartbeat + lease * interval '1 microsecond' >= ",
        now!(),
        " ORDER BY name"
    );
    let rows = session.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

async fn apply(session: &Session, migration: &Migration) -> Result<(), StoreError> {
    session
        .batch(
            "CREATE TABLE IF NOT EXISTS oxbatch_migration (
                 number     BIGINT      NOT NULL PRIMARY KEY,
                 name       TEXT        NOT NULL,
                 applied_at TIMESTAMPTZ NOT NULL
             )",
        )
        .await?;
    session.batch(migration.postgres).await?;
    let sql = concat!("INSERT INTO oxbatch_migration (number, name, applied_at) VALUES ($1, $2, ", now!(), ")");
    session.execute(sql, &[&migration.number, &migration.name]).await?;
    Ok(())
}

/// The error of a migration, with what a person has to do.
fn refused(settings: &PostgresSettings, error: StoreError) -> RepositoryError {
    let Some(server) = error.of_server() else { return unusable(settings, error) };
    let (address, user) = (settings.address(), settings.user().unwrap_or("the system's user"));
    let problem = match server.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE || *code == SqlState::INVALID_SCHEMA_NAME => {
            format!(
                "'{user}' may not create tables in the database {address}; let its owner run: \
                 CREATE SCHEMA AUTHORIZATION \"{user}\""
            )
        }
        Some(code) if *code == SqlState::DUPLICATE_TABLE || *code == SqlState::DUPLICATE_OBJECT => format!(
            "the database {address} cannot be migrated; tables whose names begin with oxbatch_ must be the service's own"
        ),
        Some(code) if *code == SqlState::DISK_FULL => format!("no space is left for the database {address}"),
        _ => format!("the database {address} cannot be migrated"),
    };
    let source = server.as_db_error().map(|said| Box::new(Said::of(said)) as Box<_>);
    RepositoryError::Unusable { problem, source }
}

/// Number of the newest migration of the database; 0 for one without any.
pub(super) async fn applied(session: &Session) -> Result<i64, StoreError> {
    // Asked of the catalog's table, not of to_regclass alone: after a wait for the lock that one may answer from a
    // cache.
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_class WHERE relname = 'oxbatch_migration' AND pg_table_is_visible(oid))";
    let exists: bool = session.one(sql, &[]).await?.try_get(0)?;
    if !exists {
        return Ok(0);
    }
    Ok(session.one("SELECT coalesce(max(number), 0) FROM oxbatch_migration", &[]).await?.try_get(0)?)
}

/// The identity of the database: the time at which its first table was made.
pub(super) async fn identity(session: &Session) -> Result<String, StoreError> {
    let sql = "SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::text || '-' ||
         (extract(epoch FROM applied_at) * 1000000)::bigint FROM oxbatch_migration WHERE number = 1";
    Ok(session.one(sql, &[]).await?.try_get(0)?)
}

/// Returns whether the database has a migration; numbers that were set aside may be filled after higher ones.
async fn has(session: &Session, number: i64) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM oxbatch_migration WHERE number = $1)";
    Ok(session.one(sql, &[&number]).await?.try_get(0)?)
}

/// Returns whether the database has the migrations of this version, and no other.
pub(super) async fn is_current(session: &Session) -> Result<bool, StoreError> {
    if applied(session).await? != NEWEST {
        return Ok(false);
    }
    let applied: i64 = session.one("SELECT count(*) FROM oxbatch_migration", &[]).await?.try_get(0)?;
    Ok(migrations::are_all(applied))
}

async fn newer(session: &Session, settings: &PostgresSettings, applied: i64) -> RepositoryError {
    let row = session.optional("SELECT name FROM oxbatch_migration WHERE number = $1", &[&applied]).await;
    let name: String = row.ok().flatten().and_then(|row| row.try_get(0).ok()).unwrap_or_default();
    let problem = migrations::newer(&settings.address().to_string(), applied, &name);
    RepositoryError::Unusable { problem, source: None }
}
