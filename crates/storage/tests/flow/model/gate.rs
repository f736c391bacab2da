//! A repository at whose actions its node dies: those that a flow's protocol is made of pass through a gate.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use oxbatch_core::access::{NewToken, Session, Token, TokenId};
use oxbatch_core::execution::{
    ExecutionId, FlowEntry, InstanceId, JobInstance, MainResult, StatusEvent, StepExecutionId,
};
use oxbatch_core::log::LogLevel;
use oxbatch_core::notice::{Notice, NoticeAttempt, NoticeId, NoticeState};
use oxbatch_core::repository::*;
use oxbatch_core::schedule::rules::LastRun;
use oxbatch_core::{JobExecution, StepExecution};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::job::{Mortal, Verdict};
use super::plan::At;

/// The repository of a node of a case.
pub(super) struct Gate {
    pub(super) inner: Arc<dyn JobRepository>,
    pub(super) mortal: Arc<Mortal>,
}

impl Gate {
    /// Lets an action of the protocol through, unless its node dies at it.
    async fn act<T>(
        &self,
        name: &'static str,
        action: impl Future<Output = Result<T, RepositoryError>> + Send,
        note: impl FnOnce(&T) + Send,
    ) -> Result<T, RepositoryError> {
        let mortal = &self.mortal;
        match mortal.verdict() {
            Verdict::Done => action.await.inspect(note),
            Verdict::Fault => Err(RepositoryError::Unavailable { operation: name, source: "as planned".into() }),
            Verdict::Death(At::After) => {
                let done = action.await.inspect(note);
                mortal.lie().await;
                done
            }
            Verdict::Death(At::Before) => {
                mortal.lie().await;
                action.await.inspect(|_| mortal.note_haunted(name))
            }
            Verdict::Haunts => action.await.inspect(|_| mortal.note_haunted(name)),
        }
    }
}

/// Methods that are passed on as they are.
macro_rules! pass {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $type),*) -> RepositoryFuture<'_, $answer> {
            self.inner.$name($($argument),*)
        })*
    };
}

impl JobRepository for Gate {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn as_any(&self) -> &dyn Any {
        self.inner.as_any()
    }

    pass! {
        health() -> Health;
        close() -> ();
    }
}

impl Executions for Gate {
    fn launch(&self, request: LaunchRequest) -> BoxFuture<'_, Result<Launched, LaunchError>> {
        self.inner.launch(request)
    }

    fn rerun(&self, request: RerunRequest) -> BoxFuture<'_, Result<Launched, LaunchError>> {
        self.inner.rerun(request)
    }

    fn claim(&self, request: ClaimRequest) -> RepositoryFuture<'_, Option<Claimed>> {
        self.mortal.claim(self.inner.claim(request)).boxed()
    }

    fn renew<'a>(
        &'a self,
        node: &'a Node,
        held: Vec<LeaseKey>,
        lease: Duration,
    ) -> RepositoryFuture<'a, Vec<RenewedLease>> {
        self.inner.renew(node, held, lease)
    }

    fn start_step<'a>(&'a self, lease: &'a Lease, step: NewStep) -> RepositoryFuture<'a, StepStart> {
        self.act("start_step", self.inner.start_step(lease, step), |_| {}).boxed()
    }

    fn chunk_transaction<'a>(&'a self, fence: &'a StepFence) -> RepositoryFuture<'a, Box<dyn ChunkTransaction>> {
        self.inner.chunk_transaction(fence)
    }

    fn finish_step<'a>(&'a self, fence: &'a StepFence, outcome: StepOutcome) -> RepositoryFuture<'a, StepExecution> {
        let by_itself = outcome.event != StatusEvent::Stop;
        let note = move |step: &StepExecution| {
            if by_itself {
                self.mortal.control.note_end(&step.step_name);
            }
        };
        self.act("finish_step", self.inner.finish_step(fence, outcome), note).boxed()
    }

    fn finish_last_step<'a>(&'a self, fence: &'a StepFence, outcome: LastOutcome) -> RepositoryFuture<'a, LastEnded> {
        let note = move |ended: &LastEnded| self.mortal.control.note_end(&ended.step.step_name);
        self.act("finish_last_step", self.inner.finish_last_step(fence, outcome), note).boxed()
    }

    fn flow_past<'a>(&'a self, lease: &'a Lease) -> RepositoryFuture<'a, FlowPast> {
        self.inner.flow_past(lease)
    }

    fn record_flow<'a>(&'a self, lease: &'a Lease, record: FlowRecord) -> RepositoryFuture<'a, ()> {
        self.act("record_flow", self.inner.record_flow(lease, record), |()| {}).boxed()
    }

    fn record_main_result<'a>(&'a self, lease: &'a Lease, result: MainResult) -> RepositoryFuture<'a, ()> {
        self.act("record_main_result", self.inner.record_main_result(lease, result), |()| {}).boxed()
    }

    fn finish_execution<'a>(
        &'a self,
        lease: &'a Lease,
        outcome: ExecutionOutcome,
    ) -> RepositoryFuture<'a, JobExecution> {
        self.act("finish_execution", self.inner.finish_execution(lease, outcome), |_| {}).boxed()
    }

    pass! {
        request_stop(id: ExecutionId) -> JobExecution;
        abandon(id: ExecutionId) -> JobExecution;
        recover(request: RecoverRequest) -> Vec<Recovered>;
    }
}

