//! The node's duty to see to schedules: it wakes at the next instant, and polls in between.

use std::sync::Arc;
use std::time::Duration;

use super::scheduler::{Scheduler, SchedulerError};
use super::state::EngineState;
use crate::repository::Agenda;

/// Longest wait after a failure of the store.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Fires what is due again and again, until the node closes.
pub(super) async fn keep(state: Arc<EngineState>, scheduler: Scheduler) {
    let mut failures = 0_u32;
    let mut is_applied = false;
    loop {
        let done = wake(&scheduler, &mut is_applied).await;
        let pause = match done {
            Ok(agenda) => {
                failures = 0;
                until_next(&agenda).min(state.config.poll_every)
            }
            Err(error) => {
                failures += 1;
                if let SchedulerError::Repository(error) = &error {
                    state.report_trouble("see to schedules", error);
                } else {
                    let problem = error.to_string();
                    state.events.emit(&crate::event::Event::ScheduleTrouble { name: "", problem: &problem });
                }
                (state.config.poll_every * 2_u32.saturating_pow(failures.min(5))).min(LONGEST_PAUSE)
            }
        };
        tokio::select! {
            biased;
            () = state.local.closing.cancelled() => return,
            () = state.local.schedules.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn wake(scheduler: &Scheduler, is_applied: &mut bool) -> Result<Agenda, SchedulerError> {
    if !*is_applied {
        scheduler.apply().await?;
        *is_applied = true;
    }
    let agenda = scheduler.agenda().await?;
    scheduler.tick(&agenda).await?;
    // What was just done has another first moment.
    scheduler.agenda().await
}

/// The time from the store's present to the first moment at which there is something to do; a moment that has passed
/// belongs to somebody else, or waits for the next poll.
fn until_next(agenda: &Agenda) -> Duration {
    let moments = [agenda.next_fire, agenda.next_deadline, agenda.next_resume];
    let next = moments.into_iter().flatten().filter(|next| *next > agenda.now).min();
    next.map_or(Duration::MAX, |next| next.duration_since(agenda.now).unsigned_abs())
}
