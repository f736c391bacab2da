//! Exactly once in a database that is not the repository's: what a target knows of the chunks that it holds.
//!
//! Two databases cannot commit at the same moment. So the target commits first, and keeps in the same transaction how
//! many rows it holds and the fingerprints of those that the repository may not know of yet. An attempt that comes after
//! a death between the two commits finds them here, and leaves out the rows that are there already. The row is also a
//! fence: whoever opened it last is the only one that can commit.

use std::collections::VecDeque;

use oxbatch_core::StepContext;
use oxbatch_core::item::ItemError;
use oxbatch_core::repository::{ExecutionFilter, JobRepository, PageRequest};
use tokio_postgres::{Client, Statement};

use super::fault::fault;

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
     SELECT (SELECT count(*) FROM taken), execution_id, written, unsettled
     FROM (SELECT 1) AS one LEFT JOIN before ON true";
const SAVE: &str = "UPDATE oxbatch_checkpoint SET written = $7, unsettled = $8, update_time = now()
     WHERE job_name = $1 AND instance_id = $2 AND instance_created = $3 AND step_name = $4 AND target = $5
       AND execution_id = $6";
const REMOVE: &str = "DELETE FROM oxbatch_checkpoint
     WHERE job_name = $1 AND instance_id = $2 AND instance_created = $3 AND step_name = $4 AND target = $5
       AND execution_id = $6";

/// Executions of an instance that are looked through at once.
const PAGE: u32 = 100;

/// Which step of which run it is.
#[derive(Debug, Clone)]
pub(super) struct RunKey {
    job_name: String,
    step_name: String,
    instance_id: i64,
    execution_id: i64,
    /// What is written, so that two writers of a step do not share a row.
    target: String,
}

/// What the target knows.
#[derive(Debug)]
pub(super) struct Ledger {
    key: RunKey,
    created: Option<jiff::Timestamp>,
    /// Fingerprints of rows that the target holds and the repository does not know of, in their order.
    pending: VecDeque<u64>,
    /// Those of `pending` that the chunk in hand has brought again.
    consumed: usize,
    /// Fingerprints of the chunk in hand.
    chunk: Vec<u64>,
    /// The target has committed the chunk in hand.
    target_committed: bool,
    save: Option<Statement>,
    /// The target knows nothing of a run that is under way: it ended, or the target was replaced.
    forgotten: bool,
}

impl RunKey {
    pub(super) fn new(context: &StepContext, target: String) -> Self {
        Self {
            job_name: context.job_name().to_owned(),
            step_name: context.step_name().to_owned(),
            instance_id: context.instance_id().0,
            execution_id: context.execution_id().0,
            target,
        }
    }
}

fn failed(error: tokio_postgres::Error) -> ItemError {
    fault("keep the checkpoint in the target's table 'oxbatch_checkpoint'", error)
}

impl Ledger {
    pub(super) fn new(key: RunKey) -> Self {
        Self {
            key,
            created: None,
            pending: VecDeque::new(),
            consumed: 0,
            chunk: Vec::new(),
            target_committed: false,
            save: None,
            forgotten: false,
        }
    }

    /// Takes the run over in the target. `committed` is how many rows the repository knows of; none for a fresh start. The
    /// answer says whether the target holds rows of this run already.
    ///
    /// # Errors
    /// When a later execution has taken it over, or when target and repository do not fit together.
    pub(super) async fn open(
        &mut self,
        client: &Client,
        repository: &dyn JobRepository,
        committed: Option<u64>,
    ) -> Result<bool, ItemError> {
        let instance = repository.instance(oxbatch_core::execution::InstanceId(self.key.instance_id)).await?;
        self.created = instance.map(|instance| instance.create_time);
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
        ended.map(|()| taken)
    }

