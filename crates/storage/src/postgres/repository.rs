//! The contract of the repository, method by method: what is one transaction, and what only reads.

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
    Changes, ChunkTransaction, ClaimRequest, Claimed, Compacted, Drain, ExecutionFilter, ExecutionOutcome,
    ExecutionPage, Executions, FlowPast, FlowRecord, Health, History, InstanceFilter, InstancePage, InstanceParameter,
    JobRepository, JobSummary, KeptSkips, LaunchError, LaunchRequest, Launched, Lease, LeaseKey, NewStep, Node,
    NodeReport, NodeStatus, Nodes, Notification, PageRequest, PendingSkips, PurgeReport, PurgeRequest, RecoverRequest,
    Recovered, RenewedLease, RepositoryError, RepositoryFuture, RerunRequest, SkipPage, StepFence, StepOutcome,
    StepStart,
};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::error::{StoreError, is_unique_violation};
use super::pool::Work;
use super::session::Session;
use super::{
    PostgresChunkTransaction, PostgresRepository, changes, claim, finish, flow, launch, node, purge, query, recover,
    rerun, step,
};

/// Launches that are tried again because what stood in their way has ended in the same moment.
const LAUNCHES: u32 = 5;

impl PostgresRepository {
    async fn write<A: Sync, T>(
        &self,
        operation: &'static str,
        asked: A,
        work: impl for<'a> Fn(&'a Session, &'a A) -> Work<'a, T> + Sync,
    ) -> Result<T, RepositoryError> {
        let done = self.store.connections.write(operation, &asked, work).await;
        done.map_err(|error| error.into_repository(operation))
    }

    async fn read<A: Sync, T>(
        &self,
        operation: &'static str,
        asked: A,
        work: impl for<'a> Fn(&'a Session, &'a A) -> Work<'a, T> + Sync,
    ) -> Result<T, RepositoryError> {
        self.store.connections.read(&asked, work).await.map_err(|error| error.into_repository(operation))
    }

    async fn try_launch(&self, request: &LaunchRequest) -> Result<Launched, StoreError> {
        let connections = &self.store.connections;
        let mut attempts = 0;
        loop {
            let launched =
                connections.write("launch", request, |session, request| launch::launch(session, request).boxed()).await;
            match launched {
                // The index that allows one running execution has refused another.
                Err(error) if is_unique_violation(&error) && attempts < LAUNCHES => {
                    attempts += 1;
                    let running =
                        connections.read(request, |session, request| launch::running(session, request).boxed()).await?;
                    if let Some(execution_id) = running {
                        return Err(LaunchError::AlreadyRunning { execution_id }.into());
                    }
                }
                launched => return launched,
            }
        }
    }

    fn notify(&self, notification: Notification) {
        if self.store.connections.connector.settings().notifications {
            self.store.bulletin.notify(&self.store, notification);
        }
    }

    /// Tells what a command asks for, whose process may end in the next moment.
    async fn notify_now(&self, notification: Notification) {
        if self.store.connections.connector.settings().notifications {
            self.store.bulletin.notify_now(&self.store, notification).await;
        }
    }

    /// The owners of leases: their marks are still needed.
    async fn owners(&self) -> Result<Vec<String>, RepositoryError> {
        self.read("list the owners of leases", (), |session, ()| {
            async move {
                let sql = "SELECT DISTINCT lease_owner FROM oxbatch_job_execution WHERE lease_owner IS NOT NULL";
                let rows = session.query(sql, &[]).await?;
                Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
            }
            .boxed()
        })
        .await
    }
}

impl JobRepository for PostgresRepository {
    fn location(&self) -> String {
        format!("PostgreSQL {}", self.store.connections.connector.settings().address())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn health(&self) -> RepositoryFuture<'_, Health> {
        self.read("check the database", (), |session, ()| query::health(session).boxed()).boxed()
    }

    fn close(&self) -> RepositoryFuture<'_, ()> {
        async move {
            self.store.closed.store(true, Ordering::Release);
            self.store.presence.withdraw();
            // Whoever still has a lease is recovered by its mark, which is free now.
            if let Ok(owners) = self.owners().await {
                self.store.presence.sweep(owners.iter().map(String::as_str));
            }
            self.store.connections.close_idle();
            Ok(())
        }
        .boxed()
    }
}

