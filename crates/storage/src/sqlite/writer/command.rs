//! The commands of the writer's thread: work for a caller, and the end of the connection.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection, Error, ffi};
use tokio::sync::oneshot;

use crate::sqlite::error::{StoreError, copy, failure};

/// A piece of work that the thread does for a caller.
pub(super) trait Command: Send {
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

pub(super) struct Work<T, F> {
    pub(super) work: F,
    pub(super) outcome: Option<Result<T, StoreError>>,
    pub(super) reply: oneshot::Sender<Result<T, StoreError>>,
    pub(super) sent: Instant,
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
pub(super) struct Close(pub(super) oneshot::Sender<()>, pub(super) Instant);

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
