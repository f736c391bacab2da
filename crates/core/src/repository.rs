//! The contract of the durable store: what every repository promises to the engine and its users.

mod access;
mod audit;
mod backfills;
mod bulk;
mod error;
mod fires;
mod launch_pauses;
mod lease;
mod logs;
mod missing;
mod node;
mod notices;
mod past;
mod query;
mod requests;
mod retention;
pub mod rules;
mod schedules;

use std::any::Any;

use futures_util::future::BoxFuture;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use access::{NewPass, Sessions, Tokens};
pub use audit::{Audit, AuditEntry, AuditId, AuditPage, NewAuditEntry};
pub use backfills::{Backfill, BackfillId, BackfillState, BackfillWork, Backfills, NewBackfill};
pub use bulk::{
    BegunBulk, Bulk, BulkAction, BulkId, BulkOutcome, BulkPage, BulkResult, BulkState, Bulks, FoundCount, FoundCounts,
    NewBulk, digest as bulk_digest, filter_from_json as bulk_filter_from_json, filter_to_json as bulk_filter_to_json,
};
pub use error::{LaunchError, RepositoryError};
pub use launch_pauses::{LaunchPause, LaunchPauses};
pub use lease::{Lease, LeaseKey, Node, StepFence, leased_executions};
pub use logs::{LogPage, LogSegment, LogSegmentId, LogSize, Logs, NewLogSegment};
pub use missing::Missing;
pub use node::{
    Drain, FirstStep, KnownJobs, NODE_RETENTION, NodeReport, NodeState, NodeStatus, Notification, RunLimits,
    SILENT_AFTER,
};
pub use notices::{AttemptEnd, NoticePage, Notices, ServiceChannels};
pub use past::{InstancePast, PastAttempt};
pub use query::{
    Changes, Contexts, ExecutionFilter, ExecutionPage, Health, InstanceFilter, InstancePage, InstanceParameter,
    KeptSkips, MAX_CHOSEN, PageRequest, ParameterMatch, PendingSkips, PoolStatus, SkipPage, Workload, rows_to_read,
};
pub use requests::{
    Admission, ChunkAck, ChunkSave, ClaimRequest, Claimed, Compacted, ExecutionOutcome, FlowPast, FlowRecord,
    IdempotencyKey, LastEnded, LastOutcome, LaunchRequest, Launched, NewStep, PreviousExecution, PurgeReport,
    PurgeRequest, RecoverPolicy, RecoverRequest, Recovered, RenewedLease, RerunRequest, RerunStep, StartedStep,
    StepOutcome, StepStart,
};

pub use crate::words::UnknownWord;
pub use fires::{
    Advance, DeadlineKind, Fire, FireFilter, FireId, FireLaunch, FireOutcome, FirePage, FireRequest, Fired, LateFire,
    NewFire, RecordedFire, ReleaseRequest,
};
pub use retention::purge_in_batches;
pub use schedules::{
    Agenda, Pause, PauseScope, PutSchedule, ScheduleFilter, ScheduleId, ScheduleOrigin, Schedules, StoredSchedule,
    WaitingFire,
};

use crate::execution::{
    ExecutionId, FlowEntry, InstanceId, JobExecution, JobInstance, MainResult, Status, StepExecution, StepExecutionId,
};

/// The result of a repository's method.
pub type RepositoryFuture<'a, T> = BoxFuture<'a, Result<T, RepositoryError>>;

