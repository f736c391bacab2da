//! The way of one execution through the graph: past what earlier executions have finished, then on from there.

use std::collections::HashMap;

use super::decider::LastElement;
use super::graph::{Body, FlowGraph, Patterns};
use super::next::{Move, default_way, next};
use crate::execution::{ExecutionId, FlowEntry, Status, StepExecutionId, Taken};

/// The message of an execution in which nothing had to be run.
const NOTHING_RUN: &str =
    "every step was already complete in an earlier execution, nothing was run; launch with force to run them again";

/// The walk of an execution. Pure: the engine carries its visits out and reports how they ended.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    graph: &'a FlowGraph,
    patterns: Patterns,
    keeps_history: bool,
    /// The flow history of the earlier executions since the last forced launch.
    past: Vec<FlowEntry>,
    at: At,
    /// Number of elements that have ended on the way.
    position: u32,
    /// Rounds by element.
    rounds: HashMap<usize, u32>,
    /// True if a step was run anew that an earlier execution had finished.
    has_rerun: bool,
    /// True if a step was run or a decision taken.
    has_run: bool,
    last: Option<LastElement>,
}

#[derive(Debug, Clone)]
enum At {
    Element(usize),
    Over(WalkEnd),
}

/// The end of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WalkEnd {
    Completed { code: EndCode, message: Option<String> },
    Failed { code: EndCode, message: String },
    Stopped { code: EndCode, message: String },
}

/// The exit code of an execution at the end of its walk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EndCode {
    /// The code that the transition names.
    pub(crate) named: Option<String>,
    /// The code of the element that ended last.
    pub(crate) own: Option<String>,
}

/// The next thing to do on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Visit {
    /// A step may have to run.
    Step(Stop),
    /// A decision is to be taken.
    Decide(Stop),
    /// An earlier execution has finished the element. A new way behind it is recorded before it is followed.
    Pass(Decision),
    /// The way is over.
    Over(WalkEnd),
}

/// A stop on the way: an element, and the number of the round in which it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) element: usize,
    pub(crate) iteration: u32,
}

/// The end of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// COMPLETED or FAILED.
    pub(crate) status: Status,
    pub(crate) exit_code: String,
    pub(crate) message: Option<String>,
    /// True if it was run now, and not by an earlier execution.
    pub(crate) has_run: bool,
}

/// The way behind an element that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) stop: Stop,
    ended: Ended,
    taken: Move,
    /// True if it is to be recorded.
    pub(crate) is_new: bool,
    /// True if the history behind it is void.
    pub(crate) discards_later: bool,
}

impl Decision {
    /// The end of the element.
    pub(crate) fn ended(&self) -> &Ended {
        &self.ended
    }
}

impl<'a> Walk<'a> {
    /// A walk from the start, with the flow history of an instance in its order.
    pub(crate) fn new(graph: &'a FlowGraph, patterns: Patterns, past: Vec<FlowEntry>) -> Self {
        Self {
            graph,
            patterns,
            keeps_history: graph.keeps_history(),
            past,
            at: At::Element(0),
            position: 0,
            rounds: HashMap::new(),
            has_rerun: false,
            has_run: false,
            last: None,
        }
    }

    /// The element that ended last.
    pub(crate) fn last(&self) -> Option<&LastElement> {
        self.last.as_ref()
    }

    /// The next thing to do.
    pub(crate) fn visit(&self) -> Visit {
        let element = match &self.at {
            At::Element(element) => *element,
            At::Over(end) => return Visit::Over(end.clone()),
        };
        let stop = Stop { element, iteration: self.rounds.get(&element).map_or(1, |rounds| rounds + 1) };
        let of = self.graph.element(element);
        if let Some(bound) = of.at_most()
            && stop.iteration > bound
        {
            let message = format!("'{}' is reached again after {bound} rounds, which is its bound", of.name());
            return Visit::Over(WalkEnd::Failed { code: EndCode::default(), message });
        }
        let known = self.known(stop);
        match (of.body(), known) {
            (Body::Step(_), None) => Visit::Step(stop),
            (Body::Step(step), Some(known)) if step.reruns_if_complete() || is_tried_again(known) => Visit::Step(stop),
            (Body::Decider(_), None) => Visit::Decide(stop),
            (Body::Decider(_), Some(_)) if self.has_rerun => Visit::Decide(stop),
            (_, Some(known)) => Visit::Pass(self.pass(stop, known)),
        }
    }

