//! The commands of one commit: together where that goes well, else each for itself.

use std::sync::Arc;

use rusqlite::{Connection, Error, ffi};

use super::command::Command;
use crate::sqlite::error::failure;
use crate::sqlite::open;

/// Runs commands in the transaction that has begun: together where that goes well, else each for itself.
pub(super) fn run(connection: &Connection, batch: Vec<Box<dyn Command>>) {
    let mut waiting = match run_together(connection, batch) {
        None => return,
        Some(batch) => batch.into_iter(),
    };
    while waiting.len() > 0 {
        run_apart(connection, &mut waiting);
    }
}

pub(super) fn answer(commands: impl IntoIterator<Item = Box<dyn Command>>, committed: Result<(), &Arc<Error>>) {
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

pub(super) fn execute(connection: &Connection, sql: &'static str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}
