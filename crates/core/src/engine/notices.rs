//! The node's duty to deliver notices, at least once each, with a back-off.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::state::EngineState;
use crate::event::Event;
use crate::notice::{Notice, NoticeAttempt, NoticeSender, next_attempt};
use crate::repository::{AttemptEnd, RepositoryError};

/// The time that a notice stays with the node that delivers it: longer than any delivery takes.
const KEEP: Duration = Duration::from_secs(60);
/// Notices of a channel that are delivered at the same moment.
const AT_ONCE: u32 = 8;
/// Longest wait after a failure of the store.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Delivers what is due again and again, until the node closes.
pub(super) async fn keep(state: Arc<EngineState>, sender: Arc<dyn NoticeSender>) {
    let mut are_set = false;
    let mut pause = state.config.poll_every;
    loop {
        let done = deliver(&state, sender.as_ref(), &mut are_set).await;
        pause = match done {
            // There may be more.
            Ok(true) => Duration::ZERO,
            Ok(false) => state.config.poll_every,
            Err(error) => {
                state.report_trouble("deliver notices", &error);
                (pause.max(state.config.poll_every) * 2).min(LONGEST_PAUSE)
            }
        };
        tokio::select! {
            biased;
            () = state.local.closing.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Delivers what is due now; `true` where there was any.
async fn deliver(state: &EngineState, sender: &dyn NoticeSender, are_set: &mut bool) -> Result<bool, RepositoryError> {
    let channels = sender.channels();
    if !*are_set {
        state.repository.set_notice_channels(channels.clone()).await?;
        *are_set = true;
    }
    let agenda = state.repository.agenda().await?;
    if agenda.next_notice.is_none_or(|next| next > agenda.now) {
        return Ok(false);
    }
    let names = channels.into_iter().map(|channel| channel.name).collect();
    let notices = state.repository.claim_notices(names, agenda.now, KEEP, AT_ONCE).await?;
    let ended = join_all(notices.iter().map(|notice| deliver_one(state, sender, notice, agenda.now))).await;
    let any = !ended.is_empty();
    ended.into_iter().collect::<Result<(), _>>()?;
    Ok(any)
}

async fn deliver_one(
    state: &EngineState,
    sender: &dyn NoticeSender,
    notice: &Notice,
    now: Timestamp,
) -> Result<(), RepositoryError> {
    let error = sender.deliver(notice).await.err();
    let next = error.as_ref().and_then(|_| next_attempt(notice.create_time, notice.attempts, now));
    if let Some(problem) = &error {
        state.events.emit(&Event::NoticeFailed { notice, problem, gives_up: next.is_none() });
    }
    let attempt = NoticeAttempt { time: now, node: state.config.node.name.clone(), error };
    state.repository.end_attempt(AttemptEnd { notice_id: notice.id, attempt, next_attempt: next }).await
}
