//! Group commit: the one thread that writes what must be durable; commands that come together share one commit.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oxbatch_core::repository::RepositoryError;
use rusqlite::{Connection, Error, ErrorCode, ffi};
use tokio::sync::{mpsc, oneshot};

use super::error::{StoreError, copy, failure};
use super::open::{self, BUSY_TIMEOUT, Durability, unusable};
use super::write_lock::{WriteGuard, WriteLock};

/// Commands that wait for the thread. More wait in their callers, who then wait in a fair order too.
const QUEUE: usize = 1024;
/// Commands that share one commit: enough to hide the disk, few enough to keep the write lock short.
const BATCH: usize = 128;

/// The thread that owns the durable write connection. It ends when the last handle is dropped.
pub(super) struct Writer {
    sender: mpsc::Sender<Box<dyn Command>>,
}

/// A piece of work that the thread does for a caller.
trait Command: Send {
    /// Does the work inside of the transaction; whether it may be committed. Done again when the transaction was
    /// undone.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Tells the caller. `committed` is the error that undid the work after it was done.
    fn answer(self: Box<Self>, committed: Result<(), &Arc<Error>>);
    /// The time at which it was sent.
    fn sent(&self) -> Instant;
    /// Returns whether the connection is to be closed after it.
    fn closes(&self) -> bool {
        false
    }
}

struct Work<T, F> {
    work: F,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    sent: Instant,
}

impl<T, F> Command for Work<T, F>
where
    T: Send,
    F: Fn(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let outcome =
            std::panic::catch_unwind(AssertUnwindSafe(|| (self.work)(connection))).unwrap_or_else(|payload| {
                Err(StoreError::Database(failure(ffi::SQLITE_INTERNAL, &panic_text(payload.as_ref()))))
            });
        let done = outcome.is_ok();
        self.outcome = Some(outcome);
        done
    }

    fn answer(self: Box<Self>, committed: Result<(), &Arc<Error>>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(done)), Ok(())) => Ok(done),
            (_, Err(error)) => Err(StoreError::Database(copy(error))),
            (None, Ok(())) => Err(StoreError::Database(failure(ffi::SQLITE_INTERNAL, "the command was not run"))),
        };
        // The caller may have gone; what was committed stays.
        let _ = self.reply.send(outcome);
    }

    fn sent(&self) -> Instant {
        self.sent
    }
}

/// Closes the connection, so that SQLite removes its files.
struct Close(oneshot::Sender<()>, Instant);

impl Command for Close {
    fn run(&mut self, _: &Connection) -> bool {
        true
    }

    fn answer(self: Box<Self>, _: Result<(), &Arc<Error>>) {
        let _ = self.0.send(());
    }

    fn sent(&self) -> Instant {
        self.1
    }

    fn closes(&self) -> bool {
        true
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    format!("the command panicked: {}", text.unwrap_or_default())
}

impl Writer {
    pub(super) fn start(
        path: PathBuf,
        write_lock: WriteLock,
        connection: Option<Connection>,
    ) -> Result<Self, RepositoryError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let thread = Thread { path, write_lock, connection, receiver, patience: BUSY_TIMEOUT };
        std::thread::Builder::new()
            .name("oxbatch-writer".to_owned())
            .spawn(move || thread.serve())
            .map_err(|error| unusable(format!("the database's thread cannot be started: {error}"), None))?;
        Ok(Self { sender })
    }

    /// Runs a command; once it has returned, the command's changes are on the disk.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        self.try_run(work).await.map_err(|error| error.into_repository(operation))
    }

    /// As [`run`](Self::run), for commands with refusals of their own.
    pub(super) async fn try_run<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(Work { work, outcome: None, reply, sent: Instant::now() })).await?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Finishes what came before and closes the connection; a later command opens it again.
    pub(super) async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.send(Box::new(Close(reply, Instant::now()))).await.is_ok() {
            let _ = answer.await;
        }
    }

    async fn send(&self, command: Box<dyn Command>) -> Result<(), StoreError> {
        self.sender.send(command).await.map_err(|_| gone())
    }
}

