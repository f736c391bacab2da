//! The reader and the writer of tables in the repository's database.

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use oxbatch_core::conformance::items::{
    Target, a_reader_goes_on_from_every_position, a_writer_is_cut_back_at_every_chunk,
};
use oxbatch_core::execution::Counters;
use oxbatch_core::item::{Checkpoint, ErrorKind, ItemError, ItemReader, ItemWriter};
use oxbatch_core::job::JobParameters;
use oxbatch_core::repository::{
    Admission, ChunkSave, ChunkTransaction, Executions, LaunchRequest, NewStep, Node, Nodes, RepositoryError,
    RunLimits, StepFence, StepStart,
};
use oxbatch_storage::rusqlite::{self, Connection};
use oxbatch_storage::{SqliteChunkTransaction, SqliteCursorReader, SqliteReader, SqliteRepository, SqliteWriter};
use serde::Serialize;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS strikes (
    id INTEGER PRIMARY KEY, species TEXT, speed REAL, day TEXT, fatal INTEGER, phase TEXT) STRICT";

#[derive(Serialize)]
enum Phase {
    Approach,
}

#[derive(Serialize)]
struct Strike {
    id: u64,
    species: Option<&'static str>,
    speed: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<jiff::civil::Date>,
    fatal: bool,
    phase: Phase,
}

fn strike(id: u64) -> Strike {
    let day = id.is_multiple_of(2).then(|| jiff::civil::date(2024, 2, 29));
    Strike {
        id,
        species: (!id.is_multiple_of(3)).then_some("Möwe"),
        speed: 0.1,
        day,
        fatal: false,
        phase: Phase::Approach,
    }
}

struct Step {
    repository: SqliteRepository,
    transaction: Box<dyn ChunkTransaction>,
    fence: StepFence,
    _folder: tempfile::TempDir,
}

impl Step {
    async fn start() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let repository = SqliteRepository::open(&folder.path().join("oxbatch.db")).unwrap();
        let node = Node::new("test");
        repository.register_node(&node).await.unwrap();
        let request = LaunchRequest {
            job_name: "Import".to_owned(),
            parameters: JobParameters::default(),
            force: false,
            new_run: false,
            definition: None,
            accept_changes: false,
            restartable: true,
            admission: Admission {
                time: Timestamp::now(),
                claim: Some((node, std::time::Duration::from_secs(60))),
                queue_limit: 1,
                priority: 0,
                limits: RunLimits::default(),
            },
            after: None,
            idempotency: None,
            trace_parent: None,
        };
        let lease = repository.launch(request).await.unwrap().lease.unwrap();
        let step = NewStep {
            step_name: "Step".to_owned(),
            iteration: 1,
            since: None,
            rerun_if_complete: false,
            start_limit: None,
            time: Timestamp::now(),
        };
        let StepStart::Run(started) = repository.start_step(&lease, step).await.unwrap() else { panic!("no step") };
        let transaction = repository.chunk_transaction(&started.fence).await.unwrap();
        Self { repository, transaction, fence: started.fence, _folder: folder }
    }

    async fn commit(&mut self) {
        let save = ChunkSave {
            state: "{}",
            counters: &Counters::default(),
            control_totals: None,
            progress: None,
            job_context: None,
            skips: &[],
            rerun: &[],
            time: None,
        };
        self.transaction.commit(save).await.unwrap();
    }

    async fn commit_chunk<T: Serialize + Send + Sync>(
        &mut self,
        writer: &mut SqliteWriter<T>,
        rows: &[T],
    ) -> Checkpoint {
        writer.write(rows, self.transaction.as_mut()).await.unwrap();
        let checkpoint = writer.flush().await.unwrap().unwrap();
        self.commit().await;
        writer.committed();
        checkpoint
    }

    fn reader(&self) -> Connection {
        self.repository.open_reader().unwrap()
    }

    fn count(&self) -> i64 {
        self.reader().query_row("SELECT count(*) FROM strikes", [], |row| row.get(0)).unwrap()
    }
}

