//! The contract of the repository, method by method: which thread does what.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oxbatch_core::execution::{
    ExecutionId, FlowEntry, InstanceId, JobExecution, JobInstance, MainResult, StepExecution, StepExecutionId,
};
use oxbatch_core::repository::{
    Changes, ChunkTransaction, ClaimRequest, Claimed, Compacted, Contexts, Drain, ExecutionFilter, ExecutionOutcome,
    ExecutionPage, Executions, FlowPast, FlowRecord, Health, History, InstanceFilter, InstancePage, InstanceParameter,
    InstancePast, JobRepository, KeptSkips, LastEnded, LastOutcome, LaunchError, LaunchRequest, Launched, Lease,
    LeaseKey, NewStep, Node, NodeReport, NodeStatus, Nodes, PageRequest, PendingSkips, PurgeReport, PurgeRequest,
    RecoverRequest, Recovered, RenewedLease, RepositoryError, RepositoryFuture, RerunRequest, SkipPage, StatusCounts,
    StepFence, StepOutcome, StepStart, Workload,
};
use uuid::Uuid;

use super::error::classify;
use super::open::{self, Durability, check_in_place, unusable};
use super::shared::done;
use super::{
    SqliteChunkTransaction, SqliteRepository, Store, changes, claim, finish, flow, launch, node, purge, query, recover,
    rerun, step,
};
use crate::nodes;
use crate::shared::contexts;

const COMPACT: &str = "compact the database";

/// Writes the file anew. It holds the write lock for as long as that takes, so nobody may work on it.
fn compact(store: &Store) -> Result<Compacted, RepositoryError> {
    if store.presence.others_live() {
        return Err(RepositoryError::InUse);
    }
    let classified = |error| classify(COMPACT, error);
    let size = || std::fs::metadata(&store.path).map_or(0, |file| file.len());
    let connection = open::writer(&store.path, Durability::EachCommit).map_err(classified)?;
    // What stands in the log is part of the size.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(classified)?;
    let before = size();
    connection.execute_batch("VACUUM").map_err(classified)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(classified)?;
    Ok(Compacted { before, after: size() })
}

impl JobRepository for SqliteRepository {
    fn location(&self) -> String {
        format!("SQLite {}", self.store.path.display())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn health(&self) -> RepositoryFuture<'_, Health> {
        let check = |connection: &rusqlite::Connection| {
            check_in_place(connection)?;
            query::health(connection)
        };
        self.store.readers.ask("check the database", check).boxed()
    }

    fn close(&self) -> RepositoryFuture<'_, ()> {
        async move {
            self.store.closed.store(true, Ordering::Release);
            self.store.presence.withdraw();
            self.store.chunks.close();
            self.store.readers.close_idle();
            self.store.writer.close().await;
            Ok::<_, RepositoryError>(())
        }
        .boxed()
    }
}

