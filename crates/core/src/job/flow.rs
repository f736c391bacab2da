//! The flow of a job: its elements, the transitions between them, and what runs at its end.

mod check;
mod decider;
mod draft;
mod graph;
mod mermaid;
mod next;
mod pattern;
#[cfg(test)]
mod tests;
mod walk;
mod ways;

pub(super) use check::graph;
pub(crate) use decider::Decider;
pub use decider::{DEFAULT_DECIDER_TIME_LIMIT, DecisionFacts, LastElement};
pub(super) use draft::{Elements, HasElements, flow_methods};
pub use draft::{Flow, On};
pub(crate) use graph::Body;
pub use graph::{Element, FinallyStep, FinallyWhen, FlowGraph};
pub use mermaid::ElementState;
pub(super) use pattern::{covers, fits};
pub(crate) use walk::{Decision, EndCode, Ended, Stop, Visit, Walk, WalkEnd};
pub use ways::{Way, WayEnd};
