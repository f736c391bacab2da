//! Constraints that only a commit checks: the row that breaks one is found by trials, and skipped.

use std::path::Path;
use std::sync::Arc;

use oxbatch_core::item::{Checkpoint, ErrorKind, FunctionProcessor, ListWriter, TeeWriter};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::{ChunkStep, Engine, ItemError, ItemWriter, Job, SkipPolicy, Status, StepContext};
use oxbatch_storage::SqliteWriter;
use oxbatch_storage::rusqlite::Connection;
use serde::Serialize;

use super::harness::{Numbers, ON_POSTGRES, TestStore, contents, launch, list, steps};

const ROWS: u64 = 60;
const BAD: [i64; 3] = [7, 27, 47];
const TABLES: &str = "CREATE TABLE IF NOT EXISTS species (name TEXT PRIMARY KEY);
    INSERT INTO species VALUES ('gull') ON CONFLICT DO NOTHING;
    CREATE TABLE IF NOT EXISTS strike (id BIGINT, species TEXT REFERENCES species DEFERRABLE INITIALLY DEFERRED);";

#[derive(Serialize)]
struct Strike {
    id: u64,
    species: &'static str,
}

fn strike(id: u64) -> Strike {
    Strike { id, species: if id % 20 == 7 { "unknown" } else { "gull" } }
}

fn import<W: ItemWriter<Strike> + 'static>(
    skips: Option<u64>,
    writer: impl Fn(&StepContext) -> W + Send + Sync + 'static,
) -> Job {
    let step = ChunkStep::builder("Import")
        .reader(|_| Ok(Numbers::new(ROWS, |_| Ok(()))))
        .processor(|_| Ok(FunctionProcessor::new(|id: u64| Ok(Some(strike(id))))))
        .writer(move |context| Ok(writer(context)))
        .chunk_size(10);
    let step = match skips {
        Some(limit) => step.skip(SkipPolicy::new(limit)),
        None => step,
    };
    Job::builder("Import").step(step).build().unwrap()
}

/// A job whose rows go to the repository's own database.
fn own(skips: Option<u64>) -> Job {
    #[cfg(feature = "postgres")]
    if ON_POSTGRES {
        return import(skips, |context| oxbatch_storage::PostgresWriter::new(context, "strike").leave_deferred());
    }
    import(skips, |_| SqliteWriter::new("strike"))
}

fn ids_in(path: &Path) -> Vec<i64> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT id FROM strike ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn ids(place: &TestStore) -> Vec<i64> {
    #[cfg(feature = "postgres")]
    if let Some(database) = place.database() {
        let found = database.query("SELECT id FROM strike ORDER BY id");
        return found.iter().map(|id| id.parse().unwrap()).collect();
    }
    ids_in(&place.path("oxbatch.db"))
}

fn good() -> Vec<i64> {
    (0..60).filter(|id| !BAD.contains(id)).collect()
}

async fn imports_all_but_the_bad(engine: &Engine) {
    let execution = launch(engine, "Import").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    let step = &steps(engine, execution.id).await[0];
    assert_eq!((step.counters.write, step.counters.write_skip, step.counters.commit), (57, 3, 6));
    let kept = engine.repository().skips(step.id, None, 10).await.unwrap().skips;
    for (skip, id) in kept.iter().zip(BAD) {
        assert_eq!(skip.item.item, Some(id.to_string()));
        let error = skip.item.error.to_lowercase();
        assert!(error.contains("foreign key"), "{error}");
    }
}

#[tokio::test]
async fn a_row_that_the_commit_refuses_is_skipped_and_the_rest_of_its_chunk_is_written() {
    let place = TestStore::new();
    let engine = place.node([own(Some(3))]).await;
    place.execute(TABLES);
    imports_all_but_the_bad(&engine).await;
    assert_eq!(ids(&place), good());
    engine.shutdown().await;
}

#[tokio::test]
async fn without_a_skip_policy_it_fails_the_step_and_says_why() {
    let place = TestStore::new();
    let engine = place.node([own(None)]).await;
    place.execute(TABLES);
    let execution = launch(&engine, "Import").await;
    assert_eq!(execution.status, Status::Failed);
    let message = execution.exit_message.unwrap();
    let said = "failed to commit: the database refused the rows of the chunk when it was committed: ";
    assert!(message.contains(said), "{message}");
    assert!(message.to_lowercase().contains("foreign key"), "{message}");
    assert_eq!(ids(&place), [0; 0]);
    engine.shutdown().await;
}

