//! The requests to a repository, and its answers.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::rules::purge::PurgePosition;
use super::{KnownJobs, Lease, Node, RunLimits, StepFence};
use crate::execution::{
    ContextChanges, Counters, ExecutionId, FlowEntry, JobExecution, JobParameters, MainResult, PhaseShares,
    SkippedItem, Status, StatusEvent, StepExecution, StepSummary, TraceParent,
};

/// The way in which a new execution comes to run: from the queue, or at once on the node that launches it.
#[derive(Debug, Clone)]
pub struct Admission {
    /// The current time.
    pub time: Timestamp,
    /// A node that takes the execution in the same transaction, and how long its lease lasts; `None` queues it.
    pub claim: Option<(Node, Duration)>,
    /// Higher ones leave the queue first.
    pub priority: i32,
    /// The limits for a node that takes it at once.
    pub limits: RunLimits,
    /// The number of launches that may wait.
    pub queue_limit: u32,
}

/// A launch with checked parameters.
#[derive(Debug, Clone)]
pub struct LaunchRequest {
    /// Name of the job.
    pub job_name: String,
    /// Its parameters, defaults included.
    pub parameters: JobParameters,
    /// Run every step from the start.
    pub force: bool,
    /// Adds the parameter [`RUN_PARAMETER`](crate::job::RUN_PARAMETER), so that the launch has an instance of its own.
    pub new_run: bool,
    /// The fingerprint of the job's definition, to be compared with that on which the past of the instance depends.
    pub definition: Option<String>,
    /// Goes on also where the definition has changed in what the past depends on.
    pub accept_changes: bool,
    /// `true` if the execution can be resumed when it has failed or was stopped, by a person or by itself.
    pub restartable: bool,
    /// The way in which the execution comes to run.
    pub admission: Admission,
    /// The execution that must be the last of the instance: the launch is refused when another came after it.
    pub after: Option<ExecutionId>,
    /// Makes the same launch again answer the same execution.
    pub idempotency: Option<IdempotencyKey>,
    /// The span of the caller.
    pub trace_parent: Option<TraceParent>,
}

/// Asks for an execution that runs the skipped items of another again.
#[derive(Debug, Clone)]
pub struct RerunRequest {
    /// The execution that skipped them.
    pub execution_id: ExecutionId,
    /// The steps that can run theirs again.
    pub steps: Vec<RerunStep>,
    /// The way in which the execution comes to run.
    pub admission: Admission,
}

/// A step that can run its skipped items again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RerunStep {
    /// Its name.
    pub step_name: String,
    /// `true` if raw text can be run again.
    pub raw: bool,
}

/// A caller's key that makes a repeated launch answer the first one's execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key.
    pub key: String,
    /// Hash of everything else in the launch: the same key with another is refused.
    pub request_hash: String,
    /// Keys older than this, by the store's clock, are forgotten.
    pub life: Duration,
}

/// An accepted launch.
#[derive(Debug, Clone, PartialEq)]
pub struct Launched {
    /// The execution as it was created.
    pub execution: JobExecution,
    /// Its lease, when it was claimed at once.
    pub lease: Option<Lease>,
    /// `true` if it is the answer to an earlier launch with the same idempotency key.
    pub replayed: bool,
}

impl Launched {
    /// The answer to a launch that was accepted.
    pub fn accepted(execution: JobExecution, admission: &Admission) -> Self {
        let lease = admission.claim.as_ref().map(|_| Lease::on_execution(execution.id, 1));
        Self { execution, lease, replayed: false }
    }

    /// The answer to a launch that was accepted before, under the same idempotency key.
    pub fn replayed(execution: JobExecution) -> Self {
        Self { execution, lease: None, replayed: true }
    }
}

/// Asks for work.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// The node that asks.
    pub node: Node,
    /// The time that the lease lasts without a renewal.
    pub lease: Duration,
    /// The jobs that the node knows. The fingerprint of its job is stored with what it takes, and its first step begins
    /// with the claim where [`first_step`](super::rules::joined::first_step) says so.
    pub jobs: Arc<KnownJobs>,
    /// The number of executions that may run at once.
    pub limits: RunLimits,
    /// The current time.
    pub time: Timestamp,
    /// Just this one, if it waits.
    pub only: Option<ExecutionId>,
}

/// An execution that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The execution.
    pub execution: JobExecution,
    /// The lease on it.
    pub lease: Lease,
    /// The time for which those have run that it goes on with by itself.
    pub running: Duration,
    /// The fingerprint of the definition on which its past depends; `None` where nothing is to be compared.
    pub past_definition: Option<String>,
    /// The first step of its job, where it was begun with the claim; `None` where that is still to be asked for.
    pub begun: Option<Box<StartedStep>>,
}

