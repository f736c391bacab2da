//! The further parts of a chunk's save: the job's context and the items that were skipped.

use futures_util::future::join;
use oxbatch_core::repository::{ChunkSave, StepFence};
use tokio_postgres::{Client, Error, Row};

use crate::postgres::context;
use crate::postgres::error::{StoreError, rows_refused};

const KEEP_SKIPS: &str =
    "INSERT INTO oxbatch_skipped_item (step_execution_id, create_time, phase, position, item, error, complete)
     SELECT $1, $2, phase, position, item, error, complete
     FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[]) WITH ORDINALITY
         AS skipped (phase, position, item, error, complete, number)
     ORDER BY number";

/// A save with the job's context or with skipped items, all on their way at once.
pub(super) async fn save_more(
    client: &Client,
    fence: StepFence,
    save: &ChunkSave<'_>,
    durable: bool,
    saving: impl Future<Output = Result<Row, Error>>,
) -> Result<Row, StoreError> {
    let (execution, epoch, step) = (fence.lease.execution_id().0, fence.lease.epoch, fence.step_id.0);
    // The job's context, fenced in the same way. It comes before the step's row, as in every other transaction: two
    // that take both rows in one order never wait for each other in a ring.
    let context = async {
        let Some(changes) = save.job_context else { return Ok(()) };
        let (set, keys) = context::values(changes)?;
        let saved = client.query_one(context::SAVE_OR_FAIL, &[&execution, &epoch, &set, &keys]).await?;
        context::check(&saved)
    };
    let skips = async {
        if save.skips.is_empty() {
            return Ok::<_, Error>(());
        }
        let phases: Vec<_> = save.skips.iter().map(|skip| skip.phase.as_str()).collect();
        let positions: Vec<_> = save.skips.iter().map(|skip| skip.position.as_deref()).collect();
        let items: Vec<_> = save.skips.iter().map(|skip| skip.item.as_deref()).collect();
        let errors: Vec<_> = save.skips.iter().map(|skip| skip.error.as_str()).collect();
        let complete: Vec<_> = save.skips.iter().map(|skip| skip.complete).collect();
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
            [&step, &save.time, &phases, &positions, &items, &errors, &complete];
        client.execute(KEEP_SKIPS, &values).await.map(|_| ())
    };
    if durable {
        client.batch_execute("SET LOCAL synchronous_commit = on").await?;
    }
    context.await?;
    skips.await?;
    let (row, committed) = join(saving, client.batch_execute("COMMIT")).await;
    let row = row?;
    committed.map_err(rows_refused)?;
    Ok(row)
}