#[tokio::test]
async fn in_another_file_of_sqlite_it_is_the_same() {
    for exactly_once in [false, true] {
        let place = TestStore::new();
        let path = place.path("other.db");
        let to = path.clone();
        let job = import(Some(3), move |context| {
            let writer = SqliteWriter::to_file(&to, "strike").create(TABLES);
            if exactly_once { writer.exactly_once(context) } else { writer }
        });
        let engine = place.node([job]).await;
        imports_all_but_the_bad(&engine).await;
        assert_eq!(ids_in(&path), good(), "exactly once: {exactly_once}");
        engine.shutdown().await;
    }
}

/// Writes the species of each row behind the strikes, into the same transaction.
struct Species(&'static str);

impl ItemWriter<Strike> for Species {
    async fn write(&mut self, _: &[Strike], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        #[cfg(feature = "postgres")]
        if ON_POSTGRES {
            let transaction = oxbatch_storage::PostgresChunkTransaction::of(transaction)?;
            transaction
                .client()
                .await
                .map_err(ItemError::other)?
                .batch_execute(self.0)
                .await
                .map_err(ItemError::other)?;
            return Ok(());
        }
        let transaction = oxbatch_storage::SqliteChunkTransaction::of(transaction)?;
        Ok(transaction.connection().await.map_err(ItemError::other)?.execute_batch(self.0)?)
    }
}

#[tokio::test]
async fn a_row_whose_owner_another_writer_brings_behind_it_is_none_of_the_bad() {
    const GULL: &str = "INSERT INTO species VALUES ('gull') ON CONFLICT DO NOTHING";
    let place = TestStore::new();
    #[cfg(feature = "postgres")]
    let job = if ON_POSTGRES {
        import(Some(3), |context| {
            let strikes = oxbatch_storage::PostgresWriter::new(context, "strike").leave_deferred();
            TeeWriter::new(strikes, Species(GULL))
        })
    } else {
        import(Some(3), |_| TeeWriter::new(SqliteWriter::new("strike"), Species(GULL)))
    };
    #[cfg(not(feature = "postgres"))]
    let job = import(Some(3), |_| TeeWriter::new(SqliteWriter::new("strike"), Species(GULL)));
    let engine = place.node([job]).await;
    place.execute(TABLES);
    place.execute("DELETE FROM species");
    imports_all_but_the_bad(&engine).await;
    assert_eq!(ids(&place), good());
    engine.shutdown().await;
}

/// Refuses a chunk when it is flushed, for a reason that no trial of its outputs shows.
struct RefusingFlush(ListWriter<u64>);

impl ItemWriter<u64> for RefusingFlush {
    async fn write(&mut self, outputs: &[u64], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        self.0.write(outputs, transaction).await
    }

    async fn flush(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Err(ItemError::new(ErrorKind::Constraint, "the ledger of the day is closed"))
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        ItemWriter::<u64>::rolled_back(&mut self.0).await
    }
}

#[tokio::test]
async fn an_error_of_the_commit_that_no_output_shows_skips_nothing() {
    let (place, out) = (TestStore::new(), list());
    let to = Arc::clone(&out);
    let step = ChunkStep::builder("Copy")
        .reader(|_| Ok(Numbers::new(20, |_| Ok(()))))
        .skip(SkipPolicy::new(5))
        .writer(move |_| Ok(RefusingFlush(ListWriter::new(Arc::clone(&to)))))
        .chunk_size(10);
    let engine = place.node([Job::builder("Job").step(step).build().unwrap()]).await;
    let execution = launch(&engine, "Job").await;
    assert_eq!(execution.status, Status::Failed);
    assert!(execution.exit_message.unwrap().contains("failed to flush: the ledger of the day is closed"));
    let step = &steps(&engine, execution.id).await[0];
    assert_eq!((step.counters.write, step.counters.skip()), (0, 0));
    assert_eq!(contents(&out), [0; 0]);
    engine.shutdown().await;
}
