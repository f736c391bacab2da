//! The graph of a flow, with all names resolved.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use super::Decider;
use super::pattern::fits;
use crate::author_thread::panic_message;
use crate::execution::{JobParameters, Status};
use crate::step::Step;

/// The elements of a job and the ways between them. Built with the job; see [`JobBuilder`](crate::JobBuilder).
#[derive(Debug, Clone)]
pub struct FlowGraph {
    /// In the order of their definition; the first is the start.
    pub(super) elements: Vec<Element>,
    pub(super) groups: Vec<Group>,
    pub(super) finally: Vec<FinallyStep>,
    index: HashMap<String, usize>,
}

/// A step or a decider of a flow.
#[derive(Debug, Clone)]
pub struct Element {
    pub(super) name: String,
    pub(super) body: Body,
    /// The flow in which it stands, by its index.
    pub(super) group: Option<usize>,
    pub(super) exits: Exits,
    pub(super) at_most: Option<u32>,
}

/// The work of an element.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Step(Step),
    Decider(Decider),
}

/// A named flow within a job.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) parent: Option<usize>,
    pub(super) exits: Exits,
}

/// The ways out of an element or a flow.
#[derive(Debug, Clone)]
pub(super) struct Exits {
    pub(super) transitions: Vec<Transition>,
    /// True if an exit code that fits none of the transitions is an error.
    pub(super) is_closed: bool,
    pub(super) next: Next,
}

/// The way of a COMPLETED element that no transition has caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Element(usize),
    /// Out of the flow in which it stands, or to the end of the job.
    Leaves,
    /// To the end of the job, also from within a flow.
    Ends,
}

/// A transition: the first whose pattern fits decides.
#[derive(Debug, Clone)]
pub(super) struct Transition {
    pub(super) pattern: Pattern,
    pub(super) target: Target,
}

type GivenPattern = Arc<dyn Fn(&JobParameters) -> String + Send + Sync>;

/// A pattern of exit codes.
#[derive(Clone)]
pub(super) enum Pattern {
    Text(String),
    /// Taken from the parameters of each execution.
    Given(GivenPattern),
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Pattern {
    /// The pattern as far as it is known without parameters.
    pub(super) fn label(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Given(_) => "by parameters",
        }
    }
}

/// The target of a transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Element(usize),
    End { exit_code: Option<String> },
    Fail { exit_code: Option<String> },
    Stop { exit_code: Option<String>, restart_at: Option<usize> },
}

/// A step that runs at the end of an execution.
#[derive(Debug, Clone)]
pub struct FinallyStep {
    pub(super) step: Step,
    pub(super) when: FinallyWhen,
}

/// The results of the main part after which a `finally` step runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FinallyWhen {
    /// COMPLETED and FAILED.
    #[default]
    Always,
    /// COMPLETED alone.
    Completed,
    /// FAILED alone.
    Failed,
}

impl FinallyStep {
    pub(crate) fn new(step: Step, when: FinallyWhen) -> Self {
        Self { step, when }
    }

    /// The step.
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// The results after which it runs.
    pub fn when(&self) -> FinallyWhen {
        self.when
    }

    /// True if it runs after a main part with this result.
    pub fn runs_after(&self, main: Status) -> bool {
        match self.when {
            FinallyWhen::Always => true,
            FinallyWhen::Completed => main == Status::Completed,
            FinallyWhen::Failed => main == Status::Failed,
        }
    }
}

impl Element {
    /// Its name; within a flow it begins with the flow's: `flow/step`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its step; `None` for a decider.
    pub fn step(&self) -> Option<&Step> {
        match &self.body {
            Body::Step(step) => Some(step),
            Body::Decider(_) => None,
        }
    }

    /// Most rounds of a cycle that may reach it; `None` for one that is in no cycle.
    pub fn at_most(&self) -> Option<u32> {
        self.at_most
    }

    pub(crate) fn body(&self) -> &Body {
        &self.body
    }
}