/// The state of one of the node's leases at a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewedLease {
    /// The lease.
    pub lease: Lease,
    /// STARTED, or STOPPING when somebody asked for a stop.
    pub status: Status,
    /// The time for which the execution has run, with those that it goes on with by itself.
    pub running: Duration,
}

/// A step that may have to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStep {
    /// Its name.
    pub step_name: String,
    /// Number of the round of a cycle, from 1: attempts, states and limits are those of a round.
    pub iteration: u32,
    /// The execution from which its attempts count; `None` for that from which completed steps count.
    pub since: Option<ExecutionId>,
    /// `true` if it runs again although it is COMPLETED.
    pub rerun_if_complete: bool,
    /// The number of attempts that the instance allows it in a round.
    pub start_limit: Option<u32>,
    /// The current time.
    pub time: Timestamp,
}

/// The verdict on a step that may have to run.
#[derive(Debug, Clone, PartialEq)]
pub enum StepStart {
    /// It has to run.
    Run(Box<StartedStep>),
    /// An earlier execution has completed it.
    AlreadyComplete(Box<StepSummary>),
    /// It was attempted as often as it may be.
    StartLimitReached {
        /// Attempts made.
        attempts: i64,
    },
    /// Somebody asked for a stop before it began.
    StopRequested,
}

/// A step execution that was created.
#[derive(Debug, Clone, PartialEq)]
pub struct StartedStep {
    /// The right to write for it.
    pub fence: StepFence,
    /// State of the last attempt, as JSON; `None` for a fresh start.
    pub state: Option<String>,
    /// Control totals of the last attempt, as JSON; they come with its state.
    pub control_totals: Option<String>,
    /// Sums of the counters of the attempts before this one.
    pub earlier: Counters,
    /// The time for which the attempts have run that this one goes on with by itself.
    pub running: Duration,
    /// The job execution's context, as JSON.
    pub job_context: Option<String>,
}

/// The content of one chunk's commit.
#[derive(Debug, Clone, Copy)]
pub struct ChunkSave<'a> {
    /// The step's state as JSON.
    pub state: &'a str,
    /// Its counters.
    pub counters: &'a Counters,
    /// Its control totals as JSON; `None` for a step that takes none.
    pub control_totals: Option<&'a str>,
    /// Share of the input that is done.
    pub progress: Option<f64>,
    /// The entries of the job execution's context that have changed.
    pub job_context: Option<&'a ContextChanges>,
    /// Items that were skipped since the last commit; they are kept with it.
    pub skips: &'a [SkippedItem],
    /// Kept items of an earlier execution that this chunk has run again: they are marked with it, each at most once.
    pub rerun: &'a [i64],
    /// The current time; set only where there are skips.
    pub time: Option<Timestamp>,
}

/// The answer to a chunk's commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkAck {
    /// `true` if somebody asked for a stop.
    pub stop_requested: bool,
}

/// The end of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutcome {
    /// Complete, Fail or Stop.
    pub event: StatusEvent,
    /// Exit code; `None` for the name of the status.
    pub exit_code: Option<String>,
    /// The message for people.
    pub exit_message: Option<String>,
    /// Final counters.
    pub counters: Counters,
    /// Share of the input that is done.
    pub progress: Option<f64>,
    /// The shares of the time that its phases took; `None` where it is no chunk step.
    pub shares: Option<PhaseShares>,
    /// The step's state as JSON; `None` leaves what was committed last.
    pub state: Option<String>,
    /// The entries of the job execution's context that have changed.
    pub job_context: Option<ContextChanges>,
    /// The entry of the flow history that is recorded with it. It is left out when the step does not end as the outcome
    /// says.
    pub flow: Option<FlowRecord>,
    /// The current time.
    pub time: Timestamp,
}

/// An entry of the flow history that is to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRecord {
    /// The entry. It replaces the one that stands at its position.
    pub entry: FlowEntry,
    /// `true` if the entries behind it are removed: another way was taken.
    pub discards_later: bool,
}

/// The past of a flow: what earlier executions of the instance have done since its last forced launch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FlowPast {
    /// The flow history, in the order of the positions.
    pub entries: Vec<FlowEntry>,
    /// The last attempt of each round of each step.
    pub rounds: Vec<StepSummary>,
    /// The execution before this one.
    pub previous: Option<PreviousExecution>,
    /// The job execution's context, as JSON.
    pub job_context: Option<String>,
}

