//! The flow of a job as a graph, with the states of an execution where it is one's.

use std::collections::BTreeMap;

use oxbatch_core::execution::{ExecutionId, FlowEntry};
use oxbatch_core::job::{Element, ElementState, FinallyStep, FinallyWhen, Way, WayEnd};
use oxbatch_core::{Job, StepExecution};
use serde::Serialize;
use utoipa::ToSchema;

use super::StatusView;

/// The elements of a job's flow and the ways between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Graph)]
pub struct GraphView {
    pub(crate) job_name: String,
    /// The execution whose states are shown; null for the definition alone.
    #[schema(minimum = 1, required)]
    pub(crate) job_execution_id: Option<i64>,
    /// The steps and deciders in the order of their definition; the first is the start.
    pub(crate) elements: Vec<ElementView>,
    /// The ways out of the elements, those of an element in the order in which they are tried.
    pub(crate) ways: Vec<WayView>,
    /// The steps that run at the end of each execution that ends COMPLETED or FAILED.
    pub(crate) finally: Vec<FinallyView>,
}

/// An element of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = GraphElement)]
pub struct ElementView {
    /// The name; within a flow it begins with the flow's: `flow/step`.
    pub(crate) name: String,
    pub(crate) kind: ElementKindView,
    /// The number of rounds in which it may be reached; null for an element that is in no cycle.
    #[schema(minimum = 1, required)]
    pub(crate) at_most: Option<u32>,
    /// The status of the last attempt; null when it was not reached.
    #[schema(required)]
    pub(crate) status: Option<StatusView>,
    /// The number of rounds in which it was reached.
    pub(crate) iterations: u32,
}

/// The kind of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = GraphElementKind)]
pub enum ElementKindView {
    /// A task or chunk step.
    Step,
    /// A function that chooses the way.
    Decider,
}

/// A way out of an element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = GraphWay)]
pub struct WayView {
    /// The element.
    pub(crate) from: String,
    /// The pattern of the exit codes that take it; null for the default way of a COMPLETED element.
    #[schema(required)]
    pub(crate) on: Option<String>,
    pub(crate) end: WayEndView,
    /// The element to which it leads, or at which a restart goes on; null at an end.
    #[schema(required)]
    pub(crate) to: Option<String>,
    /// The exit code of the execution, where the way names one.
    #[schema(required)]
    pub(crate) exit_code: Option<String>,
}

/// The end of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = GraphWayEnd)]
pub enum WayEndView {
    /// Another element.
    Element,
    /// The execution is COMPLETED.
    Completed,
    /// The execution is FAILED.
    Failed,
    /// The execution is STOPPED.
    Stopped,
}

/// A step that runs at the end of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = GraphFinally)]
pub struct FinallyView {
    /// The name of the step.
    pub(crate) name: String,
    pub(crate) when: FinallyWhenView,
}

/// The results of the main part after which a step at the end runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = GraphFinallyWhen)]
pub enum FinallyWhenView {
    /// Both.
    Always,
    /// COMPLETED alone.
    Completed,
    /// FAILED alone.
    Failed,
}

/// The states of the elements of an execution: by the flow history, and by the steps that the execution itself has run.
pub fn states(history: &[FlowEntry], steps: &[StepExecution]) -> BTreeMap<String, ElementState> {
    let ended = history.iter().map(|entry| (&entry.element, entry.status, entry.iteration));
    let ran = steps.iter().map(|step| (&step.step_name, step.status, step.iteration));
    let mut states: BTreeMap<String, ElementState> = BTreeMap::new();
    for (name, status, iterations) in ended.chain(ran) {
        let state = ElementState { status, iterations };
        match states.get_mut(name) {
            Some(known) if known.iterations > iterations => {}
            Some(known) => *known = state,
            None => drop(states.insert(name.clone(), state)),
        }
    }
    states
}

impl GraphView {
    /// The graph of a job; with the states of an execution, where it is one's.
    pub fn new(job: &Job, execution: Option<ExecutionId>, states: &BTreeMap<String, ElementState>) -> Self {
        let flow = job.flow();
        Self {
            job_name: job.name().to_owned(),
            job_execution_id: execution.map(|id| id.0),
            elements: flow.elements().iter().map(|element| ElementView::new(element, states)).collect(),
            ways: flow.ways().into_iter().map(Into::into).collect(),
            finally: flow.finally().iter().map(Into::into).collect(),
        }
    }
}

impl ElementView {
    fn new(element: &Element, states: &BTreeMap<String, ElementState>) -> Self {
        let state = states.get(element.name());
        Self {
            name: element.name().to_owned(),
            kind: if element.step().is_some() { ElementKindView::Step } else { ElementKindView::Decider },
            at_most: element.at_most(),
            status: state.map(|state| state.status.into()),
            iterations: state.map_or(0, |state| state.iterations),
        }
    }
}

impl From<&FinallyStep> for FinallyView {
    fn from(one: &FinallyStep) -> Self {
        let when = match one.when() {
            FinallyWhen::Always => FinallyWhenView::Always,
            FinallyWhen::Completed => FinallyWhenView::Completed,
            FinallyWhen::Failed => FinallyWhenView::Failed,
        };
        Self { name: one.step().name().to_owned(), when }
    }
}

impl From<Way> for WayView {
    fn from(Way { from, on, to }: Way) -> Self {
        let (end, to, exit_code) = match to {
            WayEnd::Element(name) => (WayEndView::Element, Some(name), None),
            WayEnd::Completed { exit_code } => (WayEndView::Completed, None, exit_code),
            WayEnd::Failed { exit_code } => (WayEndView::Failed, None, exit_code),
            WayEnd::Stopped { exit_code, restart_at } => (WayEndView::Stopped, restart_at, exit_code),
        };
        Self { from, on, end, to, exit_code }
    }
}