impl Executions for PostgresRepository {
    fn launch(&self, request: LaunchRequest) -> BoxFuture<'_, Result<Launched, LaunchError>> {
        async move {
            let launched = self.try_launch(&request).await.map_err(|error| error.into_launch("launch"))?;
            match (launched.replayed, launched.lease) {
                (true, _) => {}
                (false, Some(lease)) => self.notify(Notification::Started(lease.execution_id())),
                (false, None) => self.notify(Notification::Work),
            }
            Ok(launched)
        }
        .boxed()
    }

    fn rerun(&self, request: RerunRequest) -> BoxFuture<'_, Result<Launched, LaunchError>> {
        const OPERATION: &str = "re-run skipped items";
        async move {
            let launched = self
                .store
                .connections
                .write(OPERATION, &request, |session, request| rerun::launch(session, request).boxed());
            let launched = launched.await.map_err(|error| error.into_launch(OPERATION))?;
            self.notify(launched.lease.map_or(Notification::Work, |lease| Notification::Started(lease.execution_id())));
            Ok(launched)
        }
        .boxed()
    }

    fn claim(&self, request: ClaimRequest) -> RepositoryFuture<'_, Option<Claimed>> {
        async move {
            // What it took now would be recovered at once as that of a dead node.
            if self.store.closed.load(Ordering::Acquire) {
                return Ok(None);
            }
            let claim =
                self.write("claim an execution", request, |session, request| claim::claim(session, request).boxed());
            let claimed = claim.await?;
            if let Some(claimed) = &claimed {
                self.notify(Notification::Started(claimed.execution.id));
            }
            Ok(claimed)
        }
        .boxed()
    }

    fn renew<'a>(
        &'a self,
        node: &'a Node,
        held: Vec<LeaseKey>,
        lease: Duration,
    ) -> RepositoryFuture<'a, Vec<RenewedLease>> {
        // Done twice it is done once: it needs no transaction whose outcome is found out.
        self.read("renew leases", (node.clone(), held, lease), |session, (node, held, lease)| {
            claim::renew(session, node, held, *lease).boxed()
        })
        .boxed()
    }

    fn start_step<'a>(&'a self, lease: &'a Lease, step: NewStep) -> RepositoryFuture<'a, StepStart> {
        self.write("begin a step", (*lease, step), |session, (lease, step)| step::start(session, *lease, step).boxed())
            .boxed()
    }

    fn chunk_transaction<'a>(&'a self, fence: &'a StepFence) -> RepositoryFuture<'a, Box<dyn ChunkTransaction>> {
        let transaction = PostgresChunkTransaction::new(Arc::clone(&self.store), *fence);
        std::future::ready(Ok(Box::new(transaction) as Box<dyn ChunkTransaction>)).boxed()
    }

    fn finish_step<'a>(&'a self, fence: &'a StepFence, outcome: StepOutcome) -> RepositoryFuture<'a, StepExecution> {
        async move {
            let asked = (*fence, outcome, self.store.saves.known(fence.step_id));
            let ended = self.write("end a step", asked, |session, (fence, outcome, saves)| {
                finish::step(session, *fence, outcome, *saves).boxed()
            });
            let ended = ended.await;
            // Whatever can still be said of it, it is not this process that says it.
            if matches!(ended, Ok(_) | Err(RepositoryError::LeaseLost { .. })) {
                self.store.saves.forget(fence.step_id);
            }
            ended
        }
        .boxed()
    }

    fn flow_past<'a>(&'a self, lease: &'a Lease) -> RepositoryFuture<'a, FlowPast> {
        self.read("read the past of a flow", lease.execution_id(), |session, id| flow::past(session, *id).boxed())
            .boxed()
    }

    fn record_flow<'a>(&'a self, lease: &'a Lease, record: FlowRecord) -> RepositoryFuture<'a, ()> {
        self.write("record a flow", (*lease, record), |session, (lease, record)| {
            flow::record_fenced(session, *lease, record).boxed()
        })
        .boxed()
    }

    fn record_main_result<'a>(&'a self, lease: &'a Lease, result: MainResult) -> RepositoryFuture<'a, ()> {
        self.write("record a main result", (*lease, result), |session, (lease, result)| {
            flow::record_main(session, *lease, result).boxed()
        })
        .boxed()
    }

    fn finish_execution<'a>(
        &'a self,
        lease: &'a Lease,
        outcome: ExecutionOutcome,
    ) -> RepositoryFuture<'a, JobExecution> {
        async move {
            let end = self.write("end an execution", (*lease, outcome), |session, (lease, outcome)| {
                finish::execution(session, *lease, outcome).boxed()
            });
            let ended = end.await?;
            self.notify(Notification::Ended(ended.id));
            Ok(ended)
        }
        .boxed()
    }

    fn request_stop(&self, id: ExecutionId) -> RepositoryFuture<'_, JobExecution> {
        async move {
            let stop = self.write("request a stop", id, |session, id| finish::request_stop(session, *id).boxed());
            let asked = stop.await?;
            let notification =
                if asked.status.is_running() { Notification::StopRequested(id) } else { Notification::Ended(id) };
            self.notify_now(notification).await;
            Ok(asked)
        }
        .boxed()
    }

    fn abandon(&self, id: ExecutionId) -> RepositoryFuture<'_, JobExecution> {
        self.write("abandon an execution", id, |session, id| finish::abandon(session, *id).boxed()).boxed()
    }

    fn recover(&self, request: RecoverRequest) -> RepositoryFuture<'_, Vec<Recovered>> {
        async move {
            let asked = (request, Arc::clone(&self.store.presence));
            let candidates = self
                .store
                .connections
                .read(&asked, |session, (request, presence)| recover::candidates(session, request, presence).boxed());
            let candidates = candidates.await.map_err(|error| error.into_repository("search for dead nodes"))?;
            let mut recovered = Vec::new();
            for candidate in candidates {
                const OPERATION: &str = "recover an execution";
                let asked = (candidate, &asked.0);
                let done = self.store.connections.write(OPERATION, &asked, |session, (candidate, request)| {
                    recover::recover(session, candidate, request).boxed()
                });
                match done.await {
                    Ok(done) => recovered.extend(done),
                    // A launch of the same instance was faster.
                    Err(error) if is_unique_violation(&error) => {}
                    Err(error) => return Err(error.into_repository(OPERATION)),
                }
            }
            for done in &recovered {
                self.notify(Notification::Ended(done.lost.id));
                if done.successor.is_some() {
                    self.notify(Notification::Work);
                }
            }
            Ok(recovered)
        }
        .boxed()
    }
}