    async fn take(
        &mut self,
        client: &Client,
        repository: &dyn JobRepository,
        committed: Option<u64>,
    ) -> Result<bool, ItemError> {
        let key = &self.key;
        let created = self.created_micros()?;
        let taken = client
            .query_one(
                TAKE,
                &[&key.job_name, &key.instance_id, &created, &key.step_name, &key.target, &key.execution_id],
            )
            .await
            .map_err(failed)?;
        let (mine, owner, written): (i64, Option<i64>, Option<i64>) = (taken.get(0), taken.get(1), taken.get(2));
        if mine == 0 {
            return Err(ItemError::other(format!(
                "a later execution ({}) writes to the target of execution {} by now",
                owner.unwrap_or_default(),
                key.execution_id
            )));
        }
        let unsettled: Option<&[u8]> = taken.get(3);
        let unsettled = fingerprints(unsettled.unwrap_or_default());
        let written = written.and_then(|written| u64::try_from(written).ok()).unwrap_or(0);
        let known = committed.unwrap_or(0);
        let stale = match owner {
            Some(owner) if committed.is_none() => self.forced_since(repository, owner).await?,
            _ => false,
        };
        if stale || owner.is_none() {
            self.forgotten = owner.is_none() && known > 0;
            // What a run before this one has left counts for nothing.
            self.save(client, known).await?;
            return Ok(known > 0);
        }
        let missing = written.checked_sub(known).and_then(|missing| usize::try_from(missing).ok());
        match missing {
            Some(missing) if missing <= unsettled.len() => {
                self.pending = unsettled.into_iter().rev().take(missing).collect();
                self.pending.make_contiguous().reverse();
                Ok(written > 0)
            }
            _ => Err(ItemError::other(format!(
                "the target holds {written} rows of this step and the repository knows of {known}: one of the two was \
                 restored from a backup; compare them, and launch with force to start anew"
            ))),
        }
    }

    fn created_micros(&self) -> Result<jiff::Timestamp, ItemError> {
        self.created.ok_or_else(|| ItemError::other("the job instance of the step does not exist any more"))
    }

    /// Whether a launch with force came after execution `owner` and up to this one: what was left before is of no run that
    /// goes on.
    async fn forced_since(&self, repository: &dyn JobRepository, owner: i64) -> Result<bool, ItemError> {
        let instance_id = Some(oxbatch_core::execution::InstanceId(self.key.instance_id));
        let mut before = Some(self.key.execution_id + 1);
        while before.is_some() {
            let filter = ExecutionFilter { instance_id, ..ExecutionFilter::default() };
            let page = repository.executions(filter, PageRequest { before, limit: PAGE }).await?;
            for execution in &page.executions {
                if execution.id.0 <= owner {
                    return Ok(false);
                }
                if execution.forced {
                    return Ok(true);
                }
            }
            before = page.next;
        }
        Ok(false)
    }

    /// Begins a chunk whose rows have these fingerprints; the answer says of each whether it has to be written.
    ///
    /// # Errors
    /// When rows that the target holds have vanished from the input.
    pub(super) fn begin(&mut self, chunk: Vec<u64>) -> Result<Vec<bool>, ItemError> {
        if self.forgotten {
            return Err(ItemError::other(
                "the target knows nothing of the rows that this step has written before: was it replaced? launch with \
                 force to start anew",
            ));
        }
        self.consumed = 0;
        let mut wanted = Vec::with_capacity(chunk.len());
        for fingerprint in &chunk {
            let rest = self.pending.iter().skip(self.consumed);
            match rest.clone().position(|pending| pending == fingerprint) {
                Some(0) => {
                    self.consumed += 1;
                    wanted.push(false);
                }
                // One that is new: it could not be written by the attempt before.
                None => wanted.push(true),
                Some(vanished) => return Err(vanished_rows(vanished)),
            }
        }
        self.chunk = chunk;
        Ok(wanted)
    }

    /// Saves, in the target's transaction, what it holds with this chunk. `committed` is what the repository knows of.
    pub(super) async fn save(&mut self, client: &Client, committed: u64) -> Result<(), ItemError> {
        let statement = match &self.save {
            Some(statement) => statement.clone(),
            None => self.save.insert(client.prepare(SAVE).await.map_err(failed)?).clone(),
        };
        let unsettled = self.unsettled();
        let written = i64::try_from(committed + unsettled.len() as u64).map_err(ItemError::other)?;
        let bytes: Vec<u8> = unsettled.iter().flat_map(|fingerprint| fingerprint.to_be_bytes()).collect();
        let key = &self.key;
        let created = self.created_micros()?;
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
                    &bytes,
                ],
            )
            .await
            .map_err(failed)?;
        if saved == 0 {
            return Err(ItemError::other(format!(
                "a later execution writes to the target of execution {} by now; nothing of this chunk was committed",
                key.execution_id
            )));
        }
        Ok(())
    }

    /// The chunk's rows, and those of a longer chunk before that are still to come.
    fn unsettled(&self) -> Vec<u64> {
        self.chunk.iter().chain(self.pending.iter().skip(self.consumed)).copied().collect()
    }

    /// The target has committed what was saved.
    pub(super) fn target_committed(&mut self) {
        self.target_committed = true;
    }

    /// The repository has committed, too.
    pub(super) fn committed(&mut self) {
        self.pending.drain(..self.consumed);
        self.end_chunk();
    }

    /// The repository has not committed. What the target has committed stays there, and will come again; the answer says
    /// whether there is any.
    pub(super) fn rolled_back(&mut self) -> bool {
        let stays = self.target_committed;
        if stays {
            self.pending = self.unsettled().into();
        }
        self.end_chunk();
        self.save = None;
        stays
    }

    fn end_chunk(&mut self) {
        self.consumed = 0;
        self.chunk.clear();
        self.target_committed = false;
    }

    /// The input has ended.
    ///
    /// # Errors
    /// When rows that the target holds did not come again.
    pub(super) fn finish(&self) -> Result<(), ItemError> {
        if self.pending.is_empty() { Ok(()) } else { Err(vanished_rows(self.pending.len())) }
    }

    /// Everything is committed on both sides: nothing has to be remembered.
    pub(super) async fn remove(&self, client: &Client) -> Result<(), ItemError> {
        let key = &self.key;
        let created = self.created_micros()?;
        client
            .execute(
                REMOVE,
                &[&key.job_name, &key.instance_id, &created, &key.step_name, &key.target, &key.execution_id],
            )
            .await
            .map_err(failed)?;
        Ok(())
    }
}

