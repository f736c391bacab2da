//! The public benchmark: CSV → PostgreSQL → XML → PostgreSQL, as spring-batch-rs publishes it.

use std::path::Path;
use std::time::Instant;

use peer_trades::{Answer, BoxError, Task, Trade, euros, settled};
use serde::{Deserialize, Serialize};
use spring_batch_rs::BatchError;
use spring_batch_rs::core::item::ItemProcessor;
use spring_batch_rs::item::rdbc::{PostgresItemWriter, RdbcItemReaderBuilder, RdbcItemWriterBuilder};
use spring_batch_rs::item::xml::xml_reader::XmlItemReaderBuilder;
use spring_batch_rs::item::xml::xml_writer::XmlItemWriterBuilder;
use sqlx::postgres::PgPoolOptions;
use sqlx::{FromRow, PgPool};

#[derive(Debug, Clone, Serialize, Deserialize, FromRow)]
struct Transaction {
    transaction_id: String,
    amount: f64,
    currency: String,
    timestamp: String,
    account_from: String,
    account_to: String,
    status: String,
    amount_eur: f64,
}

struct ToEuros;

impl ItemProcessor<Trade, Transaction> for ToEuros {
    fn process(&self, trade: Trade) -> Result<Option<Transaction>, BatchError> {
        Ok(Some(Transaction {
            amount_eur: euros(trade.amount, &trade.currency),
            transaction_id: trade.transaction_id,
            amount: trade.amount,
            currency: trade.currency,
            timestamp: trade.timestamp,
            account_from: trade.account_from,
            account_to: trade.account_to,
            status: settled(trade.status),
        }))
    }
}

pub(crate) async fn run(task: &Task) -> Result<Answer, BoxError> {
    let url = std::env::var("DATABASE_URL")?;
    let xml = task.folder.join("spring-batch-rs.xml");
    let pool = PgPoolOptions::new().max_connections(10).connect(&url).await?;
    let mut answer = Answer::default();
    let start = Instant::now();
    import_csv(task, &pool)?;
    answer = answer.with("csv to postgres", start.elapsed());
    let start = Instant::now();
    export_xml(task, &pool, &xml)?;
    answer = answer.with("postgres to xml", start.elapsed());
    let start = Instant::now();
    import_xml(task, &pool, &xml)?;
    answer = answer.with("xml to postgres", start.elapsed());
    pool.close().await;
    Ok(answer)
}

fn writer(pool: &PgPool, table: &str) -> PostgresItemWriter<Transaction> {
    RdbcItemWriterBuilder::<Transaction>::new()
        .postgres(pool)
        .table(table)
        .column("transaction_id", |it: &Transaction| it.transaction_id.as_str().into())
        .column("amount", |it: &Transaction| it.amount.into())
        .column("currency", |it: &Transaction| it.currency.as_str().into())
        .column("timestamp", |it: &Transaction| it.timestamp.as_str().into())
        .column("account_from", |it: &Transaction| it.account_from.as_str().into())
        .column("account_to", |it: &Transaction| it.account_to.as_str().into())
        .column("status", |it: &Transaction| it.status.as_str().into())
        .column("amount_eur", |it: &Transaction| it.amount_eur.into())
        .build_postgres()
}

fn import_csv(task: &Task, pool: &PgPool) -> Result<(), BoxError> {
    let writer = writer(pool, "transactions");
    crate::run_step(task.chunk, &crate::files::reader(task)?, &ToEuros, &writer)
}

fn export_xml(task: &Task, pool: &PgPool, xml: &Path) -> Result<(), BoxError> {
    let reader = RdbcItemReaderBuilder::<Transaction>::new()
        .postgres(pool.clone())
        .query(
            "SELECT transaction_id, amount, currency, timestamp, account_from, account_to, status, amount_eur
             FROM transactions",
        )
        .with_page_size(i32::try_from(task.chunk)?)
        .with_keyset("transaction_id", |item: &Transaction| item.transaction_id.clone())
        .build_postgres();
    let writer =
        XmlItemWriterBuilder::<Transaction>::new().root_tag("transactions").item_tag("transaction").from_path(xml)?;
    crate::run_copy(task.chunk, &reader, &writer)
}

fn import_xml(task: &Task, pool: &PgPool, xml: &Path) -> Result<(), BoxError> {
    let reader = XmlItemReaderBuilder::<Transaction>::new().tag("transaction").from_path(xml)?;
    let writer = writer(pool, "transactions_import");
    crate::run_copy(task.chunk, &reader, &writer)
}
