//! Notifications to systemd, where it has started the service with `Type=notify`: ready, alive, stopping. Elsewhere
//! they do nothing.

use std::convert::Infallible;
use std::future::pending;

use sd_notify::NotifyState;
use tracing::warn;

/// The service answers.
pub(crate) fn ready() {
    send(&[NotifyState::Ready]);
}

/// The service shuts down.
pub(crate) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// Notifies the watchdog for as long as this is polled, twice in its time: where the runtime hangs, systemd starts the
/// service again. Never ready.
pub(crate) async fn keep_alive() -> Infallible {
    let Some(timeout) = sd_notify::watchdog_enabled().filter(|timeout| !timeout.is_zero()) else {
        return pending().await;
    };
    let mut ticks = tokio::time::interval(timeout / 2);
    loop {
        ticks.tick().await;
        send(&[NotifyState::Watchdog]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd cannot be notified");
    }
}