fn vanished_rows(rows: usize) -> ItemError {
    ItemError::other(format!(
        "{rows} rows that an attempt before has committed to the target do not come again: the input has changed since; \
         remove them, and launch with force to start anew"
    ))
}

fn fingerprints(bytes: &[u8]) -> Vec<u64> {
    bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_be_bytes(*chunk)).collect()
}

/// A fingerprint of a row's binary form: eight bytes at a time, multiplied and folded. It is stored, so it may never
/// change; it need not resist an attacker, only tell the rows of one chunk apart.
pub(super) fn fingerprint(row: &[u8]) -> u64 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * u128::from(PRIME);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are folded into one")]
        let folded = (product as u64) ^ ((product >> 64) as u64);
        folded.wrapping_add(PRIME)
    };
    let (words, rest) = row.as_chunks::<8>();
    let mut hash = words.iter().fold(row.len() as u64, |hash, word| fold(hash, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    hash = fold(hash, u64::from_le_bytes(last));
    fold(hash, PRIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(pending: &[u64]) -> Ledger {
        let key = RunKey {
            job_name: "Job".to_owned(),
            step_name: "Step".to_owned(),
            instance_id: 1,
            execution_id: 1,
            target: "t".to_owned(),
        };
        Ledger { pending: pending.iter().copied().collect(), ..Ledger::new(key) }
    }

    #[test]
    fn a_fingerprint_never_changes() {
        assert_eq!([fingerprint(b""), fingerprint(b"one row"), fingerprint(b"a row of some length")], GOLDEN);
        assert_ne!(fingerprint(b"\0"), fingerprint(b"\0\0"));
    }

    const GOLDEN: [u64; 3] = [11_400_714_819_323_198_485, 2_560_114_342_252_138_295, 2_790_694_269_466_417_192];

    #[test]
    fn rows_that_are_there_are_left_out_whatever_the_chunks_are() {
        let mut ledger = ledger(&[1, 2, 3, 4]);
        assert_eq!(ledger.begin(vec![1, 2, 3]).unwrap(), [false, false, false]);
        assert_eq!(ledger.unsettled(), [1, 2, 3, 4]);
        ledger.committed();
        // 9 could not be written before.
        assert_eq!(ledger.begin(vec![9, 4, 5]).unwrap(), [true, false, true]);
        ledger.committed();
        assert!(ledger.finish().is_ok());
    }

    #[test]
    fn a_chunk_that_the_repository_refuses_after_the_target_took_it_is_not_written_again() {
        let mut ledger = ledger(&[]);
        assert_eq!(ledger.begin(vec![1, 1, 2]).unwrap(), [true, true, true]);
        ledger.target_committed();
        ledger.rolled_back();
        assert_eq!(ledger.begin(vec![1, 1, 2]).unwrap(), [false, false, false]);
        ledger.rolled_back();
        assert_eq!(ledger.begin(vec![1, 1]).unwrap(), [false, false]);
        ledger.committed();
        assert!(ledger.finish().is_err());
    }

    #[test]
    fn rows_that_vanished_from_the_input_are_a_fault() {
        assert!(ledger(&[1, 2, 3]).begin(vec![1, 3]).is_err());
    }
}
