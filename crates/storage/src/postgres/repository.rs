//! The contract of the repository, method by method: what is one transaction, and what only reads.

mod history;
mod nodes;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oxbatch_core::execution::{ExecutionId, JobExecution, MainResult, StepExecution};
use oxbatch_core::repository::{
    ChunkTransaction, ClaimRequest, Claimed, ExecutionOutcome, Executions, FlowPast, FlowRecord, Health, JobRepository,
    LastEnded, LastOutcome, LaunchError, LaunchRequest, Launched, Lease, LeaseKey, NewStep, Node, Notification,
    PoolStatus, RecoverRequest, Recovered, RenewedLease, RepositoryError, RepositoryFuture, RerunRequest, StepFence,
    StepOutcome, StepStart,
};

use super::error::{StoreError, is_unique_violation};
use super::pool::Work;
use super::session::Session;
use super::{
    PostgresChunkTransaction, PostgresRepository, claim, finish, flow, launch, node, query, recover, rerun, step,
};

/// Launches that are tried again because what stood in their way has ended in the same moment.
const LAUNCHES: u32 = 5;

impl PostgresRepository {
    pub(super) async fn write<A: Sync, T>(
        &self,
        operation: &'static str,
        asked: A,
        work: impl for<'a> Fn(&'a Session, &'a A) -> Work<'a, T> + Sync,
    ) -> Result<T, RepositoryError> {
        let done = self.store.connections.write(operation, &asked, work).await;
        done.map_err(|error| error.into_repository(operation))
    }

    pub(super) async fn read<A: Sync, T>(
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

    pub(super) fn notify(&self, notification: Notification) {
        if self.store.connections.connector.settings().notifications {
            self.store.bulletin.notify(&self.store, notification);
        }
    }

    /// Notifies others of what a command asks for, whose process may end in the next moment.
    pub(super) async fn notify_now(&self, notification: Notification) {
        if self.store.connections.connector.settings().notifications {
            self.store.bulletin.notify_now(&self.store, notification).await;
        }
    }

    /// The nodes whose marks are still needed: they own leases, or their heartbeats would have them pass for living.
    pub(super) async fn marked(&self) -> Result<Vec<String>, RepositoryError> {
        self.read("list the nodes whose marks are needed", (), |session, ()| node::marked(session).boxed()).await
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

    fn pool(&self) -> Option<PoolStatus> {
        Some(self.store.connections.status())
    }

    fn close(&self) -> RepositoryFuture<'_, ()> {
        async move {
            self.store.closed.store(true, Ordering::Release);
            self.store.presence.withdraw();
            // Whoever still has a lease is recovered by its mark, which is free now.
            if let Ok(marked) = self.marked().await {
                self.store.presence.sweep(marked.iter().map(String::as_str));
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

    fn finish_last_step<'a>(&'a self, fence: &'a StepFence, outcome: LastOutcome) -> RepositoryFuture<'a, LastEnded> {
        async move {
            let asked = (*fence, outcome, self.store.saves.known(fence.step_id));
            let ended = self.write("end a last step", asked, |session, (fence, outcome, saves)| {
                finish::last_step(session, *fence, outcome, *saves).boxed()
            });
            let ended = ended.await;
            if matches!(ended, Ok(_) | Err(RepositoryError::LeaseLost { .. })) {
                self.store.saves.forget(fence.step_id);
            }
            if let Ok(LastEnded { execution: Some(execution), .. }) = &ended {
                self.notify(Notification::Ended(execution.id));
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