/// The durable store of instances, executions, steps and their contexts.
///
/// # Contract
/// - Identity, exclusion and fencing are constraints of the store, not code: `(job_name, job_key)` is unique, at most
///   one execution of an instance is running, and nothing of an execution is written without its lease's epoch.
/// - *Durable* below means: it survives the loss of the machine's power once the method has returned. A crash before
///   that means that it happened wholly or not at all.
/// - Deadlocks, serialization failures and a busy database are retried inside, within a bound.
/// - Leases are compared with the store's own clock.
/// - The number of statements of each method is constant: it does not grow with the history that is stored.
/// - Each status change goes through [`crate::execution::next`].
/// - A store that can be taken away under a process, as a file can, answers no launch and no heartbeat after that, but
///   says [`RepositoryError::Gone`].
pub trait JobRepository:
    Executions + History + Nodes + Schedules + Notices + Backfills + Logs + Bulks + LaunchPauses + Tokens + Sessions + Audit
{
    /// The kind of the store and where it is, without secrets, for messages: `SQLite oxbatch.db`.
    fn location(&self) -> String;

    /// The repository itself, for readers and writers that work on the same database.
    fn as_any(&self) -> &dyn Any;

    /// Returns whether the store answers and its migrations are current.
    fn health(&self) -> RepositoryFuture<'_, Health>;

    /// The connections of the store, where it has a bound of them; at no cost.
    fn pool(&self) -> Option<PoolStatus> {
        None
    }

    /// Releases the node's mark, closes connections and makes everything durable. From then on it claims nothing.
    fn close(&self) -> RepositoryFuture<'_, ()>;
}

/// The life of executions, from their launch to their recorded end.
///
/// # Contract
/// That of [`JobRepository`].
pub trait Executions: Send + Sync + 'static {
    /// Creates the execution of a launch, and its instance when it is new, in one transaction. Durable. The table in
    /// `docs/SEMANTICS.md` says which launches are refused.
    ///
    /// A new run gets the number after the greatest that an instance of its job has had, no matter how many are
    /// launched at once; one that is refused uses up no number.
    fn launch(&self, request: LaunchRequest) -> BoxFuture<'_, Result<Launched, LaunchError>>;

    /// Creates the execution that runs the skipped items of another again, in an instance of its own, or resumes the
    /// last one that failed or was stopped. One transaction, durable. Of several callers one wins.
    ///
    /// # Errors
    /// [`LaunchError::AlreadyRunning`] while the instance or a re-run of the execution is running,
    /// [`LaunchError::NothingToRerun`] when none of the items is pending that the request can re-run.
    fn rerun(&self, request: RerunRequest) -> BoxFuture<'_, Result<Launched, LaunchError>>;

    /// Takes the waiting execution of one of the jobs that has the highest priority, the oldest of them, and gives its
    /// lease to the node. Jobs at their limit are passed over; a node that drains gets nothing. Where
    /// [`rules::joined::first_step`] names a step and it has to run, it is begun in the same transaction, as
    /// [`start_step`](Self::start_step) would begin it. Durable.
    fn claim(&self, request: ClaimRequest) -> RepositoryFuture<'_, Option<Claimed>>;

    /// Extends the leases that the node `held` and reports what became of each. Need not be durable.
    ///
    /// A lease that the node does not know of, since the answer to its claim was lost, runs out and is recovered.
    fn renew<'a>(
        &'a self,
        node: &'a Node,
        held: Vec<LeaseKey>,
        lease: std::time::Duration,
    ) -> RepositoryFuture<'a, Vec<RenewedLease>>;

    /// Finds out whether a step has to run, and creates its execution when it does. Durable.
    fn start_step<'a>(&'a self, lease: &'a Lease, step: NewStep) -> RepositoryFuture<'a, StepStart>;

    /// A connection's worth of chunk transactions for one step execution.
    fn chunk_transaction<'a>(&'a self, fence: &'a StepFence) -> RepositoryFuture<'a, Box<dyn ChunkTransaction>>;

    /// Ends a step execution and, with it, makes its chunks durable. Fenced, durable.
    ///
    /// A store that has lost chunks of the step, which it may when it crashes while this process lives on, ends it
    /// FAILED with the counters that it kept, whatever the outcome was: the answer says so.
    fn finish_step<'a>(&'a self, fence: &'a StepFence, outcome: StepOutcome) -> RepositoryFuture<'a, StepExecution>;

    /// Ends the last step of an execution and the execution, as [`finish_step`](Self::finish_step) and
    /// [`finish_execution`](Self::finish_execution) would one after the other, in one transaction. Fenced, durable.
    ///
    /// A step that does not end as its outcome says leaves the execution running: the answer says so.
    fn finish_last_step<'a>(&'a self, fence: &'a StepFence, outcome: LastOutcome) -> RepositoryFuture<'a, LastEnded>;

    /// The past of the flow that an execution goes on with. It reads alone and is not fenced: what follows from it is.
    fn flow_past<'a>(&'a self, lease: &'a Lease) -> RepositoryFuture<'a, FlowPast>;

    /// Records an entry of the flow history that comes with no end of a step: a decision, or another way behind a step
    /// that an earlier execution has finished. Fenced, durable.
    fn record_flow<'a>(&'a self, lease: &'a Lease, record: FlowRecord) -> RepositoryFuture<'a, ()>;

    /// Records the result of the main part of an execution, before the steps that run at its end begin. Fenced,
    /// durable.
    fn record_main_result<'a>(&'a self, lease: &'a Lease, result: MainResult) -> RepositoryFuture<'a, ()>;

    /// Ends an execution and gives its lease back. Fenced, durable.
    fn finish_execution<'a>(
        &'a self,
        lease: &'a Lease,
        outcome: ExecutionOutcome,
    ) -> RepositoryFuture<'a, JobExecution>;

    /// Records the request to stop. A waiting execution is STOPPED at once, a running one is STOPPING. Durable.
    fn request_stop(&self, id: ExecutionId) -> RepositoryFuture<'_, JobExecution>;

    /// Gives an execution up that is not running. Durable.
    fn abandon(&self, id: ExecutionId) -> RepositoryFuture<'_, JobExecution>;

    /// Ends executions whose owner is dead and, by policy, launches their successors; resumes what was stopped by a
    /// shutdown. Each in one durable transaction; of several callers one wins.
    fn recover(&self, request: RecoverRequest) -> RepositoryFuture<'_, Vec<Recovered>>;
}

