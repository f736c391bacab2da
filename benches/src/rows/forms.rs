//! The forms of writing to PostgreSQL by the size of the chunk: COPY, arrays, one INSERT for each row, and COPY as
//! text.

use std::any::Any;
use std::fmt::Write as _;
use std::pin::pin;
use std::time::Instant;

use oxbatch_core::repository::{ChunkAck, ChunkSave, ChunkTransaction, RepositoryFuture};
use oxbatch_core::{ItemError, ItemWriter};
use oxbatch_storage::tokio_postgres::Client;
use oxbatch_storage::{PostgresSettings, PostgresWriter, WriteForm};
use serde::Serialize;

use super::server::{execute, url, with_client};
use crate::BoxError;
use crate::measure::median;

const SIZES: [usize; 9] = [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000];
const FORMS: [(&str, Option<WriteForm>); 4] = [
    ("INSERT", Some(WriteForm::Each)),
    ("arrays", Some(WriteForm::Arrays)),
    ("COPY", Some(WriteForm::Copy)),
    ("COPY as text", None),
];
/// Rows of one measurement, and its longest number of chunks.
const ROWS: usize = 60_000;
const CHUNKS: usize = 3_000;

#[derive(Debug, Clone, Serialize)]
struct Line {
    id: i64,
    amount: f64,
    currency: String,
    account: String,
    day: String,
}

/// Prints the speed of each form as a ratio to one INSERT for each row, in turn, `rounds` times.
pub(crate) fn measure(rounds: usize) -> Result<(), BoxError> {
    println!("\nforms of writing: rows/s as a ratio to one INSERT for each row, {rounds} rounds in turn");
    let url = url()?;
    let join = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{join}options=-c%20synchronous_commit%3Doff");
    for keyed in [false, true] {
        println!("  {}", if keyed { "upsert by key" } else { "insert" });
        for size in SIZES {
            let mut speeds: [Vec<f64>; 4] = Default::default();
            for round in 0..=rounds {
                for (speeds, (_, form)) in speeds.iter_mut().zip(FORMS) {
                    if keyed && !matches!(form, Some(WriteForm::Arrays | WriteForm::Copy)) {
                        continue;
                    }
                    let speed = speed(&url, form, size, keyed)?;
                    // The first round warms up.
                    if round > 0 {
                        speeds.push(speed);
                    }
                }
            }
            let base = if keyed { &speeds[1] } else { &speeds[0] };
            let shown = speeds.iter().zip(FORMS).filter(|(speeds, _)| !speeds.is_empty()).map(|(speeds, (name, _))| {
                let ratio = median(speeds.iter().zip(base).map(|(speed, base)| speed / base));
                format!("{name} {ratio:.2} ({:.0}/s)", median(speeds.iter().copied()))
            });
            println!("    chunk {size:>6}: {}", shown.collect::<Vec<_>>().join(", "));
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn speed(url: &str, form: Option<WriteForm>, size: usize, keyed: bool) -> Result<f64, BoxError> {
    let key = if keyed { " PRIMARY KEY" } else { "" };
    let create = format!(
        "DROP TABLE IF EXISTS lines; CREATE TABLE lines (id int8{key}, amount float8, currency text, account text, day date)"
    );
    execute(url, &create)?;
    let chunks = (ROWS / size).clamp(3, CHUNKS);
    let lines: Vec<Line> = (0..)
        .take(size)
        .map(|id| Line {
            id,
            amount: id as f64 * 1.25,
            currency: "EUR".to_owned(),
            account: format!("ACC{id:08}"),
            day: "2024-02-29".to_owned(),
        })
        .collect();
    let start = with_client(url, async |client| {
        let Some(form) = form else { return text(client, &lines, chunks).await };
        let mut writer = PostgresWriter::to(&PostgresSettings::from_url(url)?, "lines").form(form);
        if keyed {
            writer = writer.upsert(["id"]);
        }
        writer.open(None).await.map_err(told)?;
        let start = Instant::now();
        for _ in 0..chunks {
            writer.write(&lines, &mut NoTransaction).await.map_err(told)?;
            writer.flush().await.map_err(told)?;
            writer.committed();
        }
        Ok(start)
    })?;
    Ok((size * chunks) as f64 / start.elapsed().as_secs_f64())
}

fn told(error: ItemError) -> BoxError {
    error.to_string().into()
}

/// The same rows in the text form of COPY, as one would write them by hand.
async fn text(client: &Client, lines: &[Line], chunks: usize) -> Result<Instant, BoxError> {
    use futures_util::SinkExt;
    let statement = client.prepare("COPY lines FROM STDIN").await?;
    let start = Instant::now();
    for _ in 0..chunks {
        client.batch_execute("BEGIN").await?;
        let mut rows = String::with_capacity(1 << 16);
        for Line { id, amount, currency, account, day } in lines {
            write!(rows, "{id}\t{amount}\t")?;
            for (text, end) in [(currency, '\t'), (account, '\t'), (day, '\n')] {
                for character in text.chars() {
                    match character {
                        '\\' => rows.push_str("\\\\"),
                        '\t' => rows.push_str("\\t"),
                        '\n' => rows.push_str("\\n"),
                        '\r' => rows.push_str("\\r"),
                        other => rows.push(other),
                    }
                }
                rows.push(end);
            }
        }
        let mut sink = pin!(client.copy_in::<_, bytes::Bytes>(&statement).await?);
        sink.feed(bytes::Bytes::from(rows)).await?;
        sink.finish().await?;
        client.batch_execute("COMMIT").await?;
    }
    Ok(start)
}

/// Writers of other databases take no notice of the chunk's transaction.
struct NoTransaction;

impl ChunkTransaction for NoTransaction {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn commit<'a>(&'a mut self, _: ChunkSave<'a>) -> RepositoryFuture<'a, ChunkAck> {
        Box::pin(std::future::ready(Ok(ChunkAck { stop_requested: false })))
    }

    fn rollback(&mut self) -> RepositoryFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