fn gone() -> StoreError {
    StoreError::Database(failure(ffi::SQLITE_MISUSE, "the database's thread has ended"))
}

struct Thread {
    path: PathBuf,
    write_lock: WriteLock,
    connection: Option<Connection>,
    receiver: mpsc::Receiver<Box<dyn Command>>,
    /// The time that a command may wait for the write lock from when it was sent, also behind others that wait for it.
    patience: Duration,
}

impl Thread {
    fn serve(mut self) {
        while let Some(first) = self.receiver.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH && !batch.last().is_some_and(|last| last.closes()) {
                match self.receiver.try_recv() {
                    Ok(command) => batch.push(command),
                    Err(_) => break,
                }
            }
            self.commit(batch);
        }
    }

    /// Runs a batch in one transaction and answers after the commit.
    fn commit(&mut self, batch: Vec<Box<dyn Command>>) {
        if batch.len() == 1 && batch[0].closes() {
            self.connection = None;
            return answer(batch, Ok(()));
        }
        let close = batch.last().is_some_and(|last| last.closes());
        let mut waiting = batch;
        while !waiting.is_empty() {
            match self.begin(&waiting) {
                Ok((write_lock, connection)) => {
                    run(connection, std::mem::take(&mut waiting));
                    drop(write_lock);
                }
                // Those that have waited long enough are refused; the others wait on.
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                    let patience = self.patience;
                    let (late, rest) = waiting.into_iter().partition(|command| command.sent().elapsed() >= patience);
                    let late: Vec<Box<dyn Command>> = late;
                    answer(late, Err(&Arc::new(error)));
                    waiting = rest;
                }
                Err(error) => answer(std::mem::take(&mut waiting), Err(&Arc::new(error))),
            }
        }
        if close {
            self.connection = None;
        }
    }

    /// Begins the transaction of a batch, as soon as the oldest of its commands may wait.
    fn begin(&mut self, batch: &[Box<dyn Command>]) -> rusqlite::Result<(WriteGuard, &Connection)> {
        let oldest = batch.iter().map(|command| command.sent()).min().unwrap_or_else(Instant::now);
        let deadline = oldest + self.patience;
        let left = || deadline.saturating_duration_since(Instant::now());
        let busy = || failure(ffi::SQLITE_BUSY, "a step of this process holds the write lock");
        let write_lock = self.write_lock.take_within(left()).ok_or_else(busy)?;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open::writer(&self.path, Durability::EachCommit)?,
        };
        let connection = self.connection.insert(connection);
        connection.busy_timeout(left())?;
        execute(connection, "BEGIN IMMEDIATE")?;
        Ok((write_lock, connection))
    }
}

/// Runs commands in the transaction that has begun: together where that goes well, else each for itself.
fn run(connection: &Connection, batch: Vec<Box<dyn Command>>) {
    let mut waiting = match run_together(connection, batch) {
        None => return,
        Some(batch) => batch.into_iter(),
    };
    while waiting.len() > 0 {
        run_apart(connection, &mut waiting);
    }
}

fn answer(commands: impl IntoIterator<Item = Box<dyn Command>>, committed: Result<(), &Arc<Error>>) {
    for command in commands {
        command.answer(committed);
    }
}

/// Runs commands in one transaction, without a savepoint around each: most batches need none, and they are a third of
/// its cost. Gives the commands back, with nothing done, when one of them failed after it had changed something.
fn run_together(connection: &Connection, mut batch: Vec<Box<dyn Command>>) -> Option<Vec<Box<dyn Command>>> {
    if batch.len() == 1 {
        return Some(batch);
    }
    for command in &mut batch {
        let before = connection.total_changes();
        if !command.run(connection) && (connection.is_autocommit() || connection.total_changes() != before) {
            undo(connection);
            return Some(batch);
        }
    }
    let committed = commit(connection, "COMMIT");
    answer(batch, committed.as_ref().copied());
    None
}