    /// The entry of the history for an element at hand.
    pub(crate) fn known(&self, stop: Stop) -> Option<&FlowEntry> {
        let entry = self.past.get(self.position as usize)?;
        let of = self.graph.element(stop.element);
        let is_it = entry.element == of.name()
            && entry.iteration == stop.iteration
            && entry.step_id.is_some() == of.step().is_some();
        is_it.then_some(entry)
    }

    /// The way behind an element that an earlier execution has finished. One that ended the execution is not repeated:
    /// the exit code is matched anew.
    fn pass(&self, stop: Stop, known: &FlowEntry) -> Decision {
        let ended = Ended { status: known.status, exit_code: known.exit_code.clone(), message: None, has_run: false };
        let anew = || next(self.graph, &self.patterns, stop.element, known.status, &known.exit_code);
        let there = known.taken.target().and_then(|target| self.graph.index_of(target));
        let taken = match (&known.taken, there) {
            (Taken::To { .. } | Taken::Stop { .. }, Some(target)) => Move::To(target),
            (Taken::Stop { restart_at: None, .. }, None) => match anew() {
                Move::Stop { restart_at: Some(target), .. } => Move::To(target),
                Move::Stop { restart_at: None, .. } => default_way(self.graph, stop.element),
                other => other,
            },
            _ => anew(),
        };
        // The way on from a stop is found again at each restart.
        let is_known = match (&known.taken, &taken) {
            (Taken::Stop { .. }, Move::To(_)) => true,
            (known, taken) => self.stored(taken).as_ref() == Some(known),
        };
        Decision {
            stop,
            ended,
            taken,
            is_new: !is_known,
            discards_later: !is_known && self.past.len() > self.position as usize + 1,
        }
    }

    /// The way behind an element that has ended now, or that was found complete although the history does not know it.
    pub(crate) fn decide(&self, stop: Stop, ended: Ended) -> Decision {
        let known = self.known(stop);
        let as_before = known.filter(|known| known.status == ended.status && known.exit_code == ended.exit_code);
        let known_target = as_before.filter(|known| !known.taken.is_end()).and_then(|known| known.taken.target());
        let taken = match known_target.and_then(|target| self.graph.index_of(target)) {
            Some(target) => Move::To(target),
            None => next(self.graph, &self.patterns, stop.element, ended.status, &ended.exit_code),
        };
        let later = self.past.len() > self.position as usize + usize::from(known.is_some());
        Decision {
            stop,
            ended,
            is_new: self.keeps_history && self.stored(&taken).is_some(),
            discards_later: later && known_target.is_none(),
            taken,
        }
    }

    /// Goes the way that was decided upon, and recorded.
    pub(crate) fn follow(&mut self, decision: Decision) {
        let at = self.at_behind(&decision);
        let Decision { stop, ended, .. } = decision;
        if ended.has_run {
            self.has_rerun |= self.known(stop).is_some();
            self.has_run = true;
        }
        if decision.discards_later {
            self.past.truncate(self.position as usize + 1);
        }
        self.position += 1;
        self.rounds.insert(stop.element, stop.iteration);
        let name = self.graph.element(stop.element).name().to_owned();
        self.at = at;
        self.last = Some(LastElement { name, status: ended.status, exit_code: ended.exit_code });
    }

    /// The end to which a decision leads; `None` where it leads on.
    pub(crate) fn end_behind(&self, decision: &Decision) -> Option<WalkEnd> {
        match self.at_behind(decision) {
            At::Element(_) => None,
            At::Over(end) => Some(end),
        }
    }

