//! The contract of bulk work on SQLite.

use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use oxbatch_core::execution::{ExecutionId, InstanceId};
use oxbatch_core::repository::{
    BegunBulk, Bulk, BulkId, BulkPage, BulkResult, Bulks, ExecutionFilter, FoundCounts, NewBulk, PageRequest,
    RepositoryFuture,
};

use super::shared::done;
use super::{SqliteRepository, query};
use crate::shared::bulk;

impl Bulks for SqliteRepository {
    fn create_bulk(&self, new: NewBulk) -> RepositoryFuture<'_, BegunBulk> {
        self.write_shared("begin a bulk", move |connection| done(bulk::create(connection, &new)))
    }

    fn bulks(&self, id: Option<BulkId>) -> RepositoryFuture<'_, Vec<Bulk>> {
        self.ask_shared("list bulks", move |connection| done(bulk::list(connection, id)))
    }

    fn cancel_bulk(&self, id: BulkId, time: Timestamp) -> RepositoryFuture<'_, bool> {
        self.write_shared("cancel a bulk", move |connection| done(bulk::cancel(connection, id, time)))
    }

    fn claim_bulk(&self, owner: String, keep: Duration) -> RepositoryFuture<'_, Option<Bulk>> {
        async move {
            // Most looks find nothing: they hold up no writer.
            if !self.ask_shared("look for bulk work", |connection| done(bulk::is_any(connection))).await? {
                return Ok(None);
            }
            self.write_shared("take a bulk", move |connection| done(bulk::claim(connection, &owner, keep))).await
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
        self.write_shared("record bulk work", move |connection| {
            done(bulk::record(connection, id, &owner, result.as_ref(), time))
        })
    }

    fn bulk_results(&self, id: BulkId, page: PageRequest) -> RepositoryFuture<'_, BulkPage> {
        self.ask_shared("list bulk work", move |connection| done(bulk::results(connection, id, page)))
    }

    fn count_found(&self, filter: ExecutionFilter, page: PageRequest) -> RepositoryFuture<'_, FoundCounts> {
        self.ask_shared("count executions", move |connection| query::count_found(connection, &filter, page))
    }

    fn last_executions(&self, ids: Vec<InstanceId>) -> RepositoryFuture<'_, Vec<Option<ExecutionId>>> {
        self.ask_shared("look for last executions", move |connection| done(bulk::last_executions(connection, &ids)))
    }
}
