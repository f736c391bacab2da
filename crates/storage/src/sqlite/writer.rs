//! Group commit: the one thread that writes what must be durable; commands that come together share one commit.

mod batch;
mod command;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oxbatch_core::repository::RepositoryError;
use rusqlite::{Connection, ErrorCode, ffi};
use tokio::sync::{mpsc, oneshot};

use super::error::{StoreError, failure};
use super::open::{self, BUSY_TIMEOUT, Durability, unusable};
use super::write_lock::{WriteGuard, WriteLock};
use batch::{answer, execute, run};
use command::{Close, Command, Work};

/// Commands that wait for the thread. More wait in their callers, who then wait in a fair order too.
const QUEUE: usize = 1024;
/// Commands that share one commit: enough to hide the disk, few enough to keep the write lock short.
const BATCH: usize = 128;

/// The thread that owns the durable write connection. It ends when the last handle is dropped.
pub(super) struct Writer {
    sender: mpsc::Sender<Box<dyn Command>>,
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