    fn at_behind(&self, decision: &Decision) -> At {
        match decision.taken.clone() {
            Move::To(element) => At::Element(element),
            end => At::Over(self.end(decision.stop, &decision.ended, end)),
        }
    }

    fn end(&self, stop: Stop, ended: &Ended, taken: Move) -> WalkEnd {
        let has_run = self.has_run || ended.has_run;
        let element = self.graph.element(stop.element);
        let (name, code) = (element.name(), &ended.exit_code);
        let is_decider = element.step().is_none();
        // An exit code of its own; the name of the status is none.
        let own = |status| {
            let is_own = is_decider || (ended.status == status && code != status.as_str());
            is_own.then(|| code.clone())
        };
        let again = if has_run { "" } else { ", as before; launch with force to begin anew" };
        match taken {
            Move::To(_) => WalkEnd::Completed { code: EndCode::default(), message: None },
            Move::End { exit_code: named } => {
                let code = EndCode { named, own: own(Status::Completed) };
                WalkEnd::Completed { code, message: (!has_run).then(|| NOTHING_RUN.to_owned()) }
            }
            Move::Fail { exit_code: named } => {
                let message = match &ended.message {
                    Some(message) if ended.status == Status::Failed => {
                        format!("step '{name}' failed: {message}{again}")
                    }
                    _ => format!("'{name}' ended with exit code '{code}', which fails the job{again}"),
                };
                WalkEnd::Failed { code: EndCode { named, own: own(Status::Failed) }, message }
            }
            Move::Unhandled => {
                let message = ended.message.as_deref().unwrap_or("no message");
                let code = EndCode { named: None, own: own(Status::Failed) };
                WalkEnd::Failed { code, message: format!("step '{name}' failed: {message}") }
            }
            Move::Unmatched { of, patterns } => {
                let patterns = patterns.join("', '");
                let message =
                    format!("'{name}' ended with exit code '{code}', which no transition of '{of}' fits: '{patterns}'");
                WalkEnd::Failed { code: EndCode::default(), message }
            }
            Move::Stop { exit_code: named, restart_at } => {
                let own = is_decider.then(|| code.clone());
                let restart = match restart_at {
                    Some(target) => format!("; a restart goes on at '{}'", self.graph.element(target).name()),
                    None => String::new(),
                };
                let message = format!("'{name}' ended with exit code '{code}', which stops the job{restart}{again}");
                WalkEnd::Stopped { code: EndCode { named, own }, message }
            }
        }
    }

    /// The transition as it is stored; `None` for a failure that leaves the element unfinished.
    fn stored(&self, taken: &Move) -> Option<Taken> {
        let name = |element: usize| self.graph.element(element).name().to_owned();
        Some(match taken.clone() {
            Move::To(element) => Taken::To { element: name(element) },
            Move::End { exit_code } => Taken::End { exit_code },
            Move::Fail { exit_code } => Taken::Fail { exit_code },
            Move::Stop { exit_code, restart_at } => Taken::Stop { exit_code, restart_at: restart_at.map(name) },
            Move::Unhandled | Move::Unmatched { .. } => return None,
        })
    }

    /// The entry of the history for a decision that is to be recorded.
    pub(crate) fn entry(
        &self,
        decision: &Decision,
        execution_id: ExecutionId,
        step_id: Option<StepExecutionId>,
    ) -> Option<FlowEntry> {
        let taken = self.stored(&decision.taken).filter(|_| decision.is_new)?;
        let element = self.graph.element(decision.stop.element);
        Some(FlowEntry {
            position: self.position,
            element: element.name().to_owned(),
            iteration: decision.stop.iteration,
            execution_id,
            step_id: step_id.or_else(|| self.known(decision.stop).and_then(|known| known.step_id)),
            status: decision.ended.status,
            exit_code: decision.ended.exit_code.clone(),
            taken,
        })
    }
}

/// A failure that ended the execution is tried again, unless the restart was given another way.
fn is_tried_again(known: &FlowEntry) -> bool {
    known.status == Status::Failed && matches!(known.taken, Taken::Fail { .. } | Taken::Stop { restart_at: None, .. })
}
