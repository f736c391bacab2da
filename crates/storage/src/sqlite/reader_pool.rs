//! A few threads with read connections: lists and details are answered next to the writer, and block no caller's
//! thread.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oxbatch_core::repository::RepositoryError;
use rusqlite::{Connection, ffi};
use tokio::sync::{mpsc, oneshot};

use super::error::{StoreError, failure};
use super::open::{self, unusable};

/// Threads that read, at most. SQLite readers do not block each other; more than a few would only take cores from the
/// steps. Each has memory of its own, so one is started only when a question finds no other free.
const THREADS: usize = 4;
/// Questions that wait for a thread; more wait in their callers.
const QUEUE: usize = 1024;

type Question = Box<dyn FnOnce(Result<&Connection, rusqlite::Error>) -> Reply + Send>;
/// Tells the caller, after the connection was put back: a `close` that follows must find it.
type Reply = Box<dyn FnOnce()>;

/// The threads that read. They end when the last handle is dropped.
pub(super) struct ReaderPool {
    sender: mpsc::Sender<Question>,
    shared: Arc<Shared>,
}

/// The part that the threads share.
struct Shared {
    path: PathBuf,
    receiver: Mutex<mpsc::Receiver<Question>>,
    /// Connections that nobody uses.
    idle: Mutex<Vec<Connection>>,
    load: Mutex<Load>,
}

/// Threads, and the questions that they work on or that wait for them.
struct Load {
    threads: usize,
    questions: usize,
}

impl Shared {
    fn load(&self) -> MutexGuard<'_, Load> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a question, and starts a thread for it where all others have one and there may be another.
    fn count(self: &Arc<Self>) -> Counted {
        let mut load = self.load();
        load.questions += 1;
        // Where no thread can be started, those that run answer it.
        if load.questions > load.threads && load.threads < THREADS && spawn(self).is_ok() {
            load.threads += 1;
        }
        drop(load);
        Counted(Arc::clone(self))
    }
}

/// A question that is counted until this is dropped, answered or not.
struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.load().questions -= 1;
    }
}

impl ReaderPool {
    pub(super) fn start(path: &Path) -> Result<Self, RepositoryError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            receiver: Mutex::new(receiver),
            idle: Mutex::new(Vec::with_capacity(THREADS)),
            load: Mutex::new(Load { threads: 1, questions: 0 }),
        });
        spawn(&shared).map_err(|error| unusable(format!("the database's thread cannot be started: {error}"), None))?;
        Ok(Self { sender, shared })
    }

    /// Asks the database.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        question: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let counted = self.shared.count();
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |connection| {
            let answer = connection.map_err(StoreError::Database).and_then(question);
            Box::new(move || {
                drop(counted);
                drop(reply.send(answer));
            })
        });
        let gone = || StoreError::Database(failure(ffi::SQLITE_MISUSE, "the database's thread has ended or panicked"));
        let answer = match self.sender.send(question).await {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(gone())),
            Err(_) => Err(gone()),
        };
        answer.map_err(|error| error.into_repository(operation))
    }

    /// Closes the connections that nobody uses; a later question opens new ones.
    pub(super) fn close_idle(&self) {
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn spawn(shared: &Arc<Shared>) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    let thread = std::thread::Builder::new().name("oxbatch-reader".to_owned());
    thread.spawn(move || serve(&shared)).map(drop)
}

fn serve(shared: &Shared) {
    let Shared { path, receiver, idle, .. } = shared;
    loop {
        let question = receiver.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(question) = question else { return };
        let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = kept.map_or_else(|| open::reader(path), Ok);
        match connection {
            Ok(connection) => {
                // A panic drops the reply, which the caller notices; the thread goes on with another connection.
                let asked = std::panic::catch_unwind(AssertUnwindSafe(|| question(Ok(&connection))));
                if let Ok(reply) = asked {
                    idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                    reply();
                }
            }
            Err(error) => question(Err(error))(),
        }
    }
}
