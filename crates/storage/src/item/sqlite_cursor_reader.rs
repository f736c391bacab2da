//! `SqliteCursorReader`: rows of one query on the repository's database or another file, in whatever order the query
//! gives.

use std::fmt;
use std::path::PathBuf;
use std::thread::JoinHandle;

use oxbatch_core::StepContext;
use oxbatch_core::item::{Checkpoint, ItemError, ItemReader, Origin, Position};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, InterruptHandle, Row, params_from_iter};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::sqlite_source::SqliteSource;
use crate::sqlite::SqliteRepository;

/// Rows that are handed over at once.
const BATCH_ROWS: usize = 256;
/// Batches that wait for the reader.
const BATCHES: usize = 2;

/// Reads the rows of a query that has no unique key to go along: one statement, read from its first row to its last.
///
/// ```no_run
/// # fn build(context: &oxbatch::StepContext) {
/// use oxbatch::sqlite::SqliteCursorReader;
///
/// let reader = SqliteCursorReader::new(
///     context,
///     "SELECT species, count(*) AS strikes FROM wildlife_strikes GROUP BY species ORDER BY strikes DESC, species",
///     |row| Ok((row.get::<_, String>("species")?, row.get::<_, i64>("strikes")?)),
/// );
/// # }
/// ```
///
/// It sees the database as it was when the step's attempt began, and nothing of what is written meanwhile. As long as
/// it is open, SQLite's log of changes cannot be cut and grows with all that is written: where there is a unique key,
/// prefer [`SqliteReader`](crate::SqliteReader), which also seeks.
///
/// # Restart
/// There is no key to seek, so rows are counted: a restart runs the query again and passes over as many rows as were
/// settled. The query must give the same rows in the same order, by an ORDER BY that leaves no choice. The last row
/// that was settled is known again by all its values; when another row stands there, or there are fewer rows, the step
/// fails with a sentence.
pub struct SqliteCursorReader<T, F> {
    source: SqliteSource,
    query: String,
    parameters: Vec<Value>,
    map: Option<F>,
    running: Option<Running<T>>,
    batch: std::vec::IntoIter<Fetched<T>>,
    position: CursorPosition,
}

/// The state that is stored with each commit.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct CursorPosition {
    /// Rows that were settled.
    rows: u64,
    /// Fingerprint of the last of them.
    last: u64,
}

/// A row as an item, with its fingerprint.
type Fetched<T> = (rusqlite::Result<T>, u64);

/// The thread that runs the query: a statement and its rows cannot leave it.
struct Running<T> {
    batches: mpsc::Receiver<Result<Vec<Fetched<T>>, ItemError>>,
    interrupt: InterruptHandle,
    thread: JoinHandle<()>,
}

impl<T, F> SqliteCursorReader<T, F>
where
    F: FnMut(&Row<'_>) -> rusqlite::Result<T>,
{
    /// Reads the rows of `query` on the step's repository; `map` makes an item of a row.
    pub fn new(context: &StepContext, query: impl Into<String>, map: F) -> Self {
        Self::build(SqliteSource::of(context), query.into(), map)
    }

    /// As [`new`](Self::new), on a repository at hand.
    pub fn on(repository: &SqliteRepository, query: impl Into<String>, map: F) -> Self {
        Self::build(SqliteSource::Repository(Some(repository.clone())), query.into(), map)
    }

    /// As [`new`](Self::new), on another file of SQLite. It must be there; it is read only. While it is read nobody can
    /// write to it, unless its journal mode is WAL.
    pub fn from_file(path: impl Into<PathBuf>, query: impl Into<String>, map: F) -> Self {
        Self::build(SqliteSource::File(path.into()), query.into(), map)
    }

    fn build(source: SqliteSource, query: String, map: F) -> Self {
        Self {
            source,
            query,
            parameters: Vec::new(),
            map: Some(map),
            running: None,
            batch: Vec::new().into_iter(),
            position: CursorPosition::default(),
        }
    }

    /// The values of the query's parameters `?1`, `?2` ….
    #[must_use]
    pub fn parameters<V: Into<Value>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.parameters = values.into_iter().map(Into::into).collect();
        self
    }
}

/// One run of the query.
struct Query<F> {
    connection: Connection,
    text: String,
    parameters: Vec<Value>,
    map: F,
    position: CursorPosition,
}

