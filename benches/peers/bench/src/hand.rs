//! The same work by hand: what an author would write without any engine.

use std::fs::File;
use std::hint::black_box;
use std::io::BufWriter;
use std::process::Command;
use std::time::Instant;

use oxbatch_storage::tokio_postgres::{self, NoTls};
use peer_trades::{Answer, BoxError, Task, Trade, sum, transform, work};
use rusqlite::{Connection, params};

/// The table of row 7, for all programs.
pub(crate) const TABLE: &str = "CREATE TABLE trades (transaction_id TEXT, amount REAL, currency TEXT, timestamp TEXT,
                                account_from TEXT, account_to TEXT, status TEXT) STRICT";

pub(crate) fn run(task: &Task) -> Result<Answer, BoxError> {
    match task.work.as_str() {
        "engine" => memory(task),
        "csv" => files(task),
        "sqlite" => sqlite(task),
        "commits" => commits(task),
        other => Err(format!("no work '{other}' by hand").into()),
    }
}

fn memory(task: &Task) -> Result<Answer, BoxError> {
    let start = Instant::now();
    let mut source = black_box(0..task.rows);
    let mut chunk = Vec::with_capacity(task.chunk);
    let mut total = 0_u64;
    loop {
        chunk.clear();
        let mut read = 0;
        for item in source.by_ref().take(task.chunk) {
            read += 1;
            chunk.extend(work(item));
        }
        if read == 0 {
            break;
        }
        total = total.wrapping_add(sum(black_box(&chunk)));
    }
    Ok(Answer { checksum: Some(total), ..Answer::of(start.elapsed()) })
}

fn reader(task: &Task) -> Result<csv::Reader<File>, BoxError> {
    Ok(csv::ReaderBuilder::new().buffer_capacity(1 << 16).from_path(task.input())?)
}

fn files(task: &Task) -> Result<Answer, BoxError> {
    let start = Instant::now();
    let mut reader = reader(task)?;
    let output = File::create(task.folder.join("hand.csv"))?;
    let mut writer = csv::Writer::from_writer(BufWriter::with_capacity(1 << 16, output));
    for trade in reader.deserialize::<Trade>() {
        if let Some(trade) = transform(trade?) {
            writer.serialize(trade)?;
        }
    }
    writer.flush()?;
    Ok(Answer::of(start.elapsed()))
}

fn sqlite(task: &Task) -> Result<Answer, BoxError> {
    let start = Instant::now();
    let connection = Connection::open(task.folder.join("hand.db"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(TABLE)?;
    let mut insert = connection.prepare("INSERT INTO trades VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let mut reader = reader(task)?;
    let mut trades = reader.deserialize::<Trade>().peekable();
    while trades.peek().is_some() {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for trade in trades.by_ref().take(task.chunk) {
            let t = trade?;
            insert.execute(params![
                t.transaction_id,
                t.amount,
                t.currency,
                t.timestamp,
                t.account_from,
                t.account_to,
                t.status
            ])?;
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(Answer::of(start.elapsed()))
}

/// A transaction an item with one prepared UPDATE; as Oxbatch's chunks, it does not wait for the disk.
fn commits(task: &Task) -> Result<Answer, BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut client, connection) = tokio_postgres::connect(&std::env::var("DATABASE_URL")?, NoTls).await?;
        tokio::spawn(connection);
        client
            .batch_execute(
                "SET synchronous_commit = off;
                 DROP TABLE IF EXISTS by_hand;
                 CREATE TABLE by_hand (id bigint PRIMARY KEY, state text, reads bigint, writes bigint, commits bigint);
                 INSERT INTO by_hand VALUES (1, '', 0, 0, 0)",
            )
            .await?;
        let update = client
            .prepare("UPDATE by_hand SET state = $2, reads = $3, writes = $3, commits = $3 WHERE id = $1")
            .await?;
        let start = Instant::now();
        for item in 1..=i64::try_from(task.rows)? {
            let transaction = client.transaction().await?;
            let state = format!("{{\"v\":1,\"reader\":{item}}}");
            transaction.execute(&update, &[&1_i64, &state, &item]).await?;
            transaction.commit().await?;
        }
        let answer = Answer::of(start.elapsed());
        let count: i64 = client.query_one("SELECT commits FROM by_hand", &[]).await?.get(0);
        Ok(Answer { checksum: Some(u64::try_from(count)?), ..answer })
    })
}

/// The yardstick of row 4: PostgreSQL's own client and one COPY of a file that needs no processing.
pub(crate) fn psql(task: &Task) -> Result<Answer, BoxError> {
    let copy = format!("\\copy transactions from '{}' csv", task.folder.join("ready.csv").display());
    let start = Instant::now();
    let status = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--command", &copy])
        .arg(std::env::var("DATABASE_URL")?)
        .status()?;
    if !status.success() {
        return Err(format!("psql: {status}").into());
    }
    Ok(Answer::default().with("csv to postgres", start.elapsed()))
}
