//! CSV → SQLite table.

use std::time::Instant;

use peer_trades::{Answer, BoxError, Task, Trade};
use spring_batch_rs::item::rdbc::RdbcItemWriterBuilder;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

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
        .column("transaction_id", |it: &Trade| it.transaction_id.as_str().into())
        .column("amount", |it: &Trade| it.amount.into())
        .column("currency", |it: &Trade| it.currency.as_str().into())
        .column("timestamp", |it: &Trade| it.timestamp.as_str().into())
        .column("account_from", |it: &Trade| it.account_from.as_str().into())
        .column("account_to", |it: &Trade| it.account_to.as_str().into())
        .column("status", |it: &Trade| it.status.as_str().into())
        .build_sqlite();
    crate::run_copy(task.chunk, &reader, &writer)?;
    let answer = Answer::of(start.elapsed());
    pool.close().await;
    Ok(answer)
}