impl FlowGraph {
    /// Steps one after the other.
    pub(crate) fn sequence(steps: impl IntoIterator<Item = Step>) -> Self {
        let mut elements: Vec<Element> = steps
            .into_iter()
            .enumerate()
            .map(|(index, step)| Element {
                name: step.name().to_owned(),
                body: Body::Step(step),
                group: None,
                exits: Exits { transitions: Vec::new(), is_closed: false, next: Next::Element(index + 1) },
                at_most: None,
            })
            .collect();
        if let Some(last) = elements.last_mut() {
            last.exits.next = Next::Leaves;
        }
        Self::new(elements, Vec::new(), Vec::new())
    }

    pub(super) fn new(elements: Vec<Element>, groups: Vec<Group>, finally: Vec<FinallyStep>) -> Self {
        let index = elements.iter().enumerate().map(|(index, element)| (element.name.clone(), index)).collect();
        Self { elements, groups, finally, index }
    }

    /// The elements, in the order of their definition. The first is the start.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// The steps that run at the end of each execution that ends COMPLETED or FAILED.
    pub fn finally(&self) -> &[FinallyStep] {
        &self.finally
    }

    /// True if the way through it depends on more than the order of its steps, so that it is kept for a restart.
    pub fn keeps_history(&self) -> bool {
        let plain = |exits: &Exits| exits.transitions.is_empty() && !exits.is_closed && exits.next != Next::Ends;
        let in_order = |(index, element): (usize, &Element)| {
            plain(&element.exits)
                && element.step().is_some()
                && match element.exits.next {
                    Next::Element(next) => next == index + 1,
                    Next::Leaves | Next::Ends => true,
                }
        };
        !(self.elements.iter().enumerate().all(in_order) && self.groups.iter().all(|group| plain(&group.exits)))
    }

    /// True if an execution goes on with more than the states of its steps: with the history of the flow, or with the
    /// result of a main part.
    pub(crate) fn has_past(&self) -> bool {
        self.keeps_history() || !self.finally.is_empty()
    }

    pub(crate) fn element(&self, index: usize) -> &Element {
        &self.elements[index]
    }

    pub(super) fn index_of(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The levels out of which an element leads: its own, then those of the flows in which it stands.
    pub(super) fn levels(&self, element: usize) -> impl Iterator<Item = (Level, &Exits)> {
        let element = &self.elements[element];
        let group = std::iter::successors(element.group, |&group| self.groups[group].parent);
        std::iter::once((Level::Element, &element.exits))
            .chain(group.map(|group| (Level::Group(group), &self.groups[group].exits)))
    }

    /// The patterns of all transitions, with the parameters of an execution.
    ///
    /// # Errors
    /// A function that takes one from the parameters panicked.
    pub(crate) fn patterns(&self, parameters: &JobParameters) -> Result<Patterns, String> {
        let of = |name: &str, exits: &Exits| -> Result<Vec<String>, String> {
            exits.transitions.iter().map(|transition| resolved(name, &transition.pattern, parameters)).collect()
        };
        Ok(Patterns {
            elements: self.elements.iter().map(|one| of(&one.name, &one.exits)).collect::<Result<_, _>>()?,
            groups: self.groups.iter().map(|one| of(&one.name, &one.exits)).collect::<Result<_, _>>()?,
        })
    }
}

fn resolved(name: &str, pattern: &Pattern, parameters: &JobParameters) -> Result<String, String> {
    match pattern {
        Pattern::Text(text) => Ok(text.clone()),
        Pattern::Given(function) => std::panic::catch_unwind(AssertUnwindSafe(|| function(parameters)))
            .map_err(|panic| format!("the pattern of a transition of '{name}' {}", panic_message(panic.as_ref()))),
    }
}

/// An element, or a flow that it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Element,
    Group(usize),
}

/// The patterns of all transitions of a graph for one execution.
#[derive(Debug, Clone)]
pub(crate) struct Patterns {
    elements: Vec<Vec<String>>,
    groups: Vec<Vec<String>>,
}

impl Patterns {
    pub(super) fn of(&self, element: usize, level: Level) -> &[String] {
        match level {
            Level::Element => &self.elements[element],
            Level::Group(group) => &self.groups[group],
        }
    }

    /// The first transition of a level whose pattern fits.
    pub(super) fn first_fit(&self, element: usize, level: Level, exit_code: &str) -> Option<usize> {
        self.of(element, level).iter().position(|pattern| fits(pattern, exit_code))
    }
}