impl History for Gate {
    fn changes<'a>(&'a self, since: Option<&'a str>, limit: u32) -> RepositoryFuture<'a, Changes> {
        self.inner.changes(since, limit)
    }

    fn job_counts<'a>(&'a self, job_name: &'a str) -> RepositoryFuture<'a, StatusCounts> {
        self.inner.job_counts(job_name)
    }

    pass! {
        purge(request: PurgeRequest) -> PurgeReport;
        compact() -> Compacted;
        execution(id: ExecutionId) -> Option<JobExecution>;
        executions(filter: ExecutionFilter, page: PageRequest) -> ExecutionPage;
        running_steps(limit: u32) -> Vec<StepExecution>;
        steps(id: ExecutionId) -> Vec<StepExecution>;
        contexts(id: ExecutionId, steps: Vec<StepExecutionId>) -> Contexts;
        flow_history(id: ExecutionId) -> Vec<FlowEntry>;
        instance_past(id: ExecutionId) -> InstancePast;
        skips(id: StepExecutionId, after: Option<i64>, limit: u32) -> SkipPage;
        kept_skips(id: ExecutionId, by: Option<InstanceId>) -> Vec<KeptSkips>;
        pending_skips(request: PendingSkips) -> SkipPage;
        instance(id: InstanceId) -> Option<JobInstance>;
        instances(filter: InstanceFilter, page: PageRequest) -> InstancePage;
        newest_executions(instances: Vec<InstanceId>) -> Vec<JobExecution>;
        instance_count(filter: InstanceFilter) -> i64;
        instance_parameters(id: InstanceId) -> Vec<InstanceParameter>;
        workload() -> Vec<Workload>;
    }
}

impl Nodes for Gate {
    fn register_node<'a>(&'a self, node: &'a Node) -> RepositoryFuture<'a, ()> {
        self.inner.register_node(node)
    }

    fn heartbeat<'a>(&'a self, report: &'a NodeReport) -> RepositoryFuture<'a, Option<Drain>> {
        self.inner.heartbeat(report)
    }

    fn nodes(&self) -> RepositoryFuture<'_, Vec<NodeStatus>> {
        self.inner.nodes()
    }

    fn drain(&self, boot_id: Uuid, drain: Option<Drain>) -> RepositoryFuture<'_, NodeStatus> {
        self.inner.drain(boot_id, drain)
    }

    fn listen(&self) -> Option<broadcast::Receiver<Notification>> {
        self.inner.listen()
    }

    fn remove_node<'a>(&'a self, node: &'a Node) -> RepositoryFuture<'a, ()> {
        self.inner.remove_node(node)
    }
}

impl Schedules for Gate {
    fn remove_schedule<'a>(&'a self, name: &'a str, time: Timestamp) -> RepositoryFuture<'a, bool> {
        self.inner.remove_schedule(name, time)
    }

    fn has_fire<'a>(&'a self, id: ScheduleId, instant: Timestamp, file: &'a str) -> RepositoryFuture<'a, bool> {
        self.inner.has_fire(id, instant, file)
    }

    fn resume<'a>(&'a self, scope: PauseScope, name: &'a str, time: Timestamp) -> RepositoryFuture<'a, bool> {
        self.inner.resume(scope, name, time)
    }