impl History for PostgresRepository {
    fn purge(&self, request: PurgeRequest) -> RepositoryFuture<'_, PurgeReport> {
        if request.dry_run {
            return self
                .read("count what a purge removes", request, |session, request| purge::purge(session, request).boxed())
                .boxed();
        }
        self.write("purge", request, |session, request| purge::purge(session, request).boxed()).boxed()
    }

    fn compact(&self) -> RepositoryFuture<'_, Compacted> {
        self.read("compact the tables", (), |session, ()| purge::compact(session).boxed()).boxed()
    }

    fn kept_skips(&self, id: ExecutionId, by: Option<InstanceId>) -> RepositoryFuture<'_, Vec<KeptSkips>> {
        self.read("count skipped items", (id, by), |session, (id, by)| rerun::kept(session, *id, *by).boxed()).boxed()
    }

    fn pending_skips(&self, request: PendingSkips) -> RepositoryFuture<'_, SkipPage> {
        self.read("list skipped items", request, |session, request| rerun::pending(session, request).boxed()).boxed()
    }

    fn execution(&self, id: ExecutionId) -> RepositoryFuture<'_, Option<JobExecution>> {
        self.read("read an execution", id, |session, id| query::execution(session, *id).boxed()).boxed()
    }

    fn executions(&self, filter: ExecutionFilter, page: PageRequest) -> RepositoryFuture<'_, ExecutionPage> {
        self.read("list executions", (filter, page), |session, (filter, page)| {
            query::executions(session, filter, *page).boxed()
        })
        .boxed()
    }

    fn changes<'a>(&'a self, since: Option<&'a str>, limit: u32) -> RepositoryFuture<'a, Changes> {
        self.read("list changes", (since, limit), |session, (since, limit)| {
            changes::changes(session, *since, *limit).boxed()
        })
        .boxed()
    }

    fn running_steps(&self, limit: u32) -> RepositoryFuture<'_, Vec<StepExecution>> {
        self.read("list running steps", limit, |session, limit| changes::running_steps(session, *limit).boxed()).boxed()
    }

    fn steps(&self, id: ExecutionId) -> RepositoryFuture<'_, Vec<StepExecution>> {
        self.read("list steps", id, |session, id| query::steps(session, *id).boxed()).boxed()
    }

    fn flow_history(&self, id: ExecutionId) -> RepositoryFuture<'_, Vec<FlowEntry>> {
        self.read("read a flow", id, |session, id| flow::history(session, *id).boxed()).boxed()
    }

    fn skips(&self, id: StepExecutionId, after: Option<i64>, limit: u32) -> RepositoryFuture<'_, SkipPage> {
        self.read("list skipped items", (id, after, limit), |session, (id, after, limit)| {
            query::skips(session, *id, *after, *limit).boxed()
        })
        .boxed()
    }

    fn instance(&self, id: InstanceId) -> RepositoryFuture<'_, Option<JobInstance>> {
        self.read("read an instance", id, |session, id| query::instance(session, *id).boxed()).boxed()
    }

    fn instances(&self, filter: InstanceFilter, page: PageRequest) -> RepositoryFuture<'_, InstancePage> {
        self.read("list instances", (filter, page), |session, (filter, page)| {
            query::instances(session, filter, *page).boxed()
        })
        .boxed()
    }

    fn instance_parameters(&self, id: InstanceId) -> RepositoryFuture<'_, Vec<InstanceParameter>> {
        self.read("list parameters", id, |session, id| query::instance_parameters(session, *id).boxed()).boxed()
    }

    fn job_summary<'a>(&'a self, job_name: &'a str) -> RepositoryFuture<'a, JobSummary> {
        self.read("summarise a job", job_name.to_owned(), |session, job_name| {
            query::job_summary(session, job_name).boxed()
        })
        .boxed()
    }
}