impl<F> Query<F> {
    /// Passes over what was settled and hands the other rows over, until there are no more or nobody wants them.
    fn run<T>(mut self, batches: &mpsc::Sender<Result<Vec<Fetched<T>>, ItemError>>) -> Result<(), ItemError>
    where
        F: FnMut(&Row<'_>) -> rusqlite::Result<T>,
    {
        let mut statement = self.connection.prepare(&self.text)?;
        let mut rows = statement.query(params_from_iter(&self.parameters))?;
        for passed in 1..=self.position.rows {
            let Some(row) = rows.next()? else {
                let before = passed - 1;
                return Err(changed(&format!("{} rows were settled, but there are {before}", self.position.rows)));
            };
            if passed == self.position.rows && fingerprint(row)? != self.position.last {
                return Err(changed(&format!("another row is row {passed} now")));
            }
        }
        let mut batch = Vec::with_capacity(BATCH_ROWS);
        while let Some(row) = rows.next()? {
            batch.push(((self.map)(row), fingerprint(row)?));
            if batch.len() == BATCH_ROWS {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH_ROWS));
                if batches.blocking_send(Ok(full)).is_err() {
                    return Ok(());
                }
            }
        }
        if !batch.is_empty() {
            // Nobody wants it when the step has ended.
            let _ = batches.blocking_send(Ok(batch));
        }
        Ok(())
    }
}

fn changed(difference: &str) -> ItemError {
    ItemError::other(format!(
        "the rows of the query have changed since the last attempt: {difference}; launch with force to start anew"
    ))
}

/// FNV-1a over all values of a row and their types.
fn fingerprint(row: &Row<'_>) -> rusqlite::Result<u64> {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for column in 0..row.as_ref().column_count() {
        match row.get_ref(column)? {
            ValueRef::Null => add(b"n"),
            ValueRef::Integer(number) => add(&[&b"i"[..], &number.to_le_bytes()].concat()),
            ValueRef::Real(number) => add(&[&b"r"[..], &number.to_le_bytes()].concat()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                add(&bytes.len().to_le_bytes());
                add(bytes);
            }
        }
    }
    Ok(sum)
}

/// The number of a row of the query from 1, as a position is shown.
#[derive(Debug)]
struct RowNumber(u64);

impl fmt::Display for RowNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}", self.0)
    }
}

impl<T, F> ItemReader for SqliteCursorReader<T, F>
where
    T: Send + 'static,
    F: FnMut(&Row<'_>) -> rusqlite::Result<T> + Send + 'static,
{
    type Item = T;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        let map = self.map.take().ok_or_else(|| ItemError::other("the reader was opened before"))?;
        self.position = checkpoint.map(Checkpoint::read).transpose()?.unwrap_or_default();
        let connection = self.source.connect()?;
        let interrupt = connection.get_interrupt_handle();
        let (text, parameters) = (self.query.clone(), self.parameters.clone());
        let query = Query { connection, text, parameters, map, position: self.position };
        let (sender, batches) = mpsc::channel(BATCHES);
        let body = move || {
            if let Err(error) = query.run(&sender) {
                // Nobody wants it when the step has ended.
                let _ = sender.blocking_send(Err(error));
            }
        };
        let thread = std::thread::Builder::new().name("oxbatch-cursor".to_owned()).spawn(body)?;
        self.running = Some(Running { batches, interrupt, thread });
        Ok(())
    }

    #[inline]
    async fn read(&mut self) -> Result<Option<T>, ItemError> {
        loop {
            if let Some((item, fingerprint)) = self.batch.next() {
                self.position = CursorPosition { rows: self.position.rows + 1, last: fingerprint };
                let item = item.map_err(|error| ItemError::parse(error).at(RowNumber(self.position.rows).to_string()));
                return item.map(Some);
            }
            let Some(running) = &mut self.running else { return Ok(None) };
            match running.batches.recv().await {
                Some(batch) => self.batch = batch?.into_iter(),
                None => {
                    let Some(Running { thread, .. }) = self.running.take() else { return Ok(None) };
                    // It has ended: what is left of it is to report a panic of the author's function.
                    if let Err(panic) = thread.join() {
                        std::panic::resume_unwind(panic);
                    }
                    return Ok(None);
                }
            }
        }
    }

    fn place_of(checkpoint: &Checkpoint) -> Option<Origin> {
        Some(Origin::behind_items(checkpoint.read::<CursorPosition>().ok()?.rows))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.position).map(Some)
    }

    fn origin(&self) -> Option<Origin> {
        Some(Origin::at(Position::shown(RowNumber(self.position.rows))))
    }

    async fn close(&mut self) -> Result<(), ItemError> {
        self.batch = Vec::new().into_iter();
        if let Some(Running { batches, interrupt, thread }) = self.running.take() {
            drop(batches);
            // A sort may keep it busy before its first row.
            interrupt.interrupt();
            // A panic after the last row that was wanted is nobody's business.
            let _ = thread.join();
        }
        Ok(())
    }
}

impl<T, F> std::fmt::Debug for SqliteCursorReader<T, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteCursorReader").field("query", &self.query).finish_non_exhaustive()
    }
}