    pass! {
        agenda() -> Agenda;
        schedules(filter: ScheduleFilter) -> Vec<StoredSchedule>;
        put_schedule(schedule: PutSchedule) -> bool;
        fire(request: FireRequest) -> Fired;
        release(request: ReleaseRequest) -> Fired;
        waiting_fires(after: Option<(Timestamp, FireId)>, limit: u32) -> Vec<WaitingFire>;
        fires(filter: FireFilter, page: PageRequest) -> FirePage;
        fire_of(id: FireId) -> Option<Fire>;
        check_deadlines(time: Timestamp, limit: u32) -> (Vec<LateFire>, u32);
        pause(pause: Pause) -> ();
        prune_fires(before: Timestamp, limit: u32) -> u64;
        pauses() -> Vec<Pause>;
    }
}

impl Notices for Gate {
    pass! {
        notice_channels() -> Vec<ServiceChannels>;
        set_notice_channels(of: ServiceChannels, gone: Vec<Uuid>) -> ();
        due_channels(time: Timestamp) -> Vec<String>;
        claim_notices(channels: Vec<String>, time: Timestamp, keep: Duration, limit: u32) -> Vec<Notice>;
        end_attempt(end: AttemptEnd) -> ();
        notices(state: Option<NoticeState>, page: PageRequest) -> NoticePage;
        notice_attempts(id: NoticeId) -> Vec<NoticeAttempt>;
    }
}

impl Backfills for Gate {
    fn last_runs<'a>(&'a self, job_name: &'a str, keys: Vec<String>) -> RepositoryFuture<'a, Vec<Option<LastRun>>> {
        self.inner.last_runs(job_name, keys)
    }

    pass! {
        create_backfill(backfill: NewBackfill) -> BackfillId;
        backfills(id: Option<BackfillId>) -> Vec<Backfill>;
        cancel_backfill(id: BackfillId, time: Timestamp) -> bool;
        backfill_work(time: Timestamp) -> Vec<BackfillWork>;
    }
}

impl Tokens for Gate {
    pass! {
        has_tokens() -> bool;
        create_token(token: NewToken) -> TokenId;
        tokens() -> Vec<Token>;
        revoke_token(id: TokenId, time: Timestamp) -> bool;
        token(id: TokenId) -> Option<Token>;
        token_by_hash(hash: String) -> Option<Token>;
        note_token_use(id: TokenId, time: Timestamp) -> ();
    }
}

impl Sessions for Gate {
    pass! {
        create_login_code(code: NewPass) -> ();
        use_login_code(hash: String, time: Timestamp) -> Option<Token>;
        create_session(session: NewPass) -> ();
        session_by_hash(hash: String) -> Option<Session>;
        end_session(hash: String) -> ();
    }
}

impl Audit for Gate {
    pass! {
        begin_audit(entry: NewAuditEntry) -> AuditId;
        end_audit(id: AuditId, outcome: String) -> ();
        audit(since: Option<Timestamp>, page: PageRequest) -> AuditPage;
        prune_audit(before: Timestamp, limit: u32) -> u64;
    }
}

impl Logs for Gate {
    pass! {
        put_log_segment(segment: NewLogSegment) -> LogSegmentId;
        log_segments(id: ExecutionId, page: LogPage, level: Option<LogLevel>) -> Vec<LogSegment>;
        log_size(id: ExecutionId) -> LogSize;
    }
}

impl Bulks for Gate {
    pass! {
        create_bulk(bulk: NewBulk) -> BegunBulk;
        bulks(id: Option<BulkId>) -> Vec<Bulk>;
        cancel_bulk(id: BulkId, time: Timestamp) -> bool;
        claim_bulk(owner: String, keep: Duration) -> Option<Bulk>;
        record_bulk(id: BulkId, owner: String, result: Option<BulkResult>, time: Timestamp) -> bool;
        bulk_results(id: BulkId, page: PageRequest) -> BulkPage;
        count_found(filter: ExecutionFilter, page: PageRequest) -> FoundCounts;
        last_executions(ids: Vec<InstanceId>) -> Vec<Option<ExecutionId>>;
    }
}

impl LaunchPauses for Gate {
    fn resume_launches<'a>(&'a self, job_name: Option<&'a str>) -> RepositoryFuture<'a, bool> {
        self.inner.resume_launches(job_name)
    }

    pass! {
        pause_launches(pause: LaunchPause) -> ();
        launch_pauses() -> Vec<LaunchPause>;
    }
}
