//! Exactly once in a database that is not the repository's: what a target knows of the chunks that it holds.
//!
//! Two databases cannot commit at the same moment. So the target commits first, and keeps in the same transaction how
//! many rows it holds and the fingerprints of those that the repository may not know of, or may forget: its chunks do
//! not wait for the disk. An attempt that comes after a death between the two commits, or after a loss of power, finds
//! them here, and leaves out the rows that are there already. Now and then a save of the repository is made to wait for
//! the disk, so that they never become many. The row is also a fence: whoever opened it last is the only one that can
//! commit.

mod fingerprint;
mod run;

use std::collections::VecDeque;

use oxbatch_core::execution::{ExecutionId, InstanceId, Status, StepExecution};
use oxbatch_core::item::ItemError;
use oxbatch_core::repository::{ExecutionFilter, JobRepository, PageRequest};

pub(super) use fingerprint::fingerprint;
use fingerprint::fingerprints;
pub(super) use run::{Found, Left, Resumed, RunKey};

/// Entry of the step's context with the rows that are in another database.
pub(super) const EXACTLY_ONCE: &str = "oxbatch.exactly_once";
/// Executions of an instance that are searched at once.
const PAGE: u32 = 100;
/// Rows that the repository may forget, and chunks of them, before one of its saves waits for the disk: few enough for
/// the target's row to stay small, which is written with each chunk, and many enough to hide the price of the wait.
const MOST_FORGETTABLE_ROWS: usize = 4_096;
const MOST_FORGETTABLE_CHUNKS: usize = 16;
/// Rows of other runs that are examined when a run begins.
pub(super) const MOST_LEFT: i64 = 100;

/// The content of the target's row.
#[derive(Debug)]
pub(super) struct Ledger {
    key: RunKey,
    created: Option<jiff::Timestamp>,
    /// The number of rows that the repository knows of, whatever happens: a save of them has waited for the disk.
    durable: u64,
    /// Fingerprints of the rows behind them that it knows of as long as the machine has power.
    forgettable: Vec<u64>,
    /// Chunks that they came in.
    forgettable_chunks: usize,
    /// Fingerprints of rows that the target holds and the repository does not know of, in their order.
    pending: VecDeque<u64>,
    /// Those of `pending` that the chunk in hand has brought again.
    consumed: usize,
    /// Fingerprints of the chunk in hand.
    chunk: Vec<u64>,
    /// The repository's save of the chunk in hand waits for the disk.
    saves_durably: bool,
    /// The target has committed the chunk in hand.
    target_committed: bool,
    /// The target knows nothing of a run that is under way: it ended, or the target was replaced.
    forgotten: bool,
}

impl Ledger {
    pub(super) fn new(key: RunKey) -> Self {
        Self {
            key,
            created: None,
            durable: 0,
            forgettable: Vec::new(),
            forgettable_chunks: 0,
            pending: VecDeque::new(),
            consumed: 0,
            chunk: Vec::new(),
            saves_durably: false,
            target_committed: false,
            forgotten: false,
        }
    }

    /// The run, and the time at which its instance was created: an identifier alone may be that of another repository.
    ///
    /// # Errors
    /// When the instance was removed.
    pub(super) fn run(&self) -> Result<(&RunKey, jiff::Timestamp), ItemError> {
        let created =
            self.created.ok_or_else(|| ItemError::other("the job instance of the step does not exist any more"))?;
        Ok((&self.key, created))
    }

    /// Looks up what [`run`](Self::run) returns.
    pub(super) async fn look_up(&mut self, repository: &dyn JobRepository) -> Result<(), ItemError> {
        let instance = repository.instance(InstanceId(self.key.instance_id)).await?;
        self.created = instance.map(|instance| instance.create_time);
        Ok(())
    }

    /// Goes on from what the target's row held when it was taken over. `committed` is how many rows the repository
    /// knows of; none for a fresh start.
    ///
    /// # Errors
    /// When a later execution has taken it over, or when target and repository do not fit together.
    pub(super) async fn resume(
        &mut self,
        repository: &dyn JobRepository,
        found: Option<Found>,
        committed: Option<u64>,
    ) -> Result<Resumed, ItemError> {
        let known = committed.unwrap_or(0);
        (self.durable, self.forgettable_chunks) = (known, 0);
        self.forgettable.clear();
        let Some(Found { owner, written, unsettled }) = found else {
            self.forgotten = known > 0;
            return Ok(Resumed::Anew);
        };
        if owner > self.key.execution_id {
            return Err(ItemError::other(format!(
                "a later execution ({owner}) writes to the target of execution {} by now",
                self.key.execution_id
            )));
        }
        if committed.is_none() && self.is_over(repository, owner).await? {
            // What a run before this one has left counts for nothing.
            return Ok(Resumed::Anew);
        }
        let (written, mut prints) = (u64::try_from(written).unwrap_or(0), fingerprints(&unsettled));
        let durable = written.checked_sub(prints.len() as u64);
        let held = durable.and_then(|durable| known.checked_sub(durable)).and_then(|held| usize::try_from(held).ok());
        match (durable, held) {
            (Some(durable), Some(held)) if held <= prints.len() => {
                self.pending = prints.split_off(held).into();
                (self.durable, self.forgettable) = (durable, prints);
                Ok(Resumed::GoesOn { holds_rows: written > 0 })
            }
            _ => Err(ItemError::other(format!(
                "the target holds {written} rows of this step and the repository knows of {known}: one of the two was \
                 restored from a backup; compare them, and launch with force to start anew"
            ))),
        }
    }

