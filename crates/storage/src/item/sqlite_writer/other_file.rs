//! A file of SQLite that is not the repository's, with a transaction of its own for each chunk.

use std::path::PathBuf;

use oxbatch_core::StepContext;
use oxbatch_core::item::ItemError;
use oxbatch_core::repository::ChunkTransaction;
use rusqlite::Connection;

use super::once::Once;
use super::table_rows::kind_of;
use crate::item::once::{EXACTLY_ONCE, Ledger, RunKey};
use crate::sqlite::{SqliteChunkTransaction, check_deferred, file_writer, is_deferred_violation, resolve};

/// The file, and what it knows of the chunks that it holds.
pub(super) struct OtherFile {
    path: PathBuf,
    connection: Option<Connection>,
    /// A transaction of the writer's has begun, and was neither committed nor rolled back here.
    begun: bool,
    /// A commit of this chunk was refused for a deferred foreign key: its rows are tried before they are written again.
    refused: bool,
    once: Option<Box<Once>>,
}

#[derive(Debug, thiserror::Error)]
#[error("failed to {what} in the database '{path}'")]
struct FileError {
    what: &'static str,
    path: String,
    source: rusqlite::Error,
}

impl OtherFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, connection: None, begun: false, refused: false, once: None }
    }

    pub(super) fn exactly_once(&mut self, context: &StepContext, table: &str) {
        let key = RunKey::new(context, table.to_owned());
        self.once = Some(Box::new(Once::new(context.clone(), key)));
    }

    /// Opens the file, or creates it. `committed` is how many rows the repository knows of; none for a fresh start. The
    /// answer says whether the file is known to hold rows of this run already.
    pub(super) async fn open(&mut self, committed: Option<u64>) -> Result<bool, ItemError> {
        self.path = resolve(&self.path)?;
        let connection = self.connection.insert(file_writer(&self.path)?);
        match &mut self.once {
            Some(once) => once.open(connection, committed).await,
            None => Ok(false),
        }
    }

    /// The connection inside of the chunk's transaction.
    pub(super) fn begin(
        &mut self,
        transaction: &mut dyn ChunkTransaction,
    ) -> Result<(&Connection, Option<&mut Ledger>), ItemError> {
        let repository: Option<&SqliteChunkTransaction> = transaction.as_any_mut().downcast_ref();
        if repository.is_some_and(|repository| repository.is_of(&self.path)) {
            let path = self.path.display();
            let message = format!(
                "the database '{path}' is the repository's own: write to it without naming the file, which is exactly once"
            );
            return Err(ItemError::other(message));
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            // It was closed because a roll-back had failed.
            none => none.insert(file_writer(&self.path)?),
        };
        if !self.begun {
            connection
                .execute_batch("BEGIN IMMEDIATE")
                .map_err(|error| database_error(&self.path, "begin a chunk", error))?;
            self.begun = true;
        }
        Ok((connection, self.once.as_mut().map(|once| &mut once.ledger)))
    }

    /// Returns whether the repository's save of the next chunk, which has so many rows, must wait for the disk.
    pub(super) fn is_durable_due(&mut self, rows: usize) -> bool {
        self.once.as_mut().is_some_and(|once| once.ledger.is_durable_due(rows))
    }

    /// Commits what has begun, and waits for the disk. `rows` are those of the step with this chunk.
    pub(super) fn commit(&mut self, rows: u64) -> Result<(), ItemError> {
        let Some(connection) = self.connection.as_ref().filter(|_| self.begun) else { return Ok(()) };
        if connection.is_autocommit() {
            return Err(ItemError::other("the writer's statements ended the chunk's transaction on their own"));
        }
        if let Some(once) = &self.once {
            once.save(connection)?;
            // A change of the context: what the file knows is of one chunk, so the repository must save each.
            once.context.put(EXACTLY_ONCE, rows)?;
        }
        // One that fails may still be open: the roll-back that follows ends it.
        if let Err(error) = connection.execute_batch("COMMIT") {
            self.refused = is_deferred_violation(&error);
            return Err(database_error(&self.path, "commit a chunk", error));
        }
        self.begun = false;
        if let Some(once) = &mut self.once {
            once.ledger.target_committed();
        }
        Ok(())
    }

    /// Returns whether the rows of the next write must be tried: they begin a chunk whose commit was refused. Only then
    /// is nothing but they undone by it.
    pub(super) fn must_try(&self) -> bool {
        self.refused && !self.begun
    }

    /// Checks what the commit would check of the rows that were written, and undoes them.
    pub(super) fn check(&mut self) -> Result<(), ItemError> {
        let Some(connection) = self.connection.as_mut().filter(|_| self.begun) else { return Ok(()) };
        check_deferred(connection).map_err(|error| database_error(&self.path, "check a chunk", error))?;
        self.begun = !connection.is_autocommit();
        Ok(())
    }

    /// The repository has committed, too.
    pub(super) fn committed(&mut self) {
        self.refused = false;
        if let Some(once) = &mut self.once {
            once.ledger.committed();
        }
    }

    /// Undoes what has begun. The answer says whether the file keeps what it has committed, and that is known.
    pub(super) fn rolled_back(&mut self) -> bool {
        if std::mem::take(&mut self.begun)
            && let Some(connection) = &self.connection
            && !connection.is_autocommit()
            && connection.execute_batch("ROLLBACK").is_err()
        {
            // Closing a connection undoes what it has begun.
            self.connection = None;
        }
        self.once.as_mut().is_some_and(|once| once.ledger.rolled_back())
    }

    /// The input has ended.
    pub(super) fn finish(&self) -> Result<(), ItemError> {
        self.once.as_ref().map_or(Ok(()), |once| once.ledger.finish())
    }

    pub(super) fn close(&mut self) {
        self.connection = None;
        self.begun = false;
    }
}

fn database_error(path: &std::path::Path, what: &'static str, source: rusqlite::Error) -> ItemError {
    ItemError::new(kind_of(&source), FileError { what, path: path.display().to_string(), source })
}