/// Runs commands in one transaction, each of which can fail for itself, until all are done or SQLite gives the
/// transaction up, as it does on a full disk.
fn run_apart(connection: &Connection, waiting: &mut std::vec::IntoIter<Box<dyn Command>>) {
    if connection.is_autocommit()
        && let Err(error) = execute(connection, "BEGIN IMMEDIATE")
    {
        return answer(waiting, Err(&Arc::new(error)));
    }
    let alone = waiting.len() == 1;
    let mut done: Vec<Box<dyn Command>> = Vec::with_capacity(waiting.len());
    for mut command in waiting.by_ref() {
        // A command that is alone needs no savepoint: its error undoes the whole transaction.
        let saved = if alone { Ok(()) } else { execute(connection, "SAVEPOINT command") };
        if let Err(error) = saved {
            let error = Arc::new(error);
            command.answer(Err(&error));
            continue;
        }
        if command.run(connection) {
            if !alone {
                // Releasing a savepoint inside of a transaction writes nothing; an error shows at the commit.
                let _ = execute(connection, "RELEASE command");
            }
            done.push(command);
            continue;
        }
        let lost = connection.is_autocommit();
        if !lost && !alone {
            let _ = execute(connection, "ROLLBACK TO command");
            let _ = execute(connection, "RELEASE command");
        }
        command.answer(Ok(()));
        if lost {
            let error = Arc::new(failure(ffi::SQLITE_FULL, "another change in the same transaction undid it"));
            return answer(done, Err(&error));
        }
    }
    let committed = commit(connection, if done.is_empty() { "ROLLBACK" } else { "COMMIT" });
    answer(done, committed.as_ref().copied());
}

/// Ends the transaction in this way; whatever an error leaves of it is undone.
fn commit(connection: &Connection, end: &'static str) -> Result<(), Arc<Error>> {
    // Looked at behind the commit: what is answered as durable is then in the file that the next start opens.
    let committed = execute(connection, end).and_then(|()| open::check_in_place(connection)).map_err(Arc::new);
    if committed.is_err() {
        undo(connection);
    }
    committed
}

fn undo(connection: &Connection) {
    if !connection.is_autocommit() {
        let _ = execute(connection, "ROLLBACK");
    }
}

