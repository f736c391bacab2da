//! Asks a decider on a thread of its own, and sees to it that a stop or a time limit ends the wait.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::grace::{Ending, within_grace};
use super::running::{Handle, StopCause};
use super::state::EngineState;
use super::time_limit::{Bound, exceeded, first};
use crate::author_thread::{self, panic_message};
use crate::event::{Event, Limited};
use crate::execution::cause_chain;
use crate::job::DecisionFacts;
use crate::job::flow::Decider;

/// Time between two reports of a decider that does not answer.
const REPORT_EVERY: Duration = Duration::from_secs(30);

/// The answer of a decider.
pub(super) enum Decided {
    Code(String),
    /// The reason for which the execution fails.
    Failed(String),
    /// The sentence for the time limit that it exceeded.
    OverTime(String),
    /// The sentence for the stop that came meanwhile.
    Stopped(String),
    /// The execution is not this node's any more.
    Lost,
}

/// Asks a decider, which `part` bounds besides its own limit. One that does not answer in time is left behind: it can
/// change nothing.
pub(super) async fn decide(
    state: &EngineState,
    (name, decider): (&str, &Decider),
    facts: DecisionFacts,
    handle: &Handle,
    part: Option<Bound>,
) -> Decided {
    let failed = |message: String| Decided::Failed(format!("decider '{name}' failed: {message}"));
    let execution_id = handle.lease.execution_id();
    let own = Bound::new(Limited::Decider, decider.time_limit(), Duration::ZERO, handle.clock.now());
    let bound = first(part.into_iter().chain([own]));
    let decider = decider.clone();
    let thread = format!("decider-{execution_id}");
    let mut answer = match author_thread::start(thread, (), move |_| decider.decide(&facts)) {
        Ok(answer) => answer,
        Err(error) => return failed(format!("no thread could be started for it: {error}")),
    };
    let answered = tokio::select! {
        biased;
        answered = &mut answer => Some(answered),
        () = handle.stop.cancelled() => within_grace(state, handle, Ending::Work, &mut answer).await,
        bound = exceeded(bound, &handle.clock) => {
            // It hears of no stop, so it has no grace.
            bound.report(&state.events, execution_id, name);
            state.events.emit(&Event::DeciderLeftBehind { execution_id, decider: name });
            return Decided::OverTime(over_time(name, &bound));
        }
        never = report_again_and_again(state, handle, name) => match never {},
    };
    if handle.cause().is_some_and(StopCause::is_loss) {
        return Decided::Lost;
    }
    match answered {
        None => {
            state.events.emit(&Event::DeciderLeftBehind { execution_id, decider: name });
            Decided::Stopped(format!("stopped in decider '{name}', which did not answer in time and was left behind"))
        }
        Some(Err(_)) => failed("its thread died".to_owned()),
        Some(Ok(Err(panic))) => failed(panic_message(panic.as_ref())),
        Some(Ok(Ok(Err(error)))) => failed(cause_chain(error.as_ref())),
        Some(Ok(Ok(Ok(code)))) if code.is_empty() => failed("it returned an empty exit code".to_owned()),
        Some(Ok(Ok(Ok(code)))) => Decided::Code(code),
    }
}

/// The sentence for a decider that was left behind because of a time limit.
fn over_time(name: &str, bound: &Bound) -> String {
    match bound.limited {
        Limited::Decider => format!("decider '{name}' {} and was left behind", bound.message()),
        _ => format!("{}; decider '{name}' was left behind", bound.message()),
    }
}

/// Reports a decider that does not answer, as long as nobody ends this.
async fn report_again_and_again(state: &EngineState, handle: &Handle, decider: &str) -> std::convert::Infallible {
    let (execution_id, asked) = (handle.lease.execution_id(), Instant::now());
    let mut ticks = tokio::time::interval_at(asked + REPORT_EVERY, REPORT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        state.events.emit(&Event::DecisionPending { execution_id, decider, waited: asked.elapsed() });
    }
}