/// The history of executions: lists and details, and the removal of old ones.
///
/// # Contract
/// That of [`JobRepository`].
pub trait History: Send + Sync + 'static {
    /// Removes finished executions among the next ones of a batch, or counts what it would remove. The report says
    /// where the next batch goes on; [`purge_in_batches`] makes all of them, with pauses for others.
    fn purge(&self, request: PurgeRequest) -> RepositoryFuture<'_, PurgeReport>;

    /// Gives free space of the store back to the disk, as far as it can be done.
    ///
    /// # Errors
    /// [`RepositoryError::InUse`] where that keeps others from writing, and somebody works on it.
    fn compact(&self) -> RepositoryFuture<'_, Compacted>;

    /// The execution `id`.
    fn execution(&self, id: ExecutionId) -> RepositoryFuture<'_, Option<JobExecution>>;

    /// Executions, newest first, one page.
    fn executions(&self, filter: ExecutionFilter, page: PageRequest) -> RepositoryFuture<'_, ExecutionPage>;

    /// Executions whose status has changed since a position, at most `limit` of them: new ones, and those that have
    /// begun, are being stopped, have ended or were given up, whoever did it. Without a position, or with one that this
    /// store cannot have given out, it gives none, and where the history is now.
    fn changes<'a>(&'a self, since: Option<&'a str>, limit: u32) -> RepositoryFuture<'a, Changes>;

    /// The step executions of the executions that have an owner now, in the order in which they began, at most `limit`.
    fn running_steps(&self, limit: u32) -> RepositoryFuture<'_, Vec<StepExecution>>;

    /// The step executions of an execution in the order in which they began.
    fn steps(&self, id: ExecutionId) -> RepositoryFuture<'_, Vec<StepExecution>>;

    /// The context of an execution, and those of these steps of it. Steps that are not its own are passed over.
    fn contexts(&self, id: ExecutionId, steps: Vec<StepExecutionId>) -> RepositoryFuture<'_, Contexts>;

    /// The flow history of the instance of an execution, as it has been since the last forced launch before it.
    fn flow_history(&self, id: ExecutionId) -> RepositoryFuture<'_, Vec<FlowEntry>>;

    /// The past that the next execution of the instance of an execution would go on with: what
    /// [`Executions::flow_past`]
    /// and [`Executions::start_step`] would return it.
    fn instance_past(&self, id: ExecutionId) -> RepositoryFuture<'_, InstancePast>;

    /// The items that a step execution skipped, in their order, at most `limit` of them, those after the
    /// row `after`.
    ///
    /// # Errors
    /// [`RepositoryError::NotFound`] when there is no such step execution.
    fn skips(&self, id: StepExecutionId, after: Option<i64>, limit: u32) -> RepositoryFuture<'_, SkipPage>;

    /// The skipped items of an execution that are left, for each of its steps that skipped any, in the order in which
    /// they began; and how many of them were run again by the instance `by`.
    fn kept_skips(&self, id: ExecutionId, by: Option<InstanceId>) -> RepositoryFuture<'_, Vec<KeptSkips>>;

    /// The skipped items of a step that nobody has run again, in their order, one page.
    fn pending_skips(&self, request: PendingSkips) -> RepositoryFuture<'_, SkipPage>;

    /// The instance `id`.
    fn instance(&self, id: InstanceId) -> RepositoryFuture<'_, Option<JobInstance>>;

    /// Instances, newest first, one page.
    fn instances(&self, filter: InstanceFilter, page: PageRequest) -> RepositoryFuture<'_, InstancePage>;

    /// The last execution of each of these instances, in no particular order. Each costs a search by an index, however
    /// many executions its instance has.
    fn newest_executions(&self, instances: Vec<InstanceId>) -> RepositoryFuture<'_, Vec<JobExecution>>;

    /// The number of instances that fit a filter.
    fn instance_count(&self, filter: InstanceFilter) -> RepositoryFuture<'_, i64>;

    /// The parameters with which an instance was created, in the order of their names.
    fn instance_parameters(&self, id: InstanceId) -> RepositoryFuture<'_, Vec<InstanceParameter>>;

    /// The executions that have not ended, by job and status. Its cost depends on their number alone.
    fn workload(&self) -> RepositoryFuture<'_, Vec<Workload>>;

    /// The number of executions of a job by status; statuses without any are left out. It counts all of them: a million
    /// take about a tenth of a second.
    fn job_counts<'a>(&'a self, job_name: &'a str) -> RepositoryFuture<'a, StatusCounts>;

    /// The newest execution of a job.
    fn newest_of_job<'a>(&'a self, job_name: &'a str) -> RepositoryFuture<'a, Option<JobExecution>> {
        let filter = ExecutionFilter { job_name: Some(job_name.to_owned()), ..ExecutionFilter::default() };
        let page = self.executions(filter, PageRequest { before: None, limit: 1 });
        Box::pin(async move { Ok(page.await?.executions.into_iter().next()) })
    }
}