#[tokio::test]
async fn rows_are_stored_with_the_types_of_their_fields() {
    let mut step = Step::start().await;
    let mut writer = SqliteWriter::new("strikes").create(CREATE);
    writer.open(None).await.unwrap();
    step.commit_chunk(&mut writer, &[strike(2), strike(3)]).await;
    let mut rows: Vec<String> = Vec::new();
    let connection = step.reader();
    let mut statement =
        connection.prepare("SELECT json_array(id, species, speed, day, fatal, phase) FROM strikes").unwrap();
    rows.extend(statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap));
    assert_eq!(rows, [r#"[2,"Möwe",0.1,"2024-02-29",0,"Approach"]"#, r#"[3,null,0.1,null,0,"Approach"]"#]);
}

#[tokio::test]
async fn a_resume_neither_replaces_nor_loses_what_was_committed() {
    let mut step = Step::start().await;
    let new = || SqliteWriter::new("strikes").create(CREATE).replace("DELETE FROM strikes WHERE id < ?1", [100]);
    let mut first = new();
    first.open(None).await.unwrap();
    let checkpoint = step.commit_chunk(&mut first, &[strike(1), strike(2)]).await;
    let mut resumed = new();
    resumed.open(Some(&checkpoint)).await.unwrap();
    step.commit_chunk(&mut resumed, &[strike(3)]).await;
    assert_eq!(step.count(), 3);
    let mut fresh = new();
    fresh.open(None).await.unwrap();
    step.commit_chunk(&mut fresh, &[strike(1)]).await;
    assert_eq!(step.count(), 1);
}

#[tokio::test]
async fn a_chunk_that_is_rolled_back_takes_its_table_with_it_and_can_be_replayed() {
    let mut step = Step::start().await;
    let mut writer = SqliteWriter::new("strikes").create(CREATE);
    writer.open(None).await.unwrap();
    let error = writer.write(&[strike(1), strike(1)], step.transaction.as_mut()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Constraint);
    assert_eq!(error.position(), Some("row 2 of the chunk"));
    assert!(error.to_string().contains("UNIQUE constraint failed: strikes.id"), "{error}");
    step.transaction.rollback().await.unwrap();
    writer.rolled_back().await.unwrap();
    step.commit_chunk(&mut writer, &[strike(1)]).await;
    assert_eq!(step.count(), 1);
}

/// SQLite's word for how much the commits of the step's connection wait for the disk: 1 is NORMAL, 2 is FULL.
async fn waiting(step: &mut Step) -> i64 {
    let connection = SqliteChunkTransaction::of(step.transaction.as_mut()).unwrap().connection().await.unwrap();
    connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn the_commit_before_a_publication_waits_for_the_disk_and_no_other() {
    let mut step = Step::start().await;
    assert_eq!(waiting(&mut step).await, 1);
    step.commit().await;
    step.transaction.make_next_durable();
    assert_eq!(waiting(&mut step).await, 2);
    // It has not committed yet.
    step.transaction.rollback().await.unwrap();
    assert_eq!(waiting(&mut step).await, 2);
    step.commit().await;
    assert_eq!(waiting(&mut step).await, 1);
    step.transaction.rollback().await.unwrap();
    // A connection that nobody had in hand goes to the next step, and commits as it did before.
    for _ in 0..2 {
        step.transaction = step.repository.chunk_transaction(&step.fence).await.unwrap();
        step.transaction.make_next_durable();
        step.commit().await;
    }
    step.transaction = step.repository.chunk_transaction(&step.fence).await.unwrap();
    assert_eq!(waiting(&mut step).await, 1);
}

#[tokio::test]
async fn an_empty_input_still_creates_its_table() {
    let mut step = Step::start().await;
    let mut writer = SqliteWriter::<Strike>::new("strikes").create(CREATE);
    writer.open(None).await.unwrap();
    writer.finish(step.transaction.as_mut()).await.unwrap();
    step.commit().await;
    assert_eq!(step.count(), 0);
}

#[tokio::test]
async fn what_fits_no_column_is_refused_by_the_name_of_its_field() {
    #[derive(Serialize)]
    struct Odd {
        big: u64,
        list: Vec<i64>,
        ratio: f64,
    }
    let mut step = Step::start().await;
    let mut writer = SqliteWriter::new("odd").create("CREATE TABLE IF NOT EXISTS odd (big, list, ratio)");
    writer.open(None).await.unwrap();
    for (odd, culprit) in [
        (Odd { big: u64::MAX, list: Vec::new(), ratio: 0.0 }, "'big'"),
        (Odd { big: 1, list: vec![1], ratio: 0.0 }, "'list'"),
        (Odd { big: 1, list: vec![1], ratio: f64::NAN }, "'list'"),
    ] {
        let error = writer.write(&[odd], step.transaction.as_mut()).await.unwrap_err();
        assert!(error.to_string().contains(culprit), "{error}");
    }
    let mut absent = SqliteWriter::new("nowhere");
    absent.open(None).await.unwrap();
    let error = absent.write(&[strike(1)], step.transaction.as_mut()).await.unwrap_err();
    assert!(error.to_string().contains("no such table: nowhere"), "{error}");
}

#[tokio::test]
async fn a_chunk_on_a_full_disk_leaves_nothing_and_succeeds_once_there_is_room() {
    let mut step = Step::start().await;
    let mut writer = SqliteWriter::new("strikes").create(CREATE);
    writer.open(None).await.unwrap();
    step.commit_chunk(&mut writer, &[strike(1)]).await;
    writer.write(&[strike(2)], step.transaction.as_mut()).await.unwrap();
    let connection = SqliteChunkTransaction::of(step.transaction.as_mut()).unwrap().connection().await.unwrap();
    let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    connection.query_row("PRAGMA max_page_count = 1", [], |_| Ok(())).unwrap();
    let state = "x".repeat(60_000);
    let counters = Counters::default();
    let save = || ChunkSave {
        state: &state,
        counters: &counters,
        control_totals: None,
        progress: None,
        job_context: None,
        skips: &[],
        rerun: &[],
        time: None,
    };
    let error = step.transaction.commit(save()).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Full { .. }) && error.is_transient(), "{error:?}");
    assert_eq!(step.count(), 1);
    let connection = SqliteChunkTransaction::of(step.transaction.as_mut()).unwrap().connection().await.unwrap();
    connection.query_row("PRAGMA max_page_count = 100000", [], |_| Ok(())).unwrap();
    assert_eq!(connection.query_row("PRAGMA page_count", [], |row| row.get(0)), Ok(pages));
    step.transaction.commit(save()).await.unwrap();
}

