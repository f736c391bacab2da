//! Waits that a stop ends, alike for both databases.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The time that is still waited after a stop: what is ready to be saved should be saved, if others let it.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(2);

/// Returns once the time after a stop is over.
pub(crate) async fn stop_is_over(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_GRACE).await;
}
