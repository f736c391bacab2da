//! The checkpoint of a run in a PostgreSQL that is not the repository's.

use oxbatch_core::item::ItemError;
use oxbatch_core::repository::JobRepository;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::error::item_error;
use crate::item::once::{Found, Ledger, Left, MOST_LEFT, Resumed, RunKey};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS oxbatch_checkpoint (
         job_name text NOT NULL, step_name text NOT NULL, instance_id int8 NOT NULL, instance_created timestamptz NOT NULL,
         target text NOT NULL, execution_id int8 NOT NULL, written int8 NOT NULL, unsettled bytea NOT NULL,
         update_time timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (job_name, instance_id, instance_created, step_name, target))";
/// Takes the row over: from here on no earlier execution can commit. The answer is what it left.
const TAKE: &str = "WITH before AS (
         SELECT execution_id, written, unsettled FROM oxbatch_checkpoint
         WHERE job_name = $1 AND instance_id = $2 AND instance_created = $3 AND step_name = $4 AND target = $5
         FOR UPDATE),
     taken AS (
         INSERT INTO oxbatch_checkpoint AS mine
             (job_name, instance_id, instance_created, step_name, target, execution_id, written, unsettled)
         VALUES ($1, $2, $3, $4, $5, $6, 0, '')
         ON CONFLICT (job_name, instance_id, instance_created, step_name, target)
         DO UPDATE SET execution_id = EXCLUDED.execution_id, update_time = now()
         WHERE mine.execution_id <= EXCLUDED.execution_id
         RETURNING mine.execution_id)
     SELECT execution_id, written, unsettled FROM (SELECT 1) AS one LEFT JOIN before ON true";
/// Saves only on top of what this execution has left: whatever else stands there must not be written over.
const SAVE: &str = "UPDATE oxbatch_checkpoint SET written = $7, unsettled = $8, update_time = now()
     WHERE job_name = $1 AND instance_id = $2 AND instance_created = $3 AND step_name = $4 AND target = $5
       AND execution_id = $6 AND written = $9";
const LOOK: &str = "SELECT execution_id, written FROM oxbatch_checkpoint
     WHERE job_name = $1 AND instance_id = $2 AND instance_created = $3 AND step_name = $4 AND target = $5";
/// The rows of other runs of the step.
const LEFT: &str = "SELECT instance_id, instance_created, execution_id FROM oxbatch_checkpoint
     WHERE job_name = $1 AND NOT (instance_id = $2 AND instance_created = $3) AND step_name = $4 AND target = $5
     ORDER BY execution_id DESC LIMIT $6";
/// One that another run removes at this moment is left to it.
const REMOVE: &str = "DELETE FROM oxbatch_checkpoint WHERE ctid = ANY (ARRAY (
         SELECT ctid FROM oxbatch_checkpoint
         WHERE job_name = $1 AND instance_id = $2 AND instance_created = $3 AND step_name = $4 AND target = $5
           AND execution_id = $6
         FOR UPDATE SKIP LOCKED))";

/// The checkpoint of a run in the target, and the way in which it is kept there.
#[derive(Debug)]
pub(super) struct Once {
    pub(super) ledger: Ledger,
    save: Option<Statement>,
    /// Rows of the run in the target's row, as last committed there.
    held: i64,
    /// Those with the chunk in hand.
    saved: i64,
    /// A commit was sent and not answered: what the target holds has to be looked up before anything else is written.
    unsure: bool,
}

fn failed(error: tokio_postgres::Error) -> ItemError {
    item_error("keep the checkpoint in the target's table 'oxbatch_checkpoint'", error)
}

impl Once {
    pub(super) fn new(key: RunKey) -> Self {
        Self { ledger: Ledger::new(key), save: None, held: 0, saved: 0, unsure: false }
    }

    /// Takes the run over in the target. `committed` is how many rows the repository knows of; none for a fresh start.
    /// The answer says whether the target holds rows of this run already.
    ///
    /// # Errors
    /// When a later execution has taken it over, or when target and repository do not fit together.
    pub(super) async fn open(
        &mut self,
        client: &Client,
        repository: &dyn JobRepository,
        committed: Option<u64>,
    ) -> Result<bool, ItemError> {
        self.save = None;
        self.ledger.look_up(repository).await?;
        if let Err(error) = client.batch_execute(CREATE).await {
            // Two that create it at once: one of them finds it there.
            let raced = error.code().is_some_and(|code| code.code().starts_with("23") || code.code() == "42P07");
            if !raced {
                return Err(failed(error));
            }
        }
        client.batch_execute("BEGIN").await.map_err(failed)?;
        let taken = self.take(client, repository, committed).await;
        let end = if taken.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = client.batch_execute(end).await.map_err(failed);
        let taken = taken?;
        ended?;
        self.unsure = false;
        Ok(taken)
    }

