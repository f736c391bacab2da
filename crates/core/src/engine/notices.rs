//! The node's duty to deliver notices, at least once each, with a back-off.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

use super::channels::Channels;
use super::state::EngineState;
use crate::event::Event;
use crate::notice::{Notice, NoticeAttempt, NoticeSender, next_attempt};
use crate::repository::{AttemptEnd, RepositoryError};

/// The time that a notice stays with the node that delivers it: longer than any delivery takes.
const KEEP: Duration = Duration::from_secs(60);
/// Notices of a channel that are delivered at the same moment.
const AT_ONCE: u32 = 8;
/// Notices of a channel that nobody has whose attempt fails at the same moment.
const ORPHANS_AT_ONCE: u32 = 100;
/// Time between two comparisons of the channels of all services.
const COMPARE_EVERY: Duration = Duration::from_secs(60);
/// Longest wait after a failure of the store.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Delivers what is due again and again, until the node closes. A node without channels sees to it that others lose
/// nothing, less often.
pub(super) async fn keep(state: Arc<EngineState>, sender: Option<Arc<dyn NoticeSender>>) {
    let mut channels = Channels::default();
    let mut next_comparison = Instant::now() + if sender.is_some() { Duration::ZERO } else { COMPARE_EVERY };
    let every = if sender.is_some() { state.config.poll_every } else { COMPARE_EVERY };
    let mut pause = every;
    loop {
        let done = wake(&state, sender.as_deref(), &mut channels, &mut next_comparison).await;
        pause = match done {
            // There may be more.
            Ok(true) => Duration::ZERO,
            Ok(false) => every,
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

async fn wake(
    state: &EngineState,
    sender: Option<&dyn NoticeSender>,
    channels: &mut Channels,
    next_comparison: &mut Instant,
) -> Result<bool, RepositoryError> {
    if *next_comparison <= Instant::now() {
        let orphans = channels.compare(state, sender).await?;
        fail_orphans(state, orphans).await?;
        *next_comparison = Instant::now() + COMPARE_EVERY;
    }
    match sender {
        Some(sender) => deliver(state, sender).await,
        None => Ok(false),
    }
}

/// Lets the attempts fail of notices whose channel no service has that lives: their log says so, they wait for one that
/// has it, and are given up like all others.
async fn fail_orphans(state: &EngineState, channels: Vec<String>) -> Result<(), RepositoryError> {
    if channels.is_empty() {
        return Ok(());
    }
    let now = state.repository.agenda().await?.now;
    for notice in state.repository.claim_notices(channels, now, KEEP, ORPHANS_AT_ONCE).await? {
        let problem = format!("no service that lives has a section [notices.{}] in its settings", notice.channel);
        end_attempt(state, &notice, Some(problem), now).await?;
    }
    Ok(())
}

/// Delivers what is due now; `true` where there was any.
async fn deliver(state: &EngineState, sender: &dyn NoticeSender) -> Result<bool, RepositoryError> {
    let agenda = state.repository.agenda().await?;
    if agenda.next_notice.is_none_or(|next| next > agenda.now) {
        return Ok(false);
    }
    let names = sender.channels().into_iter().map(|channel| channel.name).collect();
    let notices = state.repository.claim_notices(names, agenda.now, KEEP, AT_ONCE).await?;
    let ended = join_all(notices.iter().map(|notice| async {
        let error = sender.deliver(notice).await.err();
        end_attempt(state, notice, error, agenda.now).await
    }));
    let ended = ended.await;
    let any = !ended.is_empty();
    ended.into_iter().collect::<Result<(), _>>()?;
    Ok(any)
}

/// Records the end of an attempt, and when the next one is.
async fn end_attempt(
    state: &EngineState,
    notice: &Notice,
    error: Option<String>,
    now: Timestamp,
) -> Result<(), RepositoryError> {
    let next = error.as_ref().and_then(|_| next_attempt(notice.create_time, notice.attempts, now));
    if let Some(problem) = &error {
        state.events.emit(&Event::NoticeFailed { notice, problem, gives_up: next.is_none() });
    }
    let attempt = NoticeAttempt { time: now, node: state.config.node.name.clone(), error };
    state.repository.end_attempt(AttemptEnd { notice_id: notice.id, attempt, next_attempt: next }).await
}
