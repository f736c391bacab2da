//! The time that the author's code has to end once it was asked to.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::config::EngineConfig;
use super::running::{Handle, StopCause};
use super::state::EngineState;

/// The time that a step that was dropped, or listeners at a shutdown, may take before their thread is left behind.
pub(super) const LEAVE_BEHIND_AFTER: Duration = Duration::from_millis(500);

/// The author's code that is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// A step or a decider.
    Work,
    /// The listeners of the job, behind its steps.
    Listeners,
}

/// The grace of a stop with a cause; without one it is a time limit that is exceeded.
fn grace(config: &EngineConfig, cause: Option<StopCause>, ending: Ending) -> Duration {
    match (cause, ending) {
        (Some(cause), _) if cause.is_loss() => Duration::ZERO,
        (Some(StopCause::Shutdown), Ending::Work) => config.shutdown_timeout,
        // The steps have had the time of the shutdown.
        (Some(StopCause::Shutdown), Ending::Listeners) => LEAVE_BEHIND_AFTER,
        _ => config.stop_grace,
    }
}

/// Waits for the end of what was asked to end, as long as the grace lasts; `None` when it is over.
pub(super) async fn within_grace<F>(
    state: &EngineState,
    handle: &Handle,
    ending: Ending,
    end: &mut F,
) -> Option<F::Output>
where
    F: Future + Unpin,
{
    let mut deadline = Instant::now() + grace(&state.config, handle.cause(), ending);
    if !state.local.closing.is_cancelled() {
        tokio::select! {
            biased;
            ended = &mut *end => return Some(ended),
            () = tokio::time::sleep_until(deadline) => {}
            // A shutdown does not wait longer than its own time for what was being stopped already.
            () = state.local.closing.cancelled() => {
                deadline = deadline.min(Instant::now() + grace(&state.config, Some(StopCause::Shutdown), ending));
            }
        }
    }
    tokio::time::timeout_at(deadline, end).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Node;

    #[test]
    fn the_grace_is_that_of_the_cause() {
        let mut config = EngineConfig::new(Node::new("node"));
        config.stop_grace = Duration::from_secs(1);
        config.shutdown_timeout = Duration::from_secs(2);
        for (cause, work, listeners) in [
            (None, config.stop_grace, config.stop_grace),
            (Some(StopCause::Request), config.stop_grace, config.stop_grace),
            (Some(StopCause::Shutdown), config.shutdown_timeout, LEAVE_BEHIND_AFTER),
            (Some(StopCause::LeaseLost), Duration::ZERO, Duration::ZERO),
            (Some(StopCause::StoreGone), Duration::ZERO, Duration::ZERO),
        ] {
            let found = [Ending::Work, Ending::Listeners].map(|ending| grace(&config, cause, ending));
            assert_eq!(found, [work, listeners], "{cause:?}");
        }
    }
}