async fn read_all<T: Send>(reader: &mut impl ItemReader<Item = T>) -> Vec<T> {
    let mut items = Vec::new();
    while let Some(item) = reader.read().await.unwrap() {
        items.push(item);
    }
    items
}

async fn strikes(count: u64) -> Step {
    let mut step = Step::start().await;
    let mut writer = SqliteWriter::new("strikes").create(CREATE);
    writer.open(None).await.unwrap();
    let rows: Vec<_> = (1..=count).map(strike).collect();
    step.commit_chunk(&mut writer, &rows).await;
    step
}

#[tokio::test]
async fn a_reader_reads_every_row_once_and_resumes_behind_its_checkpoint() {
    let step = strikes(25).await;
    let new = || {
        SqliteReader::on(
            &step.repository,
            "SELECT id, species FROM strikes WHERE id > ?1 ORDER BY species;",
            ["species", "id"],
            |row| row.get::<_, i64>("id"),
        )
        .parameters([3])
        .page_size(4)
    };
    // The species of every third row is NULL.
    let mut reader = new();
    reader.open(None).await.unwrap();
    let error = reader.read().await.unwrap_err();
    assert!(error.to_string().contains("'species' is NULL"), "{error}");

    let new = || {
        SqliteReader::on(&step.repository, "SELECT id, speed FROM strikes WHERE id > ?1", ["speed", "id"], |row| {
            row.get::<_, i64>("id")
        })
        .parameters([3])
        .page_size(4)
    };
    for stop in 0..22 {
        let mut reader = new();
        reader.open(None).await.unwrap();
        let mut ids = Vec::new();
        for _ in 0..stop {
            ids.push(reader.read().await.unwrap().unwrap());
        }
        let checkpoint = reader.checkpoint().unwrap().unwrap();
        let mut resumed = new();
        resumed.open(Some(&checkpoint)).await.unwrap();
        ids.extend(read_all(&mut resumed).await);
        assert_eq!(ids, (4..=25).collect::<Vec<_>>());
        resumed.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_is_not_unique_is_a_fault() {
    let step = strikes(5).await;
    let mut reader = SqliteReader::on(&step.repository, "SELECT speed FROM strikes", ["speed"], |_| Ok(()));
    reader.open(None).await.unwrap();
    let error = reader.read().await.unwrap_err();
    assert!(error.to_string().contains("not unique"), "{error}");
}

#[tokio::test]
async fn a_key_that_two_rows_have_is_a_fault_wherever_a_page_ends() {
    let mut step = Step::start().await;
    let connection = SqliteChunkTransaction::of(step.transaction.as_mut()).unwrap().connection().await.unwrap();
    connection
        .execute_batch("CREATE TABLE pairs (a, b); INSERT INTO pairs VALUES (1, 1), (2, 2), (2.0, 3), (3, 4)")
        .unwrap();
    step.commit().await;
    for page_size in 1..=5 {
        let new = |query: &str| SqliteReader::on(&step.repository, query, ["a"], |_| Ok(())).page_size(page_size);
        let mut reader = new("SELECT a FROM pairs");
        reader.open(None).await.unwrap();
        let error = loop {
            match reader.read().await {
                Ok(Some(())) => {}
                Ok(None) => panic!("a row was lost with pages of {page_size}"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("is not unique: two rows have it"), "{error}");
        let mut reader = new("SELECT a FROM pairs WHERE b <> 3");
        reader.open(None).await.unwrap();
        assert_eq!(read_all(&mut reader).await.len(), 3, "in pages of {page_size}");
    }
}

#[tokio::test]
async fn a_resume_goes_on_behind_an_infinite_key() {
    let mut step = Step::start().await;
    let connection = SqliteChunkTransaction::of(step.transaction.as_mut()).unwrap().connection().await.unwrap();
    connection
        .execute_batch(
            "CREATE TABLE readings (value); INSERT INTO readings VALUES (-1e999), (-1), (0.5), (1e999), ('inf')",
        )
        .unwrap();
    step.commit().await;
    let new = || SqliteReader::on(&step.repository, "SELECT value FROM readings", ["value"], |_| Ok(())).page_size(1);
    for taken in 0..=5 {
        let mut reader = new();
        reader.open(None).await.unwrap();
        for _ in 0..taken {
            reader.read().await.unwrap().unwrap();
        }
        let position = reader.checkpoint().unwrap();
        let mut resumed = new();
        resumed.open(position.as_ref()).await.unwrap();
        assert_eq!(read_all(&mut resumed).await.len(), 5 - taken, "behind {taken}");
    }
}

#[derive(Clone, Serialize)]
struct Price {
    id: i64,
    currency: &'static str,
    cents: i64,
}

fn price(id: i64, currency: &'static str, cents: i64) -> Price {
    Price { id, currency, cents }
}

const CREATE_PRICES: &str =
    "CREATE TABLE IF NOT EXISTS prices (id INTEGER, currency TEXT, cents INTEGER, note TEXT DEFAULT 'kept',
     PRIMARY KEY (id, currency)) STRICT";

fn prices() -> SqliteWriter<Price> {
    SqliteWriter::new("prices").create(CREATE_PRICES)
}

impl Step {
    async fn write_prices(&mut self, mut writer: SqliteWriter<Price>, rows: &[Price]) -> Result<(), ItemError> {
        writer.open(None).await?;
        let written = writer.write(rows, self.transaction.as_mut()).await;
        match &written {
            Ok(()) => self.commit().await,
            Err(_) => self.transaction.rollback().await.unwrap(),
        }
        written
    }

    fn prices(&self) -> Vec<String> {
        let connection = self.reader();
        let mut statement =
            connection.prepare("SELECT id || currency || cents || note FROM prices ORDER BY id, currency").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

#[tokio::test]
async fn rows_are_inserted_replaced_updated_and_deleted_by_their_key() {
    let mut step = Step::start().await;
    step.write_prices(prices(), &[price(1, "EUR", 10), price(1, "USD", 11), price(2, "EUR", 20)]).await.unwrap();
    let upsert = prices().upsert(["id", "currency"]);
    step.write_prices(upsert, &[price(1, "EUR", 12), price(3, "EUR", 30), price(3, "EUR", 31)]).await.unwrap();
    assert_eq!(step.prices(), ["1EUR12kept", "1USD11kept", "2EUR20kept", "3EUR31kept"]);
    step.write_prices(prices().update(["currency", "id"]), &[price(2, "EUR", 21)]).await.unwrap();
    step.write_prices(prices().delete(["id", "currency"]), &[price(1, "USD", 0)]).await.unwrap();
    assert_eq!(step.prices(), ["1EUR12kept", "2EUR21kept", "3EUR31kept"]);
}

#[tokio::test]
async fn a_key_that_no_row_has_or_many_have_is_a_constraint_that_names_it() {
    let mut step = Step::start().await;
    step.write_prices(prices(), &[price(1, "EUR", 10), price(1, "USD", 11)]).await.unwrap();
    for (writer, row, said) in [
        (
            prices().update(["id", "currency"]),
            price(9, "EUR", 1),
            "update table 'prices': no row has the key (id, currency) = (9, \"EUR\")",
        ),
        (prices().delete(["id"]), price(9, "EUR", 1), "delete from table 'prices': no row has the key (id) = (9)"),
        (prices().delete(["id"]), price(1, "EUR", 1), "delete from table 'prices': 2 rows have the key (id) = (1)"),
    ] {
        let error = step.write_prices(writer, &[row]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Constraint);
        assert_eq!(error.to_string(), format!("row 1 of the chunk: failed to {said}"));
    }
    assert_eq!(step.prices(), ["1EUR10kept", "1USD11kept"]);
    for (writer, said) in [
        (prices().update(["id", "currency", "cents"]), "there is nothing to update"),
        (prices().delete(["absent"]), "the row lacks the key field 'absent'"),
        (prices().upsert([""; 0]), "there is no key column"),
    ] {
        let error = step.write_prices(writer, &[price(1, "EUR", 1)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.to_string().contains(said), "{error}");
    }
}

fn by_cursor(
    step: &Step,
    query: &str,
) -> SqliteCursorReader<i64, impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<i64> + Send + use<>> {
    SqliteCursorReader::on(&step.repository, query, |row| row.get(0)).parameters([3])
}

#[tokio::test]
async fn every_reader_goes_on_from_every_row() {
    let step = strikes(40).await;
    let rows = a_reader_goes_on_from_every_position(|| {
        by_cursor(&step, "SELECT CASE id WHEN 7 THEN 'x' ELSE id END FROM strikes WHERE id > ?1 ORDER BY id % 2, id")
    })
    .await;
    assert_eq!(rows.len(), 37);
    assert_eq!(rows.iter().filter(|row| row.is_err()).count(), 1);
    let rows = a_reader_goes_on_from_every_position(|| {
        let id = |row: &rusqlite::Row<'_>| row.get::<_, i64>("id");
        SqliteReader::on(&step.repository, "SELECT * FROM strikes -- all", ["speed", "id"], id).page_size(7)
    })
    .await;
    assert_eq!(rows, (1..=40).map(Ok).collect::<Vec<_>>());
}

#[tokio::test]
async fn many_rows_come_through_a_cursor_and_it_can_be_closed_in_the_middle() {
    let step = Step::start().await;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n";
    let mut reader = by_cursor(&step, numbers);
    reader.open(None).await.unwrap();
    reader.read().await.unwrap();
    assert_eq!(reader.origin().unwrap().to_string(), "row 1");
    let mut reader = by_cursor(&step, numbers);
    reader.open(None).await.unwrap();
    assert_eq!(read_all(&mut reader).await, (3..=5_000).collect::<Vec<_>>());
    reader.close().await.unwrap();
    let endless = "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let mut reader = by_cursor(&step, endless);
    reader.open(None).await.unwrap();
    assert_eq!(reader.read().await.unwrap(), Some(3));
    reader.close().await.unwrap();
}

#[tokio::test]
async fn rows_of_a_cursor_that_have_changed_since_are_told() {
    let mut step = strikes(10).await;
    let query = "SELECT id FROM strikes WHERE id <> ?1 ORDER BY id DESC";
    let mut reader = by_cursor(&step, query);
    reader.open(None).await.unwrap();
    for _ in 0..9 {
        reader.read().await.unwrap().unwrap();
    }
    let checkpoint = reader.checkpoint().unwrap().unwrap();
    reader.close().await.unwrap();
    for (change, said) in [
        ("INSERT INTO strikes (id) VALUES (11)", "another row is row 9 now"),
        ("DELETE FROM strikes WHERE id > 8", "9 rows were settled, but there are 7"),
    ] {
        let connection = SqliteChunkTransaction::of(step.transaction.as_mut()).unwrap().connection().await.unwrap();
        connection.execute_batch(change).unwrap();
        step.commit().await;
        let mut reader = by_cursor(&step, query);
        reader.open(Some(&checkpoint)).await.unwrap();
        let message = reader.read().await.unwrap_err().to_string();
        assert!(message.contains(said), "{message}");
    }
}

/// The table in a database of its own, with a step that writes it.
struct Table {
    repository: SqliteRepository,
    fence: StepFence,
    _folder: tempfile::TempDir,
    make: fn() -> SqliteWriter<Price>,
}

impl Target for Table {
    type Output = Price;
    type Writer = SqliteWriter<Price>;

    fn outputs(&self) -> Vec<Price> {
        (1..=5).map(|id| price(id, "EUR", id * 10)).collect()
    }

    fn writer(&self) -> SqliteWriter<Price> {
        (self.make)()
    }

    fn transaction(&self) -> BoxFuture<'_, Box<dyn ChunkTransaction>> {
        Box::pin(async { self.repository.chunk_transaction(&self.fence).await.unwrap() })
    }

    fn contents(&self) -> BoxFuture<'_, Vec<u8>> {
        let connection = self.repository.open_reader().unwrap();
        let all = "SELECT group_concat(id || currency || cents || note, ';' ORDER BY id) FROM prices";
        let text: Option<String> = connection.query_row(all, [], |row| row.get(0)).unwrap();
        Box::pin(std::future::ready(text.unwrap_or_default().into_bytes()))
    }
}

#[tokio::test]
async fn rows_are_written_exactly_once_wherever_the_process_dies() {
    const FILLED: &str = "CREATE TABLE IF NOT EXISTS prices (id INTEGER PRIMARY KEY, currency TEXT, cents INTEGER, note TEXT DEFAULT '');
        INSERT OR IGNORE INTO prices SELECT value, 'USD', 1, 'old' FROM json_each('[2,3,4,5,6]')";
    type Make = fn() -> SqliteWriter<Price>;
    let makes: [(Make, &str); 4] = [
        (
            || prices().replace("DELETE FROM prices WHERE id > ?1", [0]),
            "1EUR10kept;2EUR20kept;3EUR30kept;4EUR40kept;5EUR50kept",
        ),
        (
            || SqliteWriter::new("prices").create(FILLED).upsert(["id"]),
            "1EUR10;2EUR20old;3EUR30old;4EUR40old;5EUR50old;6USD1old",
        ),
        (
            || {
                let with_first = "INSERT OR IGNORE INTO prices (id) VALUES (1)";
                SqliteWriter::new("prices").create(format!("{FILLED}; {with_first}")).update(["id"])
            },
            "1EUR10;2EUR20old;3EUR30old;4EUR40old;5EUR50old;6USD1old",
        ),
        (
            || {
                let with_first = "INSERT OR IGNORE INTO prices VALUES (1, 'USD', 1, 'old')";
                SqliteWriter::new("prices").create(format!("{FILLED}; {with_first}")).delete(["id"])
            },
            "6USD1old",
        ),
    ];
    for (make, expected) in makes {
        let found = a_writer_is_cut_back_at_every_chunk(|| {
            // The case makes its targets outside of any future.
            let step = std::thread::scope(|scope| scope.spawn(|| futures_block_on(Step::start())).join().unwrap());
            let Step { repository, fence, _folder, .. } = step;
            Table { repository, fence, _folder, make }
        })
        .await;
        assert_eq!(String::from_utf8(found).unwrap(), expected);
    }
}

fn futures_block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
