//! The contract of bulk work on PostgreSQL.

use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use oxbatch_core::execution::{ExecutionId, InstanceId};
use oxbatch_core::repository::{
    BegunBulk, Bulk, BulkId, BulkPage, BulkResult, Bulks, ExecutionFilter, FoundCounts, NewBulk, PageRequest,
    RepositoryFuture,
};

use super::{PostgresRepository, query};
use crate::shared::bulk;

impl Bulks for PostgresRepository {
    fn create_bulk(&self, new: NewBulk) -> RepositoryFuture<'_, BegunBulk> {
        self.write("begin a bulk", new, |session, new| bulk::create(session, new).boxed()).boxed()
    }

    fn bulks(&self, id: Option<BulkId>) -> RepositoryFuture<'_, Vec<Bulk>> {
        self.read("list bulks", id, |session, id| bulk::list(session, *id).boxed()).boxed()
    }

    fn cancel_bulk(&self, id: BulkId, time: Timestamp) -> RepositoryFuture<'_, bool> {
        self.write("cancel a bulk", (id, time), |session, (id, time)| bulk::cancel(session, *id, *time).boxed()).boxed()
    }

    fn claim_bulk(&self, owner: String, keep: Duration) -> RepositoryFuture<'_, Option<Bulk>> {
        async move {
            // Most looks find nothing.
            if !self.read("look for bulk work", (), |session, ()| bulk::is_any(session).boxed()).await? {
                return Ok(None);
            }
            self.write("take a bulk", (owner, keep), |session, (owner, keep)| {
                bulk::claim(session, owner, *keep).boxed()
            })
            .await
        }
        .boxed()
    }

    fn record_bulk(
        &self,
        id: BulkId,
        owner: String,
        result: Option<BulkResult>,
        time: Timestamp,
    ) -> RepositoryFuture<'_, bool> {
        self.write("record bulk work", (id, owner, result, time), |session, (id, owner, result, time)| {
            bulk::record(session, *id, owner, result.as_ref(), *time).boxed()
        })
        .boxed()
    }

    fn bulk_results(&self, id: BulkId, page: PageRequest) -> RepositoryFuture<'_, BulkPage> {
        self.read("list bulk work", (id, page), |session, (id, page)| bulk::results(session, *id, *page).boxed())
            .boxed()
    }

    fn count_found(&self, filter: ExecutionFilter, page: PageRequest) -> RepositoryFuture<'_, FoundCounts> {
        self.read("count executions", (filter, page), |session, (filter, page)| {
            query::count_found(session, filter, *page).boxed()
        })
        .boxed()
    }

    fn last_executions(&self, ids: Vec<InstanceId>) -> RepositoryFuture<'_, Vec<Option<ExecutionId>>> {
        self.read("look for last executions", ids, |session, ids| bulk::last_executions(session, ids).boxed()).boxed()
    }
}
