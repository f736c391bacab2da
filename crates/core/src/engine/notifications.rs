//! Notifications of the store: hints of what other nodes do, each of which only shortens the wait for the next poll.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;

use super::state::EngineState;
use crate::repository::Notification;

/// Listens to the store until the node closes.
pub(super) async fn listen(state: Arc<EngineState>) {
    let Some(mut notifications) = state.repository.listen() else { return };
    let local = &state.local;
    loop {
        let received = tokio::select! {
            biased;
            () = local.closing.cancelled() => return,
            received = notifications.recv() => received,
        };
        match received {
            Ok(Notification::Work) => {
                local.work.notify_one();
                local.changes.notify_new();
            }
            Ok(Notification::StopRequested(id)) if local.running.has(id) => local.renew.notify_one(),
            // What waits can also be stopped, and then it has ended.
            Ok(Notification::StopRequested(id) | Notification::Started(id)) => local.changes.notify(id),
            Ok(Notification::Ended(id)) => {
                local.changes.notify(id);
                state.wake_for_limits();
            }
            Ok(Notification::Drain) => local.renew.notify_one(),
            Ok(Notification::Missed) | Err(RecvError::Lagged(_)) => {
                local.work.notify_one();
                local.renew.notify_one();
                local.changes.notify_all();
            }
            Err(RecvError::Closed) => return,
        }
    }
}
