//! The removal of old executions in small batches with pauses, so that whoever works beside it hardly notices.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{JobRepository, PurgeReport, PurgeRequest, RepositoryError};

/// Ended executions of the first batch. Later ones are larger or smaller, as the store is fast.
const FIRST_BATCH: u32 = 100;
const BATCHES: std::ops::RangeInclusive<u32> = 10..=1_000;
/// A batch that takes longer is followed by a smaller one: nobody who writes meanwhile waits for much longer than that.
const LONG_BATCH: Duration = Duration::from_millis(60);
/// A batch that takes less is followed by a larger one.
const SHORT_BATCH: Duration = Duration::from_millis(20);
/// Least pause between batches: longer than a writer sleeps until it tries to get the lock of the database again.
const PAUSE: Duration = Duration::from_millis(50);
/// The pause is longer by as many times the time that the batch took: the store belongs to others for most of the time.
const PAUSE_FACTOR: u32 = 2;
/// The time that a store which is busy or out of reach is waited for, and the pause between attempts.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Removes all executions that a request asks for, or counts them, batch by batch. `request.batch` is no matter.
///
/// It ends between two batches when `stop` is cancelled: the report says what was removed until then, and has a place
/// at which it could go on.
///
/// # Errors
/// When the repository fails, or is busy for a minute. What was removed until then is gone.
pub async fn purge_in_batches(
    repository: &dyn JobRepository,
    request: PurgeRequest,
    stop: &CancellationToken,
) -> Result<PurgeReport, RepositoryError> {
    let mut request = PurgeRequest { batch: FIRST_BATCH, ..request };
    let mut total = PurgeReport { next: request.after.clone(), ..PurgeReport::default() };
    loop {
        let report = patiently(repository, &request, stop).await?;
        let Some(report) = report else { return Ok(total) };
        total.executions += report.executions;
        total.instances += report.instances;
        total.next = report.next;
        if total.next.is_none() {
            return Ok(total);
        }
        request.after.clone_from(&total.next);
        request.batch = next_batch(request.batch, report.held);
        let pause = if request.dry_run { Duration::ZERO } else { PAUSE + report.held * PAUSE_FACTOR };
        if stop.is_cancelled() || !waits(pause, stop).await {
            return Ok(total);
        }
    }
}

/// One batch, once the store has time for it; `None` when it is stopped before.
async fn patiently(
    repository: &dyn JobRepository,
    request: &PurgeRequest,
    stop: &CancellationToken,
) -> Result<Option<PurgeReport>, RepositoryError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match repository.purge(request.clone()).await {
            Err(error @ RepositoryError::Unavailable { .. }) if Instant::now() < deadline => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the purge waits for the database");
                if !waits(RETRY_PAUSE, stop).await {
                    return Ok(None);
                }
            }
            purged => return purged.map(Some),
        }
    }
}

/// Waits; `false` when it was stopped meanwhile.
async fn waits(pause: Duration, stop: &CancellationToken) -> bool {
    tokio::time::timeout(pause, stop.cancelled()).await.is_err()
}

/// The size of the next batch, by the time that the last one took.
fn next_batch(batch: u32, took: Duration) -> u32 {
    let next = if took > LONG_BATCH {
        batch / 2
    } else if took < SHORT_BATCH {
        batch.saturating_mul(2)
    } else {
        batch
    };
    next.clamp(*BATCHES.start(), *BATCHES.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_as_large_as_the_store_is_fast() {
        let sizes = |milliseconds: u64| {
            let mut batch = FIRST_BATCH;
            for _ in 0..20 {
                batch = next_batch(batch, Duration::from_millis(milliseconds));
            }
            batch
        };
        assert_eq!([sizes(1), sizes(40), sizes(500)], [*BATCHES.end(), FIRST_BATCH, *BATCHES.start()]);
    }
}