/// The processes that share a store.
///
/// # Contract
/// That of [`JobRepository`].
pub trait Nodes: Send + Sync + 'static {
    /// Announces a node before it claims its first execution, so that its death can be seen.
    fn register_node<'a>(&'a self, node: &'a Node) -> RepositoryFuture<'a, ()>;

    /// Writes down that a node lives, and returns whether it is to drain. Rows of nodes that were silent for
    /// [`NODE_RETENTION`] are removed by the way. Need not be durable.
    fn heartbeat<'a>(&'a self, report: &'a NodeReport) -> RepositoryFuture<'a, Option<Drain>>;

    /// All nodes that have not ended in order, in the order in which they started.
    fn nodes(&self) -> RepositoryFuture<'_, Vec<NodeStatus>>;

    /// Asks a node to drain, or with `None` to take work again. Durable.
    ///
    /// # Errors
    /// [`RepositoryError::NodeNotFound`] when there is no such node.
    fn drain(&self, boot_id: Uuid, drain: Option<Drain>) -> RepositoryFuture<'_, NodeStatus>;

    /// Hints of what other processes do to the store; `None` for a store that has to be looked at. Those who listen
    /// rely on nothing but their own looks.
    fn listen(&self) -> Option<broadcast::Receiver<Notification>> {
        None
    }

    /// Removes a node that ends in order. What it still runs is recovered as if it had died.
    fn remove_node<'a>(&'a self, node: &'a Node) -> RepositoryFuture<'a, ()>;
}

