//! Asks a decider on a thread of its own, and sees to it that a stop ends the wait.

use std::time::Duration;

use tokio::time::Instant;

use super::run_step::LEAVE_BEHIND_AFTER;
use super::running::{Handle, StopCause};
use super::state::EngineState;
use crate::author_thread::{self, panic_message};
use crate::execution::cause_chain;
use crate::job::DecisionFacts;
use crate::job::flow::Decider;

/// The answer of a decider.
pub(super) enum Decided {
    Code(String),
    /// The reason for which the execution fails.
    Failed(String),
    /// The sentence for the stop that came meanwhile.
    Stopped(String),
    /// The execution is not this node's any more.
    Lost,
}

/// Asks a decider. One that does not answer within the grace of a stop is left behind: it can change nothing.
pub(super) async fn decide(
    state: &EngineState,
    name: &str,
    decider: &Decider,
    facts: DecisionFacts,
    handle: &Handle,
) -> Decided {
    let failed = |message: String| Decided::Failed(format!("decider '{name}' failed: {message}"));
    let decider = decider.clone();
    let thread = format!("decider-{}", handle.lease.execution_id());
    let mut answer = match author_thread::start(thread, (), move |_| decider.decide(&facts)) {
        Ok(answer) => answer,
        Err(error) => return failed(format!("no thread could be started for it: {error}")),
    };
    let answered = tokio::select! {
        biased;
        answered = &mut answer => Some(answered),
        () = handle.stop.cancelled() => {
            let deadline = Instant::now() + grace(state, handle);
            tokio::time::timeout_at(deadline, &mut answer).await.ok()
        }
    };
    if handle.cause().is_some_and(StopCause::is_loss) {
        return Decided::Lost;
    }
    match answered {
        None => {
            Decided::Stopped(format!("stopped in decider '{name}', which did not answer in time and was left behind"))
        }
        Some(Err(_)) => failed("its thread died".to_owned()),
        Some(Ok(Err(panic))) => failed(panic_message(panic.as_ref())),
        Some(Ok(Ok(Err(error)))) => failed(cause_chain(error.as_ref())),
        Some(Ok(Ok(Ok(code)))) if code.is_empty() => failed("it returned an empty exit code".to_owned()),
        Some(Ok(Ok(Ok(code)))) => Decided::Code(code),
    }
}

/// The time that a decider has to answer once a stop was asked for.
fn grace(state: &EngineState, handle: &Handle) -> Duration {
    match handle.cause() {
        Some(cause) if cause.is_loss() => LEAVE_BEHIND_AFTER,
        Some(StopCause::Shutdown) => state.config.shutdown_timeout,
        _ => state.config.stop_grace,
    }
}
