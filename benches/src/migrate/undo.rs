//! Brings a repository back to an earlier migration: what a reference with the earlier ones alone does not have is
//! dropped.

use std::collections::BTreeSet;
use std::path::Path;

use oxbatch_storage::PostgresSettings;
use oxbatch_storage::tokio_postgres::Client;
use rusqlite::Connection;

use super::FROM;
use crate::BoxError;
use crate::rows::history::Store;

const SQLITE: [&str; FROM as usize] = [
    include_str!("../../../crates/storage/migrations/sqlite/0001_executions.sql"),
    include_str!("../../../crates/storage/migrations/sqlite/0002_skipped_items.sql"),
    include_str!("../../../crates/storage/migrations/sqlite/0003_control_totals.sql"),
    include_str!("../../../crates/storage/migrations/sqlite/0004_linked_executions.sql"),
    include_str!("../../../crates/storage/migrations/sqlite/0005_nodes.sql"),
    include_str!("../../../crates/storage/migrations/sqlite/0006_changes.sql"),
];
const POSTGRES: [&str; FROM as usize] = [
    include_str!("../../../crates/storage/migrations/postgres/0001_executions.sql"),
    include_str!("../../../crates/storage/migrations/postgres/0002_skipped_items.sql"),
    include_str!("../../../crates/storage/migrations/postgres/0003_control_totals.sql"),
    include_str!("../../../crates/storage/migrations/postgres/0004_linked_executions.sql"),
    include_str!("../../../crates/storage/migrations/postgres/0005_nodes.sql"),
    include_str!("../../../crates/storage/migrations/postgres/0006_changes.sql"),
];

/// Indexes, columns and tables, as words: kind, table, name.
type Things = BTreeSet<[String; 3]>;

const IN_SQLITE: &str = "SELECT 'INDEX', tbl_name, name FROM sqlite_schema
        WHERE type = 'index' AND name LIKE 'oxbatch%'
    UNION ALL SELECT 'TABLE', name, name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'oxbatch%'
    UNION ALL SELECT 'COLUMN', t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
        WHERE t.type = 'table' AND t.name LIKE 'oxbatch%'";
const IN_POSTGRES: &str = "SELECT 'INDEX', tablename::text, indexname::text FROM pg_indexes
        WHERE tablename LIKE 'oxbatch%' AND indexname NOT LIKE '%_pkey'
    UNION ALL SELECT 'TABLE', tablename::text, tablename::text FROM pg_tables WHERE tablename LIKE 'oxbatch%'
    UNION ALL SELECT 'COLUMN', table_name::text, column_name::text FROM information_schema.columns
        WHERE table_name LIKE 'oxbatch%'";

/// The statements that drop what is there and not in the reference; the migrations are not its own to make.
fn drops(there: &Things, reference: &Things, with_references: &str) -> Vec<String> {
    let more: Vec<_> = there.difference(reference).filter(|[_, table, _]| table != "oxbatch_migration").collect();
    let of = |kind: &str| more.iter().filter(|[of, _, _]| of == kind).copied().collect::<Vec<_>>();
    let tables: BTreeSet<_> = of("TABLE").into_iter().map(|[_, table, _]| table.clone()).collect();
    let is_left = |table: &String| !tables.contains(table);
    let mut all = Vec::new();
    all.extend(
        of("INDEX").into_iter().filter(|[_, table, _]| is_left(table)).map(|[.., name]| format!("DROP INDEX {name}")),
    );
    all.extend(tables.iter().map(|table| format!("DROP TABLE {table}{with_references}")));
    let columns = of("COLUMN").into_iter().filter(|[_, table, _]| is_left(table));
    all.extend(columns.map(|[_, table, name]| format!("ALTER TABLE {table} DROP COLUMN {name}")));
    all.push(format!("DELETE FROM oxbatch_migration WHERE number > {FROM}"));
    all
}

/// Returns the newest migration that there was.
pub(super) fn sqlite(path: &Path) -> Result<i64, BoxError> {
    let reference = Connection::open_in_memory()?;
    reference.execute_batch(&SQLITE.concat())?;
    let connection = Connection::open(path)?;
    let newest = connection.query_row("SELECT max(number) FROM oxbatch_migration", [], |row| row.get(0))?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF")?;
    for statement in drops(&in_sqlite(&connection)?, &in_sqlite(&reference)?, "") {
        connection.execute_batch(&statement).map_err(|error| format!("{statement}: {error}"))?;
    }
    connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(newest)
}

fn in_sqlite(connection: &Connection) -> Result<Things, BoxError> {
    let mut statement = connection.prepare(IN_SQLITE)?;
    let things = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?;
    Ok(things.collect::<Result<_, _>>()?)
}

/// As for SQLite.
pub(super) async fn postgres(url: &str, database: &str) -> Result<i64, BoxError> {
    let server = PostgresSettings::from_url(url)?.connect().await?;
    let name = format!("{database}_reference");
    server.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    server.batch_execute(&format!("CREATE DATABASE {name}")).await?;
    let reference = PostgresSettings::from_url(&Store::database_url(url, &name)?)?.connect().await?;
    reference.batch_execute(&POSTGRES.concat()).await?;
    let client = PostgresSettings::from_url(&Store::database_url(url, database)?)?.connect().await?;
    let newest = client.query_one("SELECT max(number) FROM oxbatch_migration", &[]).await?.try_get(0)?;
    for statement in drops(&in_postgres(&client).await?, &in_postgres(&reference).await?, " CASCADE") {
        client.batch_execute(&statement).await.map_err(|error| format!("{statement}: {error}"))?;
    }
    // The rows are written anew, as they were before.
    client.batch_execute("VACUUM FULL ANALYZE").await?;
    Ok(newest)
}

async fn in_postgres(client: &Client) -> Result<Things, BoxError> {
    let rows = client.query(IN_POSTGRES, &[]).await?;
    let thing = |row: &oxbatch_storage::tokio_postgres::Row| Ok([row.try_get(0)?, row.try_get(1)?, row.try_get(2)?]);
    Ok(rows.iter().map(thing).collect::<Result<_, oxbatch_storage::tokio_postgres::Error>>()?)
}
