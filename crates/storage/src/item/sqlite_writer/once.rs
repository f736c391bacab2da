//! The checkpoint of a run in a file that is not the repository's.

use oxbatch_core::StepContext;
use oxbatch_core::item::ItemError;
use rusqlite::{Connection, OptionalExtension, params};

use super::table_rows::kind_of;
use crate::item::once::{Found, Ledger, Left, MOST_LEFT, Resumed, RunKey};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS oxbatch_checkpoint (
         job_name TEXT NOT NULL, step_name TEXT NOT NULL, instance_id INTEGER NOT NULL, instance_created INTEGER NOT NULL,
         target TEXT NOT NULL, execution_id INTEGER NOT NULL, written INTEGER NOT NULL, unsettled BLOB NOT NULL,
         update_time TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
         PRIMARY KEY (job_name, instance_id, instance_created, step_name, target)) STRICT";
const FIND: &str = "SELECT execution_id, written, unsettled FROM oxbatch_checkpoint
     WHERE job_name = ?1 AND instance_id = ?2 AND instance_created = ?3 AND step_name = ?4 AND target = ?5";
/// Takes the row over: from here on no earlier execution can commit.
const TAKE: &str = "INSERT INTO oxbatch_checkpoint
         (job_name, instance_id, instance_created, step_name, target, execution_id, written, unsettled)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, x'')
     ON CONFLICT (job_name, instance_id, instance_created, step_name, target)
     DO UPDATE SET execution_id = excluded.execution_id, update_time = CURRENT_TIMESTAMP";
const SAVE: &str = "UPDATE oxbatch_checkpoint SET written = ?7, unsettled = ?8, update_time = CURRENT_TIMESTAMP
     WHERE job_name = ?1 AND instance_id = ?2 AND instance_created = ?3 AND step_name = ?4 AND target = ?5
       AND execution_id = ?6";
/// The rows of other runs of the step.
const LEFT: &str = "SELECT instance_id, instance_created, execution_id FROM oxbatch_checkpoint
     WHERE job_name = ?1 AND NOT (instance_id = ?2 AND instance_created = ?3) AND step_name = ?4 AND target = ?5
     ORDER BY execution_id DESC LIMIT ?6";
const REMOVE: &str = "DELETE FROM oxbatch_checkpoint
     WHERE job_name = ?1 AND instance_id = ?2 AND instance_created = ?3 AND step_name = ?4 AND target = ?5
       AND execution_id = ?6";

/// The checkpoint of a run in the file, and the way in which it is kept there.
pub(super) struct Once {
    pub(super) ledger: Ledger,
    pub(super) context: StepContext,
}

#[derive(Debug, thiserror::Error)]
#[error("failed to keep the checkpoint in the target's table 'oxbatch_checkpoint'")]
struct CheckpointError {
    source: rusqlite::Error,
}

fn failed(source: rusqlite::Error) -> ItemError {
    ItemError::new(kind_of(&source), CheckpointError { source })
}

impl Once {
    pub(super) fn new(context: StepContext, key: RunKey) -> Self {
        Self { ledger: Ledger::new(key), context }
    }

    /// Takes the run over in the file. `committed` is how many rows the repository knows of; none for a fresh start.
    /// The answer says whether the file holds rows of this run already.
    ///
    /// # Errors
    /// When a later execution has taken it over, or when file and repository do not fit together.
    pub(super) async fn open(
        &mut self,
        connection: &mut Connection,
        committed: Option<u64>,
    ) -> Result<bool, ItemError> {
        self.ledger.look_up(self.context.repository().as_ref()).await?;
        connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        let taken = self.take(connection, committed).await;
        let end = if taken.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = connection.execute_batch(end).map_err(failed);
        let taken = taken?;
        ended.map(|()| taken)
    }

    async fn take(&mut self, connection: &mut Connection, committed: Option<u64>) -> Result<bool, ItemError> {
        let found = self.find(connection)?;
        let resumed = self.ledger.resume(self.context.repository().as_ref(), found, committed).await?;
        let left = self.left(connection)?;
        let complete = self.ledger.complete(self.context.repository().as_ref(), left).await?;
        self.remove(connection, &complete)?;
        let (key, created) = self.ledger.run()?;
        let of_run = params![
            key.job_name,
            key.instance_id,
            created.as_microsecond(),
            key.step_name,
            key.target,
            key.execution_id
        ];
        connection.execute(TAKE, of_run).map_err(failed)?;
        match resumed {
            Resumed::GoesOn { holds_rows } => Ok(holds_rows),
            Resumed::Anew => {
                let known = committed.unwrap_or(0);
                self.save(connection)?;
                Ok(known > 0)
            }
        }
    }

    fn remove(&self, connection: &Connection, complete: &[Left]) -> Result<(), ItemError> {
        let (key, _) = self.ledger.run()?;
        for row in complete {
            let created = row.instance_created.as_microsecond();
            let of_run = params![key.job_name, row.instance_id, created, key.step_name, key.target, row.execution_id];
            connection.execute(REMOVE, of_run).map_err(failed)?;
        }
        Ok(())
    }

    fn left(&self, connection: &Connection) -> Result<Vec<Left>, ItemError> {
        let (key, created) = self.ledger.run()?;
        let created = created.as_microsecond();
        let mut statement = connection.prepare(LEFT).map_err(failed)?;
        let of_step = params![key.job_name, key.instance_id, created, key.step_name, key.target, MOST_LEFT];
        let rows = statement
            .query_map(of_step, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .map_err(failed)?
            .collect::<Result<Vec<(i64, i64, i64)>, _>>()
            .map_err(failed)?;
        // What is no time was not written here.
        let left = rows.into_iter().filter_map(|(instance_id, created, execution_id)| {
            let instance_created = jiff::Timestamp::from_microsecond(created).ok()?;
            Some(Left { instance_id, instance_created, execution_id })
        });
        Ok(left.collect())
    }

    fn find(&self, connection: &Connection) -> Result<Option<Found>, ItemError> {
        connection.execute_batch(CREATE).map_err(failed)?;
        let (key, created) = self.ledger.run()?;
        let of_run = params![key.job_name, key.instance_id, created.as_microsecond(), key.step_name, key.target];
        let found =
            |row: &rusqlite::Row<'_>| Ok(Found { owner: row.get(0)?, written: row.get(1)?, unsettled: row.get(2)? });
        connection.query_row(FIND, of_run, found).optional().map_err(failed)
    }

    /// Saves, in the chunk's transaction, what the file holds with it.
    pub(super) fn save(&self, connection: &Connection) -> Result<(), ItemError> {
        let (key, created) = self.ledger.run()?;
        let (written, unsettled) = self.ledger.state()?;
        let values = params![
            key.job_name,
            key.instance_id,
            created.as_microsecond(),
            key.step_name,
            key.target,
            key.execution_id,
            written,
            unsettled
        ];
        let saved =
            connection.prepare_cached(SAVE).and_then(|mut statement| statement.execute(values)).map_err(failed)?;
        if saved == 0 { Err(self.ledger.fenced_off()) } else { Ok(()) }
    }
}
