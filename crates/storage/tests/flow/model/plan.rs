//! The graph, the script and the troubles of a case.

use std::collections::{BTreeMap, BTreeSet};

use oxbatch_core::FinallyWhen;
use proptest::prelude::*;

/// Exit codes that steps and deciders end with.
pub(super) const CODES: [&str; 3] = ["A", "B", "C"];
/// Rounds of an element of a cycle.
pub(super) const ROUNDS: u32 = 3;

/// The behaviour of a step in one of its runs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Say {
    Complete,
    /// COMPLETED with an exit code.
    Code(usize),
    /// FAILED with an exit code.
    Fail(usize),
    /// FAILED by an error.
    Error,
}

/// The pattern of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    Code(usize),
    Completed,
    Failed,
    /// `F*`
    FailedSomehow,
    /// `?`
    AnyCode,
    /// `*`
    All,
    /// The code that the launch names.
    Given,
}

/// The target of a transition; an element of the level by its index, which counts round.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goes {
    To(usize),
    End,
    EndWith,
    Fail,
    FailWith,
    Stop,
    StopWith,
    StopBefore(usize),
}

/// The way of a COMPLETED element that no transition has caught.
#[derive(Debug, Clone, Copy)]
pub(super) enum Default {
    Following,
    Then(usize),
    End,
    /// The transitions are a closed list.
    OrFail,
}

/// The ways out of an element or a flow.
#[derive(Debug, Clone)]
pub(super) struct Exits {
    pub(super) ways: Vec<(Pattern, Goes)>,
    pub(super) default: Default,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    /// A step that says one thing after the other, from the start again when it has said all.
    Step {
        says: Vec<Say>,
        reruns: bool,
    },
    /// A decider whose answer depends on this number, its round and the exit code before it.
    Decider(usize),
    Flow(Vec<Node>),
}

/// An element, or a flow.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) body: Body,
    pub(super) exits: Exits,
}

impl Node {
    /// The name of the element at an index of its level.
    pub(super) fn name(&self, index: usize) -> String {
        let kind = match self.body {
            Body::Step { .. } => "S",
            Body::Decider(_) => "D",
            Body::Flow(_) => "F",
        };
        format!("{kind}{index}")
    }
}

/// The moment of a death at an action of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// It never reaches the store, or too late.
    Before,
    /// The store has done it, and the answer is not heard.
    After,
}

/// The node of a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is gone for good.
    Dead,
    /// It goes on when another node has taken over.
    Undead,
}

/// A stop in a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Halt {
    /// Its node shuts down; otherwise the execution is stopped alone.
    pub(super) shutdown: bool,
    /// The step ends STOPPED; otherwise it ends as scripted.
    pub(super) heeds: bool,
}

/// A launch: of a new lineage or not, with the exit code that it names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launch {
    pub(super) force: bool,
    pub(super) code: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) nodes: Vec<Node>,
    pub(super) finally: Vec<(FinallyWhen, Vec<Say>)>,
    pub(super) launches: Vec<Launch>,
    /// Deaths by the number of the action, over all executions.
    pub(super) deaths: BTreeMap<u32, (At, Fate)>,
    /// Stops by the number of the step that runs, over all executions.
    pub(super) halts: BTreeMap<u32, Halt>,
    /// Actions that the store cannot do at first.
    pub(super) faults: BTreeSet<u32>,
    /// Decisions that fail, by their number.
    pub(super) undecided: BTreeSet<u32>,
}

fn says() -> impl Strategy<Value = Vec<Say>> {
    let say = prop_oneof![
        3 => Just(Say::Complete),
        4 => (0..CODES.len()).prop_map(Say::Code),
        2 => (0..CODES.len()).prop_map(Say::Fail),
        2 => Just(Say::Error),
    ];
    prop::collection::vec(say, 1..5)
}

fn exits() -> impl Strategy<Value = Exits> {
    let pattern = prop_oneof![
        6 => (0..CODES.len()).prop_map(Pattern::Code),
        1 => Just(Pattern::Completed),
        2 => Just(Pattern::Failed),
        1 => Just(Pattern::FailedSomehow),
        1 => Just(Pattern::AnyCode),
        1 => Just(Pattern::All),
        2 => Just(Pattern::Given),
    ];
    let goes = prop_oneof![
        6 => any::<usize>().prop_map(Goes::To),
        1 => Just(Goes::End),
        1 => Just(Goes::EndWith),
        1 => Just(Goes::Fail),
        1 => Just(Goes::FailWith),
        1 => Just(Goes::Stop),
        1 => Just(Goes::StopWith),
        1 => any::<usize>().prop_map(Goes::StopBefore),
    ];
    let default = prop_oneof![
        8 => Just(Default::Following),
        1 => any::<usize>().prop_map(Default::Then),
        1 => Just(Default::End),
        1 => Just(Default::OrFail),
    ];
    (prop::collection::vec((pattern, goes), 0..4), default).prop_map(|(ways, default)| Exits { ways, default })
}

fn element() -> impl Strategy<Value = Body> {
    prop_oneof![
        3 => (says(), prop::bool::weighted(0.2)).prop_map(|(says, reruns)| Body::Step { says, reruns }),
        1 => (0..CODES.len()).prop_map(Body::Decider),
    ]
}

fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let node = |body: BoxedStrategy<Body>| (body, exits()).prop_map(|(body, exits)| Node { body, exits });
    let flow = prop::collection::vec(node(element().boxed()), 1..4).prop_map(Body::Flow);
    prop::collection::vec(node(prop_oneof![4 => element(), 1 => flow].boxed()), 1..5)
}

/// Deaths, halts, faults of the store, and decisions that fail.
type Troubles = (BTreeMap<u32, (At, Fate)>, BTreeMap<u32, Halt>, BTreeSet<u32>, BTreeSet<u32>);

fn troubles() -> impl Strategy<Value = Troubles> {
    let at = prop_oneof![Just(At::Before), Just(At::After)];
    let fate = prop_oneof![Just(Fate::Dead), Just(Fate::Undead)];
    let halt = any::<(bool, bool)>().prop_map(|(shutdown, heeds)| Halt { shutdown, heeds });
    (
        prop::collection::btree_map(1..40_u32, (at, fate), 0..4),
        prop::collection::btree_map(1..20_u32, halt, 0..3),
        prop_oneof![3 => Just(BTreeSet::new()), 1 => prop::collection::btree_set(1..40_u32, 1..2)],
        prop_oneof![3 => Just(BTreeSet::new()), 1 => prop::collection::btree_set(1..8_u32, 1..3)],
    )
}

pub(super) fn plans() -> impl Strategy<Value = Plan> {
    let when = prop_oneof![
        3 => Just(FinallyWhen::Always),
        1 => Just(FinallyWhen::Completed),
        1 => Just(FinallyWhen::Failed),
    ];
    let finally = prop_oneof![1 => Just(Vec::new()), 1 => prop::collection::vec((when, says()), 1..3)];
    let launch = (prop::bool::weighted(0.15), 0..CODES.len()).prop_map(|(force, code)| Launch { force, code });
    let launches = prop::collection::vec(launch, 1..6);
    (nodes(), finally, launches, troubles()).prop_map(
        |(nodes, finally, launches, (deaths, halts, faults, undecided))| Plan {
            nodes,
            finally,
            launches,
            deaths,
            halts,
            faults,
            undecided,
        },
    )
}
