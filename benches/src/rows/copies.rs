//! The processor time of a server for a million rows: COPY as text against binary, as one statement and in chunks.

use std::fs;
use std::pin::pin;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use oxbatch_storage::tokio_postgres::Client;

use super::server::{execute, url, with_client};
use crate::BoxError;
use crate::measure::median;

const ROWS: u32 = 1_000_000;
/// Rows of one COPY: all of them, and as many as a chunk of a step has.
const SIZES: [u32; 3] = [ROWS, 10_000, 1_000];
/// The table of the comparison with `\copy`.
const TABLE: &str =
    "DROP TABLE IF EXISTS copied; CREATE TABLE copied (transaction_id text, amount float8, currency text,
    timestamp timestamptz, account_from text, account_to text, status text); CHECKPOINT";
const ROW: &str = "SELECT 'TXN-' || lpad(n::text, 12, '0'), round((n % 99991) * 1.37::numeric, 2)::float8,
    (ARRAY['USD', 'EUR', 'GBP', 'JPY'])[n % 4 + 1], timestamptz '2024-01-01' + n * interval '1 second',
    'ACC' || lpad((n % 7919)::text, 8, '0'), 'ACC' || lpad((n % 7907)::text, 8, '0'),
    (ARRAY['PENDING', 'COMPLETED', 'FAILED'])[n % 3 + 1]";

/// Prints the server's time and the client's wait for each form and size, in turn, `rounds` times.
pub(crate) fn measure(rounds: usize) -> Result<(), BoxError> {
    println!("\nCOPY of a million rows: CPU seconds of the server, {rounds} rounds in turn");
    let url = url()?;
    let kinds: Vec<_> = SIZES.into_iter().flat_map(|size| [("text", size), ("binary", size)]).collect();
    let mut measured = vec![(Vec::new(), Vec::new()); kinds.len()];
    for _ in 0..rounds {
        for ((form, size), (cpu, seconds)) in kinds.iter().zip(&mut measured) {
            execute(&url, TABLE)?;
            let (of_server, waited) = with_client(&url, async |client| one(client, form, *size).await)?;
            cpu.push(of_server);
            seconds.push(waited);
        }
    }
    for ((form, size), (cpu, seconds)) in kinds.iter().zip(measured) {
        let (cpu, seconds) = (median(cpu.into_iter()), median(seconds.into_iter()));
        println!("  {form:>6}, {size:>9} rows in a transaction: {cpu:.2} CPU s, {seconds:.2} s");
    }
    Ok(())
}

/// Copies the rows in the form of one. The messages are ready before.
async fn one(client: &Client, form: &str, size: u32) -> Result<(f64, f64), BoxError> {
    let mut copies = Vec::new();
    for first in (0..ROWS).step_by(size as usize) {
        let last = first + size - 1;
        let out = format!("COPY ({ROW} FROM generate_series({first}, {last}) AS n) TO STDOUT (FORMAT {form})");
        let mut stream = pin!(client.copy_out(out.as_str()).await?);
        let mut bytes = BytesMut::new();
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece?);
        }
        copies.push(bytes.freeze());
    }
    let statement = client.prepare(&format!("COPY copied FROM STDIN (FORMAT {form})")).await?;
    let postmaster = postmaster(client).await?;
    let (before, start) = (cpu_seconds(postmaster)?, Instant::now());
    for mut copy in copies {
        client.batch_execute("BEGIN").await?;
        let mut sink = pin!(client.copy_in::<_, Bytes>(&statement).await?);
        while !copy.is_empty() {
            sink.feed(copy.split_to(copy.len().min(64 * 1024))).await?;
        }
        sink.finish().await?;
        client.batch_execute("COMMIT").await?;
    }
    let waited = start.elapsed().as_secs_f64();
    Ok((cpu_seconds(postmaster)? - before, waited))
}

/// The server's first process.
async fn postmaster(client: &Client) -> Result<u32, BoxError> {
    let backend: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    let stat = fs::read_to_string(format!("/proc/{backend}/stat"))?;
    let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
    Ok(parent.ok_or("the server's first process was not found")?.parse()?)
}

/// The time of the server with all its processes, those that have ended included; the kernel counts in hundredths of a
/// second.
#[expect(clippy::cast_precision_loss, reason = "a count of ticks")]
fn cpu_seconds(postmaster: u32) -> Result<f64, BoxError> {
    let mut ticks = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process may end between the listing and the look at it.
        let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        if id == postmaster {
            ticks += (11..15).map(number).sum::<u64>();
        } else if number(1) == u64::from(postmaster) {
            ticks += number(11) + number(12);
        }
    }
    Ok(ticks as f64 / 100.0)
}