/// The execution before one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousExecution {
    /// Its status.
    pub status: Status,
    /// Its exit code.
    pub exit_code: Option<String>,
    /// The result of its main part, where it has come to one and its job has steps that run at the end.
    pub main: Option<MainResult>,
}

impl StepOutcome {
    /// The counters and the progress that are recorded with the end, where the step's row holds `kept`. They are those
    /// of its last commit: a thread that is left behind may commit a chunk between the moment at which its step is
    /// reported to have ended and the moment at which that is recorded.
    pub fn counted(&self, kept: Counters) -> (Counters, Option<f64>) {
        if kept.commit > self.counters.commit { (kept, None) } else { (self.counters, self.progress) }
    }
}

/// The end of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionOutcome {
    /// Complete, Fail or Stop.
    pub event: StatusEvent,
    /// Exit code; `None` for the name of the status.
    pub exit_code: Option<String>,
    /// The message for people.
    pub exit_message: Option<String>,
    /// `true` if it resumes by itself at the next start: stopped by a shutdown.
    pub resume: bool,
    /// The current time.
    pub time: Timestamp,
}

/// The end of the last step of an execution, and that of the execution.
#[derive(Debug, Clone, PartialEq)]
pub struct LastOutcome {
    /// The step's.
    pub step: StepOutcome,
    /// The execution's, if the step ends as its outcome says.
    pub execution: ExecutionOutcome,
}

/// The answer to the end of a last step.
#[derive(Debug, Clone, PartialEq)]
pub struct LastEnded {
    /// The step.
    pub step: StepExecution,
    /// The execution, if it has ended with the step; `None` where the store knew better how the step stands, and the
    /// execution runs on.
    pub execution: Option<JobExecution>,
}

/// The policy for an execution whose owner died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecoverPolicy {
    /// It is FAILED and a new execution resumes it.
    #[default]
    Restart,
    /// It is FAILED and waits for a person.
    Fail,
}

/// Asks for the recovery of what dead owners left.
#[derive(Debug, Clone)]
pub struct RecoverRequest {
    /// The node that asks.
    pub node: Node,
    /// The executions that the node runs. Another lease of its own that has run out is one that it does not know of,
    /// since the answer to its claim was lost.
    pub held: Vec<ExecutionId>,
    /// The policy for them.
    pub policy: RecoverPolicy,
    /// The number of recoveries in a row without a committed chunk that are made.
    pub max_recoveries: i64,
    /// The current time.
    pub time: Timestamp,
    /// Just executions of the instance with this job and key, none of them restarted: a launch in the foreground clears
    /// the way for itself.
    pub only: Option<(String, String)>,
}

impl RecoverRequest {
    /// The job and the key of the one instance that it is about; both `None` when it is about all.
    pub fn only(&self) -> (Option<&str>, Option<&str>) {
        self.only.as_ref().map(|(job_name, job_key)| (job_name.as_str(), job_key.as_str())).unzip()
    }
}

/// An execution that was recovered.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    /// The execution that its owner left, as it is now.
    pub lost: JobExecution,
    /// The execution that resumes it.
    pub successor: Option<ExecutionId>,
}

/// The executions to remove: without any bound all that have ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PurgeRequest {
    /// Ended before; `None` for any age.
    pub ended_before: Option<Timestamp>,
    /// With one of these statuses; empty for all that have ended.
    pub statuses: Vec<Status>,
    /// Leaves this many of the newest ended executions of each job.
    pub keep_per_job: Option<u32>,
    /// Removes also the last execution of an instance that could still be restarted. One whose skipped items such an
    /// execution runs again goes after it, with a later batch or purge: a dry run does not count it yet.
    pub include_restartable: bool,
    /// Only counts.
    pub dry_run: bool,
    /// Ended executions that one call examines: it bounds the time for which others wait.
    pub batch: u32,
    /// The place at which an earlier batch left off; `None` for the first.
    pub after: Option<PurgePosition>,
}

/// The executions that a batch has removed or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PurgeReport {
    /// Executions.
    pub executions: i64,
    /// Instances that have no execution left.
    pub instances: i64,
    /// The position at which the next batch goes on; `None` when there is nothing left to examine.
    pub next: Option<PurgePosition>,
    /// The time that others had to wait for the batch.
    pub held: Duration,
}

/// The space that a database takes, around a compaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes before.
    pub before: u64,
    /// Bytes afterwards.
    pub after: u64,
}