/// The transaction of a chunk, one after the other for all chunks of a step.
///
/// # Contract
/// - It begins with the first use by a writer or with `commit`, so that writers that do not take part in it hold no
///   lock of the database while they write.
/// - `commit` writes the chunk's state and counters in **one** statement that is fenced by the lease, and commits it
///   with whatever the writer wrote. It is atomic; it is made durable by the end of the step at the latest.
/// - After an error, or `rollback`, nothing of the chunk is in the store.
/// - Dropped without a commit, it rolls back.
pub trait ChunkTransaction: Send {
    /// The transaction itself, for writers of the same database.
    fn as_any_mut(&mut self) -> &mut dyn Any;

    /// Returns whether it has begun since the last commit or rollback, or may have: a chunk that a writer has used it
    /// for is committed by itself, while others may be saved several at a time where the step asks for that.
    fn has_begun(&self) -> bool {
        true
    }

    /// Gives the transaction the token that ends its waits for the store: for a connection, for the write lock, for a
    /// server that is away. What is being committed is not abandoned by it.
    fn end_waits_at(&mut self, _stop: CancellationToken) {}

    /// Makes the next commit wait for the disk, and all commits before it with it, also when it changes nothing: what
    /// comes after it cannot be rolled back. Holds until a commit succeeds. It costs least before the transaction has
    /// begun.
    fn make_next_durable(&mut self) {}

    /// Returns whether what was rolled back last failed through no error of its own: the connection to the store was
    /// lost, or the store could not serve it at that moment. Nothing of the chunk was committed, and it may be written
    /// again.
    fn was_lost(&self) -> bool {
        false
    }

    /// Waits for the answers to what writers have sent and not waited for. Whatever comes between a write and its
    /// commit and must know how the write ended asks for it; `check` and `commit` wait in any case.
    ///
    /// # Errors
    /// [`RepositoryError::WriteFailed`] with the error of the write: only `rollback` may follow.
    fn settle(&mut self) -> RepositoryFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Checks what only a commit checks of the rows that a writer has written, as deferred foreign keys are: for a
    /// trial of a part of a chunk. It commits nothing, and what was written may be gone after it: only `rollback` may
    /// follow.
    ///
    /// # Errors
    /// [`RepositoryError::RowsRefused`] when a commit would be refused for the rows,
    /// [`RepositoryError::WriteFailed`] when they were refused already.
    fn check(&mut self) -> RepositoryFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Saves and commits.
    ///
    /// # Errors
    /// [`RepositoryError::LeaseLost`] when another node owns the execution by now, [`RepositoryError::RowsRefused`]
    /// when the rows of a writer break a constraint that is checked no earlier, [`RepositoryError::WriteFailed`] when
    /// they were refused and no answer was waited for before: everything is rolled back.
    fn commit<'a>(&'a mut self, save: ChunkSave<'a>) -> RepositoryFuture<'a, ChunkAck>;

    /// Rolls back what was written since the last commit.
    fn rollback(&mut self) -> RepositoryFuture<'_, ()>;
}

/// Counts of executions by status, in the order of [`Status::ALL`].
pub type StatusCounts = Vec<(Status, i64)>;
