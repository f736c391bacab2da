//! The way out of an element that has ended: a pure function of the graph, the status and the exit code.

use super::graph::{FlowGraph, Level, Next, Patterns, Target};
use crate::execution::Status;

/// A move of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Move {
    /// To an element, by its index.
    To(usize),
    /// COMPLETED.
    End { exit_code: Option<String> },
    /// FAILED by a transition.
    Fail { exit_code: Option<String> },
    /// FAILED, since the element is, and no transition has caught it.
    Unhandled,
    /// FAILED, since the transitions are a closed list, and none fits.
    Unmatched { of: String, patterns: Vec<String> },
    /// STOPPED by a transition.
    Stop { exit_code: Option<String>, restart_at: Option<usize> },
}

/// The move behind an element that has ended by itself: COMPLETED or FAILED, with an exit code.
///
/// The transitions of the element decide, then those of the flow that it leaves. What none of them catches is decided
/// by the status.
pub(crate) fn next(graph: &FlowGraph, patterns: &Patterns, element: usize, status: Status, exit_code: &str) -> Move {
    for (level, exits) in graph.levels(element) {
        if let Some(index) = patterns.first_fit(element, level, exit_code) {
            return to(&exits.transitions[index].target);
        }
        if exits.is_closed {
            let of = match level {
                Level::Element => graph.elements[element].name.clone(),
                Level::Group(group) => graph.groups[group].name.clone(),
            };
            return Move::Unmatched { of, patterns: patterns.of(element, level).to_vec() };
        }
        if status == Status::Completed {
            match exits.next {
                Next::Element(next) => return Move::To(next),
                Next::Ends => return Move::End { exit_code: None },
                Next::Leaves => {}
            }
        }
    }
    if status == Status::Completed { Move::End { exit_code: None } } else { Move::Unhandled }
}

/// The move behind an element by the default way alone: where a restart goes on behind a `stop` that names no element.
pub(crate) fn default_way(graph: &FlowGraph, element: usize) -> Move {
    for (_, exits) in graph.levels(element) {
        match exits.next {
            Next::Element(next) => return Move::To(next),
            Next::Ends => break,
            Next::Leaves => {}
        }
    }
    Move::End { exit_code: None }
}

fn to(target: &Target) -> Move {
    match target.clone() {
        Target::Element(index) => Move::To(index),
        Target::End { exit_code } => Move::End { exit_code },
        Target::Fail { exit_code } => Move::Fail { exit_code },
        Target::Stop { exit_code, restart_at } => Move::Stop { exit_code, restart_at },
    }
}
