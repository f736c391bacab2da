//! The history of executions: lists and details, retention.

use futures_util::FutureExt;
use oxbatch_core::execution::{
    ExecutionId, FlowEntry, InstanceId, JobExecution, JobInstance, StepExecution, StepExecutionId,
};
use oxbatch_core::repository::{
    Changes, Compacted, Contexts, ExecutionFilter, ExecutionPage, History, InstanceFilter, InstancePage,
    InstanceParameter, InstancePast, KeptSkips, PageRequest, PendingSkips, PurgeReport, PurgeRequest, RepositoryFuture,
    SkipPage, StatusCounts, Workload,
};

use crate::postgres::{PostgresRepository, changes, flow, purge, query, rerun};
use crate::shared::contexts;

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

    fn contexts(&self, id: ExecutionId, steps: Vec<StepExecutionId>) -> RepositoryFuture<'_, Contexts> {
        self.read("read contexts", (id, steps), |session, (id, steps)| contexts::read(session, *id, steps).boxed())
            .boxed()
    }

    fn flow_history(&self, id: ExecutionId) -> RepositoryFuture<'_, Vec<FlowEntry>> {
        self.read("read a flow", id, |session, id| flow::history(session, *id).boxed()).boxed()
    }

    fn instance_past(&self, id: ExecutionId) -> RepositoryFuture<'_, InstancePast> {
        self.read("read the past of an instance", id, |session, id| flow::instance_past(session, *id).boxed()).boxed()
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

    fn newest_executions(&self, instances: Vec<InstanceId>) -> RepositoryFuture<'_, Vec<JobExecution>> {
        self.read("read last executions", instances, |session, instances| {
            query::newest_executions(session, instances).boxed()
        })
        .boxed()
    }

    fn instance_count(&self, filter: InstanceFilter) -> RepositoryFuture<'_, i64> {
        self.read("count instances", filter, |session, filter| query::instance_count(session, filter).boxed()).boxed()
    }

    fn instance_parameters(&self, id: InstanceId) -> RepositoryFuture<'_, Vec<InstanceParameter>> {
        self.read("list parameters", id, |session, id| query::instance_parameters(session, *id).boxed()).boxed()
    }

    fn workload(&self) -> RepositoryFuture<'_, Vec<Workload>> {
        self.read("count what has not ended", (), |session, ()| query::workload(session).boxed()).boxed()
    }

    fn job_counts<'a>(&'a self, job_name: &'a str) -> RepositoryFuture<'a, StatusCounts> {
        self.read("count the executions of a job", job_name.to_owned(), |session, job_name| {
            query::job_counts(session, job_name).boxed()
        })
        .boxed()
    }
}
