//! The jobs of the nodes: rows into PostgreSQL, a file, and a step that fails now and then.

use std::time::Duration;

use oxbatch::item::{Checkpoint, CsvWriter, FunctionProcessor};
use oxbatch::postgres::PostgresChunkTransaction;
use oxbatch::repository::ChunkTransaction;
use oxbatch::{
    BoxError, ChunkStep, ItemError, ItemReader, ItemWriter, Job, JobRegistry, ParameterDeclaration, RegistryError,
    RetryPolicy, SkipPolicy, StepContext, TaskStep,
};
use serde::Serialize;

use crate::expectation::{Fate, fate, size, value};
use crate::power;
use crate::random::{Random, mixed};

/// The work whose outcome is counted.
pub(crate) const BATCH: &str = "Batch";
/// Work of which one at most runs at a time, on all nodes together.
pub(crate) const LONELY: &str = "Lonely";
/// Quick work that fills the queue.
pub(crate) const QUICK: &str = "Quick";

/// The table of rows: without a key, so that a doubled row would be there and be seen.
pub(crate) const CREATE: &str =
    "CREATE TABLE IF NOT EXISTS chaos_row (batch BIGINT NOT NULL, number BIGINT NOT NULL, value BIGINT NOT NULL);
     CREATE INDEX IF NOT EXISTS chaos_row_of_batch ON chaos_row (batch)";

const NUMBERS_BETWEEN_PAUSES: u64 = 20;
const PAUSE: Duration = Duration::from_millis(15);

pub(crate) fn registry() -> Result<JobRegistry, RegistryError> {
    let batch = Job::builder(BATCH)
        .parameter(ParameterDeclaration::integer("batch").required())
        .step(rows())
        .step(export())
        .step(TaskStep::builder("Settle", settle))
        .build()?;
    let lonely = Job::builder(LONELY)
        .priority(5)
        .max_running(1)
        .step(TaskStep::builder_async("Alone", async |context: StepContext| {
            context.sleep(Duration::from_millis(100)).await?;
            Ok(())
        }))
        .build()?;
    let quick = Job::builder(QUICK).priority(-5).step(TaskStep::builder("Nothing", |_| Ok(()))).build()?;
    JobRegistry::new([batch, lonely, quick].into_iter().chain(power::jobs::jobs()?))
}

fn number_of(context: &StepContext) -> Result<u64, BoxError> {
    Ok(context.parameters().integer("batch")?.cast_unsigned())
}

fn rows() -> impl oxbatch::step::IntoStep {
    ChunkStep::builder("Rows")
        .reader(|context| Ok(Numbers::of(number_of(context)?)))
        .processor(|context| {
            let batch = number_of(context)?;
            Ok(FunctionProcessor::new(move |number: u64| match fate(batch, number) {
                Fate::Written => Ok(Some(Row { batch, number, value: value(batch, number) })),
                Fate::Filtered => Ok(None),
                Fate::Skipped => Err(ItemError::validation("nobody wants it").at(format!("number {number}"))),
            }))
        })
        .writer(|context| {
            Ok(RowWriter { random: Random::new(mixed(&[context.step_execution_id().0.cast_unsigned()])) })
        })
        .skip(SkipPolicy::new(1_000))
        .retry(RetryPolicy::new(5))
        .chunk_size(40)
}

fn export() -> impl oxbatch::step::IntoStep {
    ChunkStep::builder("Export")
        .reader(|context| Ok(Numbers::of(number_of(context)?)))
        .processor(|context| {
            let batch = number_of(context)?;
            Ok(FunctionProcessor::new(move |number: u64| {
                Ok((fate(batch, number) != Fate::Filtered).then(|| Line { number, value: value(batch, number) }))
            }))
        })
        .writer(|context| Ok(CsvWriter::<Line>::new(context, format!("out/{}.csv", number_of(context)?))))
        .chunk_size(60)
}

/// Fails for two executions in five, so that somebody has to launch the instance again.
fn settle(context: &StepContext) -> Result<(), BoxError> {
    match mixed(&[number_of(context)?, context.execution_id().0.cast_unsigned()]) % 5 {
        0 | 1 => Err("not today".into()),
        _ => Ok(()),
    }
}

/// Numbers, with pauses in which something can happen.
struct Numbers {
    next: u64,
    end: u64,
}

impl Numbers {
    fn of(batch: u64) -> Self {
        Self { next: 0, end: size(batch) }
    }
}

impl ItemReader for Numbers {
    type Item = u64;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        if let Some(checkpoint) = checkpoint {
            self.next = checkpoint.read()?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        if self.next == self.end {
            return Ok(None);
        }
        if self.next.is_multiple_of(NUMBERS_BETWEEN_PAUSES) {
            tokio::time::sleep(PAUSE).await;
        }
        self.next += 1;
        Ok(Some(self.next - 1))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.next).map(Some)
    }
}

#[derive(Debug)]
struct Row {
    batch: u64,
    number: u64,
    value: i64,
}

#[derive(Debug, Serialize)]
struct Line {
    number: u64,
    value: i64,
}

/// Writes rows in the chunk's transaction; now and then it fails half-way, and is repeated.
struct RowWriter {
    random: Random,
}

impl ItemWriter<Row> for RowWriter {
    async fn write(&mut self, rows: &[Row], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        let client = PostgresChunkTransaction::of(transaction)?.client().await.map_err(ItemError::transient)?;
        for half in [&rows[..rows.len() / 2], &rows[rows.len() / 2..]] {
            let batches: Vec<i64> = half.iter().map(|row| row.batch.cast_signed()).collect();
            let numbers: Vec<i64> = half.iter().map(|row| row.number.cast_signed()).collect();
            let values: Vec<i64> = half.iter().map(|row| row.value).collect();
            let sql = "INSERT INTO chaos_row (batch, number, value)
                 SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])";
            client.execute(sql, &[&batches, &numbers, &values]).await.map_err(ItemError::transient)?;
            if self.random.below(40) == 0 {
                return Err(ItemError::transient("the ink has run out for a moment"));
            }
        }
        Ok(())
    }
}