impl Nodes for PostgresRepository {
    fn register_node<'a>(&'a self, node: &'a Node) -> RepositoryFuture<'a, ()> {
        async move {
            let owners = self.owners().await?;
            self.store.presence.sweep(owners.iter().map(String::as_str));
            // Without a mark the node's death is seen by its lease, as on any other machine.
            if let Err(error) = self.store.presence.announce(node) {
                tracing::debug!(%error, "this node leaves no mark on its machine");
            }
            Ok(())
        }
        .boxed()
    }

    fn heartbeat<'a>(&'a self, report: &'a NodeReport) -> RepositoryFuture<'a, Option<Drain>> {
        // Done twice it is done once, as a renewal is.
        self.read("write the heartbeat", report.clone(), |session, report| node::heartbeat(session, report).boxed())
            .boxed()
    }

    fn nodes(&self) -> RepositoryFuture<'_, Vec<NodeStatus>> {
        self.read("list nodes", Arc::clone(&self.store.presence), |session, presence| {
            node::nodes(session, presence).boxed()
        })
        .boxed()
    }

    fn drain(&self, boot_id: Uuid, drain: Option<Drain>) -> RepositoryFuture<'_, NodeStatus> {
        async move {
            let asked = (Arc::clone(&self.store.presence), boot_id, drain);
            let status = self.write("drain a node", asked, |session, (presence, boot_id, drain)| {
                node::drain(session, presence, *boot_id, *drain).boxed()
            });
            let status = status.await?;
            self.notify_now(Notification::Drain).await;
            Ok(status)
        }
        .boxed()
    }

    fn listen(&self) -> Option<broadcast::Receiver<Notification>> {
        let wanted = self.store.connections.connector.settings().notifications;
        wanted.then(|| self.store.bulletin.listen(&self.store))
    }

    fn remove_node<'a>(&'a self, node: &'a Node) -> RepositoryFuture<'a, ()> {
        self.read("remove a node", node.clone(), |session, node| node::remove(session, node).boxed()).boxed()
    }
}