impl Executions for SqliteRepository {
    fn launch(&self, request: LaunchRequest) -> BoxFuture<'_, Result<Launched, LaunchError>> {
        async move {
            let launched = self.store.writer.try_run(move |connection| launch::launch(connection, &request)).await;
            launched.map_err(|error| error.into_launch("launch"))
        }
        .boxed()
    }

    fn rerun(&self, request: RerunRequest) -> BoxFuture<'_, Result<Launched, LaunchError>> {
        async move {
            let launched = self.store.writer.try_run(move |connection| rerun::launch(connection, &request)).await;
            launched.map_err(|error| error.into_launch("re-run skipped items"))
        }
        .boxed()
    }

    fn claim(&self, request: ClaimRequest) -> RepositoryFuture<'_, Option<Claimed>> {
        let closed = Arc::clone(&self.store.closed);
        let work = move |connection: &rusqlite::Connection| {
            // What it took now would be recovered at once as that of a dead node.
            if closed.load(Ordering::Acquire) { Ok(None) } else { claim::claim(connection, &request) }
        };
        self.store.writer.run("claim an execution", work).boxed()
    }

    fn renew<'a>(
        &'a self,
        node: &'a Node,
        held: Vec<LeaseKey>,
        lease: Duration,
    ) -> RepositoryFuture<'a, Vec<RenewedLease>> {
        let (node, lease) = (node.clone(), launch::microseconds(lease));
        self.store.writer.run("renew leases", move |connection| claim::renew(connection, &node, &held, lease)).boxed()
    }

    fn start_step<'a>(&'a self, lease: &'a Lease, step: NewStep) -> RepositoryFuture<'a, StepStart> {
        let lease = *lease;
        self.store.writer.run("begin a step", move |connection| step::start(connection, lease, &step)).boxed()
    }

    fn chunk_transaction<'a>(&'a self, fence: &'a StepFence) -> RepositoryFuture<'a, Box<dyn ChunkTransaction>> {
        let transaction = SqliteChunkTransaction::new(Arc::clone(&self.store), *fence);
        std::future::ready(Ok(Box::new(transaction) as Box<dyn ChunkTransaction>)).boxed()
    }

    fn finish_step<'a>(&'a self, fence: &'a StepFence, outcome: StepOutcome) -> RepositoryFuture<'a, StepExecution> {
        let fence = *fence;
        self.store.writer.run("end a step", move |connection| finish::step(connection, fence, &outcome)).boxed()
    }

    fn finish_last_step<'a>(&'a self, fence: &'a StepFence, outcome: LastOutcome) -> RepositoryFuture<'a, LastEnded> {
        let fence = *fence;
        let work = move |connection: &rusqlite::Connection| finish::last_step(connection, fence, &outcome);
        self.store.writer.run("end a last step", work).boxed()
    }

    fn flow_past<'a>(&'a self, lease: &'a Lease) -> RepositoryFuture<'a, FlowPast> {
        let id = lease.execution_id();
        self.store.readers.ask("read the past of a flow", move |connection| flow::past(connection, id)).boxed()
    }

    fn record_flow<'a>(&'a self, lease: &'a Lease, record: FlowRecord) -> RepositoryFuture<'a, ()> {
        let lease = *lease;
        let work = move |connection: &rusqlite::Connection| flow::record_fenced(connection, lease, &record);
        self.store.writer.run("record a flow", work).boxed()
    }

    fn record_main_result<'a>(&'a self, lease: &'a Lease, result: MainResult) -> RepositoryFuture<'a, ()> {
        let lease = *lease;
        let work = move |connection: &rusqlite::Connection| flow::record_main(connection, lease, &result);
        self.store.writer.run("record a main result", work).boxed()
    }

    fn finish_execution<'a>(
        &'a self,
        lease: &'a Lease,
        outcome: ExecutionOutcome,
    ) -> RepositoryFuture<'a, JobExecution> {
        let lease = *lease;
        self.store
            .writer
            .run("end an execution", move |connection| finish::execution(connection, lease, &outcome))
            .boxed()
    }

    fn request_stop(&self, id: ExecutionId) -> RepositoryFuture<'_, JobExecution> {
        self.store.writer.run("request a stop", move |connection| finish::request_stop(connection, id)).boxed()
    }

    fn abandon(&self, id: ExecutionId) -> RepositoryFuture<'_, JobExecution> {
        self.store.writer.run("abandon an execution", move |connection| finish::abandon(connection, id)).boxed()
    }

    fn recover(&self, request: RecoverRequest) -> RepositoryFuture<'_, Vec<Recovered>> {
        async move {
            let (presence, asked) = (Arc::clone(&self.store.presence), request.clone());
            let find = move |connection: &rusqlite::Connection| recover::candidates(connection, &asked, &presence);
            let mut recovered = Vec::new();
            for candidate in self.store.readers.ask("search for dead nodes", find).await? {
                let request = request.clone();
                let work = move |connection: &rusqlite::Connection| recover::recover(connection, &candidate, &request);
                recovered.extend(self.store.writer.run("recover an execution", work).await?);
            }
            Ok(recovered)
        }
        .boxed()
    }
}