fn execute(connection: &Connection, sql: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    type Insert = fn(&Connection) -> Result<(), StoreError>;

    fn insert(connection: &Connection, number: i64) -> Result<(), StoreError> {
        connection.execute("INSERT INTO number VALUES (?1)", [number])?;
        Ok(())
    }

    fn refusal() -> StoreError {
        StoreError::Database(failure(ffi::SQLITE_MISUSE, "the second is refused"))
    }

    /// The results of three commands that shared one batch.
    struct Batch {
        answers: Vec<Result<(), String>>,
        /// The number of runs of each.
        runs: Vec<usize>,
        /// The numbers that are in the table.
        rows: Vec<i64>,
    }

    /// Runs three commands in one batch: they are sent while the thread is busy with a command before them.
    async fn in_one_batch(commands: [Insert; 3]) -> Batch {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("batch.db");
        let connection = open::writer(&path, Durability::EachCommit).unwrap();
        connection.execute_batch("CREATE TABLE number (value INTEGER NOT NULL)").unwrap();
        let writer = Writer::start(path, WriteLock::default(), Some(connection)).unwrap();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
        let first = Work {
            work: move |_: &Connection| {
                begun.send(()).unwrap();
                may_go_on.recv().unwrap();
                Ok(())
            },
            outcome: None,
            reply: oneshot::channel().0,
            sent: Instant::now(),
        };
        writer.send(Box::new(first)).await.ok().unwrap();
        has_begun.recv().unwrap();
        let runs: Arc<[AtomicUsize; 3]> = Arc::default();
        let mut replies = Vec::new();
        for (index, command) in commands.into_iter().enumerate() {
            let (reply, answer) = oneshot::channel();
            let runs = Arc::clone(&runs);
            let work = move |connection: &Connection| {
                runs[index].fetch_add(1, Ordering::SeqCst);
                command(connection)
            };
            writer.send(Box::new(Work { work, outcome: None, reply, sent: Instant::now() })).await.ok().unwrap();
            replies.push(answer);
        }
        go_on.send(()).unwrap();
        let mut answers = Vec::new();
        for answer in replies {
            answers.push(answer.await.unwrap().map_err(|error| format!("{:?}", error.into_repository("test"))));
        }
        let read = |connection: &Connection| -> Result<Vec<i64>, StoreError> {
            let mut statement = connection.prepare("SELECT value FROM number ORDER BY value")?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        };
        let rows = writer.run("test", read).await.unwrap();
        let runs = runs.iter().map(|count| count.load(Ordering::SeqCst)).collect();
        Batch { answers, runs, rows }
    }

    #[tokio::test]
    async fn a_command_that_fails_after_a_change_undoes_its_own_alone() {
        let failing: Insert = |connection| insert(connection, 2).and(Err(refusal()));
        let batch =
            in_one_batch([|connection| insert(connection, 1), failing, |connection| insert(connection, 3)]).await;
        assert_eq!(batch.rows, [1, 3]);
        assert!(batch.answers[0].is_ok() && batch.answers[2].is_ok(), "{:?}", batch.answers);
        assert!(batch.answers[1].as_ref().is_err_and(|error| error.contains("the second is refused")));
        // Together up to the error, then each for itself.
        assert_eq!(batch.runs, [2, 2, 1]);
    }

    #[tokio::test]
    async fn a_command_that_is_refused_without_a_change_does_not_keep_others_from_sharing_a_commit() {
        let refused: Insert = |_| Err(refusal());
        let batch =
            in_one_batch([|connection| insert(connection, 1), refused, |connection| insert(connection, 3)]).await;
        assert_eq!(batch.rows, [1, 3]);
        assert!(batch.answers[0].is_ok() && batch.answers[2].is_ok(), "{:?}", batch.answers);
        assert!(batch.answers[1].as_ref().is_err_and(|error| error.contains("the second is refused")));
        assert_eq!(batch.runs, [1, 1, 1]);
    }

    #[tokio::test]
    async fn a_command_behind_another_that_waits_for_the_lock_waits_no_longer_than_it_may() {
        const PATIENCE: Duration = Duration::from_secs(2);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locked.db");
        let connection = open::writer(&path, Durability::EachCommit).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE number (value INTEGER NOT NULL)").unwrap();
        let other = open::writer(&path, Durability::EachCommit).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (sender, receiver) = mpsc::channel(QUEUE);
        let write_lock = WriteLock::default();
        let thread = Thread { path, write_lock, connection: Some(connection), receiver, patience: PATIENCE };
        std::thread::spawn(move || thread.serve());
        let writer = Writer { sender };
        let wait = async |number: i64| {
            let sent = Instant::now();
            let answer = writer.run("insert", move |connection| insert(connection, number)).await;
            assert!(matches!(answer, Err(RepositoryError::Unavailable { .. })), "{answer:?}");
            sent.elapsed()
        };
        // The second is sent while the first waits, so that the thread does not take them together.
        let second = async {
            tokio::time::timeout(PATIENCE / 4, std::future::pending::<()>()).await.unwrap_err();
            wait(2).await
        };
        let (first, second) = tokio::join!(wait(1), second);
        assert!(first >= PATIENCE && second >= PATIENCE, "{first:?} {second:?}");
        assert!(second < PATIENCE * 3 / 2, "{second:?}");
        other.execute_batch("ROLLBACK").unwrap();
        writer.run("insert", |connection| insert(connection, 3)).await.unwrap();
    }
}
