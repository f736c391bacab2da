//! A few threads with read connections: lists and details are answered next to the writer, and block no caller's
//! thread.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use oxbatch_core::repository::RepositoryError;
use rusqlite::{Connection, ffi};
use tokio::sync::{mpsc, oneshot};

use super::error::{StoreError, failure};
use super::open::{self, unusable};

/// Threads that read. SQLite readers do not block each other; more than a few would only take cores from the steps.
const THREADS: usize = 4;
/// Questions that wait for a thread; more wait in their callers.
const QUEUE: usize = 1024;

type Question = Box<dyn FnOnce(Result<&Connection, rusqlite::Error>) -> Reply + Send>;
/// Tells the caller, after the connection was put back: a `close` that follows must find it.
type Reply = Box<dyn FnOnce()>;

/// The threads that read. They end when the last handle is dropped.
pub(super) struct ReaderPool {
    sender: mpsc::Sender<Question>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl ReaderPool {
    pub(super) fn start(path: &Path) -> Result<Self, RepositoryError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let idle = Arc::new(Mutex::new(Vec::with_capacity(THREADS)));
        for _ in 0..THREADS {
            let (path, receiver, idle) = (path.to_owned(), Arc::clone(&receiver), Arc::clone(&idle));
            std::thread::Builder::new()
                .name("oxbatch-reader".to_owned())
                .spawn(move || serve(&path, &receiver, &idle))
                .map_err(|error| unusable(format!("the database's thread cannot be started: {error}"), None))?;
        }
        Ok(Self { sender, idle })
    }

    /// Asks the database.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        question: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |connection| {
            let answer = connection.map_err(StoreError::Database).and_then(question);
            Box::new(move || drop(reply.send(answer)))
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
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn serve(path: &Path, receiver: &Mutex<mpsc::Receiver<Question>>, idle: &Mutex<Vec<Connection>>) {
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
