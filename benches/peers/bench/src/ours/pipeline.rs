//! The public benchmark by Oxbatch: one job of three steps, its repository in the same database.

use std::path::PathBuf;
use std::time::Duration;

use oxbatch_core::item::FunctionProcessor;
use oxbatch_core::{BuildError, ChunkStep, Job};
use oxbatch_formats::{CsvReader, XmlReader, XmlWriter};
use oxbatch_storage::{PostgresReader, PostgresWriter};
use peer_trades::{Answer, BoxError, Task, Trade, euros, settled};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
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

impl From<Trade> for Transaction {
    fn from(trade: Trade) -> Self {
        Self {
            amount_eur: euros(trade.amount, &trade.currency),
            transaction_id: trade.transaction_id,
            amount: trade.amount,
            currency: trade.currency,
            timestamp: trade.timestamp,
            account_from: trade.account_from,
            account_to: trade.account_to,
            status: settled(trade.status),
        }
    }
}

pub(super) fn run(task: &Task, chunk: u32) -> Result<Answer, BoxError> {
    let job = job(task.input(), task.folder.join("oxbatch.xml"), chunk)?;
    let (time, steps) = super::on_postgres(job)?;
    let mut answer = Answer::of(time);
    for step in steps {
        let end = step.end_time.ok_or("a step has no end")?;
        let part: Duration = end.duration_since(step.start_time).try_into()?;
        answer.parts.insert(step.step_name, part.as_secs_f64());
    }
    Ok(answer)
}

fn job(csv: PathBuf, xml: PathBuf, chunk: u32) -> Result<Job, BuildError> {
    let exported = xml.clone();
    Job::builder("Benchmark")
        .step(
            ChunkStep::builder("csv to postgres")
                .reader(move |_| Ok(CsvReader::<Trade>::new(&csv)))
                .processor(|_| Ok(FunctionProcessor::new(|trade: Trade| Ok(Some(Transaction::from(trade))))))
                .writer(|context| Ok(PostgresWriter::<Transaction>::new(context, "transactions")))
                .chunk_size(chunk),
        )
        .step(
            ChunkStep::builder("postgres to xml")
                .reader(|context| {
                    let query = "SELECT transaction_id, amount, currency, timestamp, account_from, account_to, status,
                                 amount_eur FROM transactions";
                    Ok(PostgresReader::<Transaction>::new(context, query, ["transaction_id"]).copy())
                })
                .writer(move |context| {
                    Ok(XmlWriter::<Transaction>::new(context, &exported).elements("transactions", "transaction"))
                })
                .chunk_size(chunk),
        )
        .step(
            ChunkStep::builder("xml to postgres")
                .reader(move |_| Ok(XmlReader::<Transaction>::new(&xml, "transaction")))
                .writer(|context| Ok(PostgresWriter::<Transaction>::new(context, "transactions_import")))
                .chunk_size(chunk),
        )
        .build()
}