impl History for SqliteRepository {
    fn purge(&self, request: PurgeRequest) -> RepositoryFuture<'_, PurgeReport> {
        if request.dry_run {
            let count = move |connection: &rusqlite::Connection| purge::purge(connection, &request);
            return self.store.readers.ask("count what a purge removes", count).boxed();
        }
        self.store.writer.run("purge", move |connection| purge::purge(connection, &request)).boxed()
    }

    fn compact(&self) -> RepositoryFuture<'_, Compacted> {
        async move {
            let write_lock = self.store.write_lock.take().await;
            let store = Arc::clone(&self.store);
            let done = tokio::task::spawn_blocking(move || compact(&store)).await;
            drop(write_lock);
            done.unwrap_or_else(|error| Err(RepositoryError::Database { operation: COMPACT, source: Box::new(error) }))
        }
        .boxed()
    }

    fn execution(&self, id: ExecutionId) -> RepositoryFuture<'_, Option<JobExecution>> {
        self.store.readers.ask("read an execution", move |connection| query::execution(connection, id)).boxed()
    }

    fn executions(&self, filter: ExecutionFilter, page: PageRequest) -> RepositoryFuture<'_, ExecutionPage> {
        let list = move |connection: &rusqlite::Connection| query::executions(connection, &filter, page);
        self.store.readers.ask("list executions", list).boxed()
    }

    fn changes<'a>(&'a self, since: Option<&'a str>, limit: u32) -> RepositoryFuture<'a, Changes> {
        let since = since.map(str::to_owned);
        let list = move |connection: &rusqlite::Connection| changes::changes(connection, since.as_deref(), limit);
        self.store.readers.ask("list changes", list).boxed()
    }

    fn running_steps(&self, limit: u32) -> RepositoryFuture<'_, Vec<StepExecution>> {
        let list = move |connection: &rusqlite::Connection| changes::running_steps(connection, limit);
        self.store.readers.ask("list running steps", list).boxed()
    }

    fn steps(&self, id: ExecutionId) -> RepositoryFuture<'_, Vec<StepExecution>> {
        self.store.readers.ask("list steps", move |connection| query::steps(connection, id)).boxed()
    }

    fn contexts(&self, id: ExecutionId, steps: Vec<StepExecutionId>) -> RepositoryFuture<'_, Contexts> {
        self.ask_shared("read contexts", move |connection| done(contexts::read(connection, id, &steps)))
    }

    fn flow_history(&self, id: ExecutionId) -> RepositoryFuture<'_, Vec<FlowEntry>> {
        self.store.readers.ask("read a flow", move |connection| flow::history(connection, id)).boxed()
    }

    fn instance_past(&self, id: ExecutionId) -> RepositoryFuture<'_, InstancePast> {
        let past = move |connection: &rusqlite::Connection| flow::instance_past(connection, id);
        self.store.readers.ask("read the past of an instance", past).boxed()
    }

    fn skips(&self, id: StepExecutionId, after: Option<i64>, limit: u32) -> RepositoryFuture<'_, SkipPage> {
        let list = move |connection: &rusqlite::Connection| query::skips(connection, id, after, limit);
        self.store.readers.ask("list skipped items", list).boxed()
    }

    fn kept_skips(&self, id: ExecutionId, by: Option<InstanceId>) -> RepositoryFuture<'_, Vec<KeptSkips>> {
        self.store.readers.ask("count skipped items", move |connection| rerun::kept(connection, id, by)).boxed()
    }

    fn pending_skips(&self, request: PendingSkips) -> RepositoryFuture<'_, SkipPage> {
        let list = move |connection: &rusqlite::Connection| rerun::pending(connection, &request);
        self.store.readers.ask("list skipped items", list).boxed()
    }

    fn instance(&self, id: InstanceId) -> RepositoryFuture<'_, Option<JobInstance>> {
        self.store.readers.ask("read an instance", move |connection| query::instance(connection, id)).boxed()
    }

    fn instances(&self, filter: InstanceFilter, page: PageRequest) -> RepositoryFuture<'_, InstancePage> {
        let list = move |connection: &rusqlite::Connection| query::instances(connection, &filter, page);
        self.store.readers.ask("list instances", list).boxed()
    }

    fn newest_executions(&self, instances: Vec<InstanceId>) -> RepositoryFuture<'_, Vec<JobExecution>> {
        let list = move |connection: &rusqlite::Connection| query::newest_executions(connection, &instances);
        self.store.readers.ask("read last executions", list).boxed()
    }

    fn instance_count(&self, filter: InstanceFilter) -> RepositoryFuture<'_, i64> {
        let count = move |connection: &rusqlite::Connection| query::instance_count(connection, &filter);
        self.store.readers.ask("count instances", count).boxed()
    }

    fn instance_parameters(&self, id: InstanceId) -> RepositoryFuture<'_, Vec<InstanceParameter>> {
        let list = move |connection: &rusqlite::Connection| query::instance_parameters(connection, id);
        self.store.readers.ask("list parameters", list).boxed()
    }

    fn workload(&self) -> RepositoryFuture<'_, Vec<Workload>> {
        self.store.readers.ask("count what has not ended", query::workload).boxed()
    }

    fn job_counts<'a>(&'a self, job_name: &'a str) -> RepositoryFuture<'a, StatusCounts> {
        let job_name = job_name.to_owned();
        let count = move |connection: &rusqlite::Connection| query::job_counts(connection, &job_name);
        self.store.readers.ask("count the executions of a job", count).boxed()
    }
}

impl Nodes for SqliteRepository {
    fn register_node<'a>(&'a self, node: &'a Node) -> RepositoryFuture<'a, ()> {
        // Two system calls on a local disk: not worth a thread.
        self.store.presence.sweep([]);
        let announced = self.store.presence.announce(node).map_err(|error| {
            unusable(format!("the node cannot be announced next to '{}': {error}", self.store.path.display()), None)
        });
        std::future::ready(announced).boxed()
    }

    fn heartbeat<'a>(&'a self, report: &'a NodeReport) -> RepositoryFuture<'a, Option<Drain>> {
        let report = report.clone();
        self.store.writer.run("write the heartbeat", move |connection| node::heartbeat(connection, &report)).boxed()
    }

    fn nodes(&self) -> RepositoryFuture<'_, Vec<NodeStatus>> {
        let presence = Arc::clone(&self.store.presence);
        self.store.readers.ask("list nodes", move |connection| node::nodes(connection, &presence)).boxed()
    }

    fn drain(&self, boot_id: Uuid, drain: Option<Drain>) -> RepositoryFuture<'_, NodeStatus> {
        let presence = Arc::clone(&self.store.presence);
        let work = move |connection: &rusqlite::Connection| {
            node::drain(connection, boot_id, drain)?;
            Ok(nodes::find(node::nodes(connection, &presence)?, boot_id)?)
        };
        self.store.writer.run("drain a node", work).boxed()
    }

    fn remove_node<'a>(&'a self, node: &'a Node) -> RepositoryFuture<'a, ()> {
        let node = node.clone();
        self.store.writer.run("remove a node", move |connection| node::remove(connection, &node)).boxed()
    }
}