    /// Takes the run over once more when nobody knows whether the last chunk was committed: the row says it, and a
    /// commit that is still under way is waited for by it. The answer is that of [`open`](Self::open).
    pub(super) async fn resolve(
        &mut self,
        client: &Client,
        repository: &dyn JobRepository,
        committed: u64,
    ) -> Result<bool, ItemError> {
        self.open(client, repository, Some(committed)).await
    }

    /// Returns whether the answer to the last commit is missing.
    pub(super) fn is_unsure(&self) -> bool {
        self.unsure
    }

    async fn take(
        &mut self,
        client: &Client,
        repository: &dyn JobRepository,
        committed: Option<u64>,
    ) -> Result<bool, ItemError> {
        let (key, created) = self.ledger.run()?;
        let taken = client
            .query_one(
                TAKE,
                &[&key.job_name, &key.instance_id, &created, &key.step_name, &key.target, &key.execution_id],
            )
            .await
            .map_err(failed)?;
        let owner: Option<i64> = taken.get(0);
        let found = owner.map(|owner| Found { owner, written: taken.get(1), unsettled: taken.get(2) });
        self.held = found.as_ref().map_or(0, |found| found.written);
        self.remove_complete(client, repository).await?;
        match self.ledger.resume(repository, found, committed).await? {
            Resumed::GoesOn { holds_rows } => Ok(holds_rows),
            Resumed::Anew => {
                let known = committed.unwrap_or(0);
                self.save(client).await?;
                self.held = self.saved;
                Ok(known > 0)
            }
        }
    }

    /// Removes what other runs have left whose step is complete.
    async fn remove_complete(&self, client: &Client, repository: &dyn JobRepository) -> Result<(), ItemError> {
        let (key, created) = self.ledger.run()?;
        let of_step: [&(dyn ToSql + Sync); 6] =
            [&key.job_name, &key.instance_id, &created, &key.step_name, &key.target, &MOST_LEFT];
        let rows = client.query(LEFT, &of_step).await.map_err(failed)?;
        let left = rows
            .iter()
            .map(|row| Left { instance_id: row.get(0), instance_created: row.get(1), execution_id: row.get(2) })
            .collect();
        for row in self.ledger.complete(repository, left).await? {
            let of_run: [&(dyn ToSql + Sync); 6] = [
                &key.job_name,
                &row.instance_id,
                &row.instance_created,
                &key.step_name,
                &key.target,
                &row.execution_id,
            ];
            client.execute(REMOVE, &of_run).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Saves, in the target's transaction, what it holds with this chunk.
    pub(super) async fn save(&mut self, client: &Client) -> Result<(), ItemError> {
        let statement = match &self.save {
            Some(statement) => statement.clone(),
            None => self.save.insert(client.prepare(SAVE).await.map_err(failed)?).clone(),
        };
        let (key, created) = self.ledger.run()?;
        let (written, unsettled) = self.ledger.state()?;
        let saved = client
            .execute(
                &statement,
                &[
                    &key.job_name,
                    &key.instance_id,
                    &created,
                    &key.step_name,
                    &key.target,
                    &key.execution_id,
                    &written,
                    &unsettled,
                    &self.held,
                ],
            )
            .await
            .map_err(failed)?;
        if saved == 0 {
            return Err(self.refused(client).await);
        }
        self.saved = written;
        Ok(())
    }

    /// Why the target's row did not take a save.
    #[cold]
    async fn refused(&self, client: &Client) -> ItemError {
        let search = async {
            let (key, created) = self.ledger.run()?;
            let of_run: [&(dyn ToSql + Sync); 5] =
                [&key.job_name, &key.instance_id, &created, &key.step_name, &key.target];
            let row = client.query_opt(LOOK, &of_run).await.map_err(failed)?;
            let row = row.map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1)));
            Ok(match row {
                Some((owner, written)) if owner == key.execution_id => ItemError::other(format!(
                    "the target holds {written} rows of this step, where this execution has left {}; nothing of this \
                     chunk was committed",
                    self.held
                )),
                // One that has ended has taken its row with it.
                _ => self.ledger.fenced_off(),
            })
        };
        search.await.unwrap_or_else(|error: ItemError| error)
    }

    /// From here on the target may have committed the chunk, until the answer says so.
    pub(super) fn commit_sent(&mut self) {
        self.unsure = true;
    }

    /// The target has committed what was saved.
    pub(super) fn target_committed(&mut self) {
        self.unsure = false;
        self.held = self.saved;
        self.ledger.target_committed();
    }

    /// The repository has not committed; the connection may be another one from now on. The answer says whether the
    /// target keeps what it has committed.
    pub(super) fn rolled_back(&mut self) -> bool {
        self.save = None;
        self.ledger.rolled_back()
    }
}