    /// Returns whether the run that execution `owner` has left in the target is none that goes on: its step is
    /// complete, or a launch with force came after it.
    async fn is_over(&self, repository: &dyn JobRepository, owner: i64) -> Result<bool, ItemError> {
        Ok(self.is_complete(repository, owner).await? || self.forced_since(repository, owner).await?)
    }

    /// Returns whether the step is recorded as complete in an execution. What is recorded as the end of a step is on
    /// the disk.
    async fn is_complete(&self, repository: &dyn JobRepository, execution_id: i64) -> Result<bool, ItemError> {
        let steps = repository.steps(ExecutionId(execution_id)).await?;
        let is_ours = |step: &StepExecution| step.step_name == self.key.step_name && step.status == Status::Completed;
        Ok(steps.iter().any(is_ours))
    }

    /// Of rows that other runs of the step have left in the target, those that nobody needs: their step is complete in
    /// this repository. A row can go no sooner, since the end of a step is durable after all that the target is
    /// reported.
    pub(super) async fn complete(
        &self,
        repository: &dyn JobRepository,
        left: Vec<Left>,
    ) -> Result<Vec<Left>, ItemError> {
        let mut complete = Vec::new();
        for row in left {
            let instance = repository.instance(InstanceId(row.instance_id)).await?;
            // The same number may be that of an instance in another repository.
            let is_ours = instance.is_some_and(|instance| instance.create_time == row.instance_created);
            if is_ours && self.is_complete(repository, row.execution_id).await? {
                complete.push(row);
            }
        }
        Ok(complete)
    }

    /// Returns whether a launch with force came after execution `owner` and up to this one: what was left before is of
    /// no run that goes on.
    async fn forced_since(&self, repository: &dyn JobRepository, owner: i64) -> Result<bool, ItemError> {
        let instance_id = Some(InstanceId(self.key.instance_id));
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

    /// Returns whether the repository's save of the next chunk, which has so many rows, must wait for the disk.
    pub(super) fn is_durable_due(&mut self, rows: usize) -> bool {
        self.saves_durably = self.forgettable.len() + rows > MOST_FORGETTABLE_ROWS
            || self.forgettable_chunks + 1 >= MOST_FORGETTABLE_CHUNKS;
        self.saves_durably
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

    /// The state that the target has to keep with this chunk: the number of its rows, and the fingerprints of those
    /// that the repository may not know of, or may forget.
    pub(super) fn state(&self) -> Result<(i64, Vec<u8>), ItemError> {
        let unsettled = self.unsettled();
        let rows = self.durable + (self.forgettable.len() + unsettled.len()) as u64;
        let written = i64::try_from(rows).map_err(ItemError::other)?;
        let prints = self.forgettable.iter().chain(&unsettled);
        Ok((written, prints.flat_map(|print| print.to_be_bytes()).collect()))
    }

    /// The error of a save that found the row of another execution.
    #[cold]
    pub(super) fn fenced_off(&self) -> ItemError {
        ItemError::other(format!(
            "a later execution writes to the target of execution {} by now; nothing of this chunk was committed",
            self.key.execution_id
        ))
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
        self.forgettable.append(&mut self.chunk);
        self.forgettable_chunks += 1;
        if self.saves_durably {
            self.durable += self.forgettable.len() as u64;
            self.forgettable.clear();
            self.forgettable_chunks = 0;
        }
        self.end_chunk();
    }

    /// The repository has not committed. What the target has committed stays there, and will come again; the answer
    /// says whether there is any.
    pub(super) fn rolled_back(&mut self) -> bool {
        let stays = self.target_committed;
        if stays {
            self.pending = self.unsettled().into();
        }
        self.end_chunk();
        stays
    }

    fn end_chunk(&mut self) {
        self.consumed = 0;
        self.chunk.clear();
        self.target_committed = false;
        self.saves_durably = false;
    }

    /// The input has ended.
    ///
    /// # Errors
    /// When rows that the target holds did not come again.
    pub(super) fn finish(&self) -> Result<(), ItemError> {
        if self.pending.is_empty() { Ok(()) } else { Err(vanished_rows(self.pending.len())) }
    }
}

fn vanished_rows(rows: usize) -> ItemError {
    ItemError::other(format!(
        "{rows} rows that an attempt before has committed to the target do not come again: the input has changed since; \
         remove them, and launch with force to start anew"
    ))
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
    fn what_the_repository_may_forget_is_kept_until_a_save_of_it_waits_for_the_disk() {
        let mut ledger = ledger(&[]);
        for number in 1..=40_u64 {
            let due = ledger.is_durable_due(2);
            assert_eq!(due, number % 16 == 0, "chunk {number}");
            ledger.begin(vec![2 * number, 2 * number + 1]).unwrap();
            let (written, unsettled) = ledger.state().unwrap();
            assert_eq!((written.unsigned_abs(), unsettled.len() as u64 / 16), (2 * number, (number - 1) % 16 + 1));
            ledger.target_committed();
            ledger.committed();
        }
        assert!(ledger.is_durable_due(4_096));
    }

    #[test]
    fn rows_that_vanished_from_the_input_are_a_fault() {
        assert!(ledger(&[1, 2, 3]).begin(vec![1, 3]).is_err());
    }
}
