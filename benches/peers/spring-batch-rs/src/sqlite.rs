//! CSV → SQLite table.

use std::time::Instant;

use peer_trades::{Answer, BoxError, Task, Trade};
use spring_batch_rs::core::item::PassThroughProcessor;
use spring_batch_rs::item::rdbc::{DatabaseItemBinder, RdbcItemWriterBuilder};
use sqlx::Sqlite;
use sqlx::query_builder::Separated;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

struct Binder;

impl DatabaseItemBinder<Trade, Sqlite> for Binder {
    fn bind(&self, item: &Trade, mut query: Separated<'_, '_, Sqlite, &str>) {
        query.push_bind(item.transaction_id.clone());
        query.push_bind(item.amount);
        query.push_bind(item.currency.clone());
        query.push_bind(item.timestamp.clone());
        query.push_bind(item.account_from.clone());
        query.push_bind(item.account_to.clone());
        query.push_bind(item.status.clone());
    }
}

pub(crate) async fn run(task: &Task) -> Result<Answer, BoxError> {
    let start = Instant::now();
    let options = SqliteConnectOptions::new()
        .filename(task.folder.join("spring-batch-rs.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    sqlx::query(
        "CREATE TABLE trades (transaction_id TEXT, amount REAL, currency TEXT, timestamp TEXT,
         account_from TEXT, account_to TEXT, status TEXT) STRICT",
    )
    .execute(&pool)
    .await?;
    let reader = crate::files::reader(task)?;
    let writer = RdbcItemWriterBuilder::<Trade>::new()
        .sqlite(&pool)
        .table("trades")
        .add_column("transaction_id")
        .add_column("amount")
        .add_column("currency")
        .add_column("timestamp")
        .add_column("account_from")
        .add_column("account_to")
        .add_column("status")
        .sqlite_binder(&Binder)
        .build_sqlite();
    crate::run_step(task.chunk, &reader, &PassThroughProcessor::<Trade>::new(), &writer)?;
    let answer = Answer::of(start.elapsed());
    pool.close().await;
    Ok(answer)
}
