//! Flows against a plain interpreter, restarts at every move, and the sentences of what cannot be built.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{Ended, FlowGraph, Visit, Walk, WalkEnd};
use crate::execution::{ExecutionId, FlowEntry, Status, StepExecutionId};
use crate::job::{Flow, Job, JobBuilder, JobParameters};
use crate::step::{TaskStep, TaskStepBuilder};

const CODES: [&str; 3] = ["A", "B", "C"];

fn step(name: &str) -> TaskStepBuilder {
    TaskStep::builder(name, |_| Ok(()))
}

/// The way of an element on one exit code.
#[derive(Debug, Clone, Copy)]
enum Goes {
    To(usize),
    End,
    Fail,
    Nowhere,
}

/// A flow of steps as numbers: for each element the way on each exit code, and how the visits end.
#[derive(Debug, Clone)]
struct Plan {
    ways: Vec<[Goes; 3]>,
    /// The exit code of each visit, and whether the step FAILED with it.
    ends: Vec<(usize, bool)>,
}

const ROUNDS: u32 = 3;

impl Plan {
    fn graph(&self) -> FlowGraph {
        let mut job = Job::builder("Job");
        for (index, ways) in self.ways.iter().enumerate() {
            job = job.step(step(&index.to_string())).at_most(ROUNDS);
            for (code, goes) in CODES.iter().zip(ways) {
                job = match goes {
                    Goes::To(to) => job.on(*code).to(to.to_string()),
                    Goes::End => job.on(*code).end_with("ENDED"),
                    Goes::Fail => job.on(*code).fail_with("FAILED_BY_LINK"),
                    Goes::Nowhere => job,
                };
            }
        }
        // What nothing leads to is not looked for here.
        match job.build() {
            Ok(job) => job.flow().clone(),
            Err(_) => FlowGraph::sequence([]),
        }
    }

    /// The elements that are visited, and the end: what a reader of the definition would do by hand.
    fn by_hand(&self) -> (Vec<usize>, &'static str) {
        let (mut at, mut visited, mut rounds) = (0, Vec::new(), HashMap::new());
        loop {
            let round = rounds.entry(at).or_insert(0);
            *round += 1;
            if *round > ROUNDS {
                return (visited, "bound");
            }
            let (code, fails) = self.ends[visited.len() % self.ends.len()];
            visited.push(at);
            at = match self.ways[at][code] {
                Goes::To(to) => to,
                Goes::End => return (visited, "completed"),
                Goes::Fail => return (visited, "failed"),
                Goes::Nowhere if fails => return (visited, "failed"),
                Goes::Nowhere if at + 1 < self.ways.len() => at + 1,
                Goes::Nowhere => return (visited, "completed"),
            };
        }
    }

    /// Walks until `stops` elements were run now, from a history; what was run, the history behind it, and the end.
    fn walk(
        &self,
        graph: &FlowGraph,
        past: Vec<FlowEntry>,
        stops: usize,
    ) -> (Vec<usize>, Vec<FlowEntry>, Option<WalkEnd>) {
        let mut history = past.clone();
        let mut walk = Walk::new(graph, graph.patterns(&JobParameters::default()).unwrap(), past);
        let (mut ran, mut passed) = (Vec::new(), 0);
        loop {
            match walk.visit() {
                Visit::Over(end) => return (ran, history, Some(end)),
                Visit::Decide(_) => unreachable!("there are steps alone"),
                Visit::Pass(decision) => {
                    passed += 1;
                    walk.follow(decision);
                }
                Visit::Step(_) if ran.len() == stops => return (ran, history, None),
                Visit::Step(stop) => {
                    let (code, fails) = self.ends[(passed + ran.len()) % self.ends.len()];
                    let status = if fails { Status::Failed } else { Status::Completed };
                    let exit_code = CODES[code].to_owned();
                    let decision = walk.decide(stop, Ended { status, exit_code, message: None, has_run: true });
                    ran.push(stop.element);
                    if let Some(entry) = walk.entry(&decision, ExecutionId(1), Some(StepExecutionId(1))) {
                        history.truncate(entry.position as usize);
                        history.push(entry);
                    }
                    walk.follow(decision);
                }
            }
        }
    }
}

fn plans() -> impl Strategy<Value = Plan> {
    (2_usize..6).prop_flat_map(|count| {
        let goes = prop_oneof![
            4 => (0..count).prop_map(Goes::To),
            1 => Just(Goes::End),
            1 => Just(Goes::Fail),
            2 => Just(Goes::Nowhere),
        ];
        let ways = prop::collection::vec([goes.clone(), goes.clone(), goes], count);
        let ends = prop::collection::vec((0_usize..3, prop::bool::weighted(0.3)), 1..8);
        (ways, ends).prop_map(|(ways, ends)| Plan { ways, ends })
    })
}

fn kind(end: &WalkEnd) -> &'static str {
    match end {
        WalkEnd::Completed { .. } => "completed",
        WalkEnd::Failed { message, .. } if message.contains("bound") => "bound",
        WalkEnd::Failed { .. } => "failed",
        WalkEnd::Stopped { .. } => "stopped",
    }
}

proptest! {
    #[test]
    fn a_walk_goes_as_a_plain_interpreter_does_and_a_crash_at_any_move_changes_nothing(plan in plans()) {
        let graph = plan.graph();
        prop_assume!(!graph.elements().is_empty());
        let (visited, end) = plan.by_hand();
        let (ran, history, over) = plan.walk(&graph, Vec::new(), usize::MAX);
        prop_assert_eq!(&ran, &visited);
        prop_assert_eq!(kind(&over.unwrap()), end);
        // The process dies before the element `crash` is run.
        for crash in 0..visited.len() {
            let (first, kept, _) = plan.walk(&graph, Vec::new(), crash);
            let (second, resumed, over) = plan.walk(&graph, kept, usize::MAX);
            prop_assert_eq!([first, second].concat(), visited.clone(), "crash {}", crash);
            prop_assert_eq!(&resumed, &history);
            prop_assert_eq!(kind(&over.unwrap()), end);
        }
    }
}

fn refused(build: impl FnOnce(JobBuilder) -> JobBuilder) -> String {
    build(Job::builder("Job")).build().unwrap_err().to_string()
}

#[test]
fn each_problem_of_a_flow_is_told_by_a_sentence_that_names_the_elements() {
    for (said, refused) in [
        ("'A' leads to 'X', which there is not", refused(|job| job.step(step("A")).on("*").to("X"))),
        ("nothing leads to 'B'", refused(|job| job.step(step("A")).then_end().step(step("B")))),
        (
            "pattern 'FAILED' of 'A' is never reached: 'F*' stands before it",
            refused(|job| job.step(step("A")).on("F*").end().on("FAILED").fail()),
        ),
        ("'A' has no way on: or_fail() without a transition", refused(|job| job.step(step("A")).or_fail())),
        ("two elements are named 'A'", refused(|job| job.step(step("A")).step(step("A")))),
        ("two elements are named 'A'", refused(|job| job.step(step("A")).finally(step("A")))),
        (
            "the cycle of 'A', 'B' has no bound: give one of its elements at_most(…)",
            refused(|job| job.step(step("A")).step(step("B")).on("*").to("A")),
        ),
        (
            "'F/A' leads to 'B', which is not an element of the same flow",
            refused(|job| job.flow("F", Flow::new().step(step("A")).on("*").to("B")).step(step("B"))),
        ),
        ("flow 'F' has no elements", refused(|job| job.flow("F", Flow::new()).step(step("A")))),
        ("a transition stands before the first element", refused(|job| job.on("*").end().step(step("A")))),
        ("at_most(0) of 'A' would never let it run", refused(|job| job.step(step("A")).at_most(0))),
        ("'A' has two ways on", refused(|job| job.step(step("A")).then("B").then_end().step(step("B")))),
    ] {
        assert!(refused.starts_with("job 'Job': ") && refused.contains(said), "{said}: {refused}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let all = refused(|job| job.step(step("A")).on("").to("X").step(step("A")).on("*").to("Y"));
    for said in ["empty pattern", "'X'", "'Y'", "two elements are named 'A'"] {
        assert!(all.contains(said), "{said}: {all}");
    }
}

#[test]
fn ten_thousand_steps_are_built_and_walked_without_a_deep_stack() {
    let job = (0..10_000).fold(Job::builder("Long"), |job, index| job.step(step(&index.to_string())));
    let job = job.build().unwrap();
    let graph = job.flow();
    assert!(!graph.keeps_history());
    let mut walk = Walk::new(graph, graph.patterns(&JobParameters::default()).unwrap(), Vec::new());
    let mut count = 0;
    while let Visit::Step(stop) = walk.visit() {
        let exit_code = "COMPLETED".to_owned();
        let decision = walk.decide(stop, Ended { status: Status::Completed, exit_code, message: None, has_run: true });
        assert!(walk.entry(&decision, ExecutionId(1), None).is_none(), "a plain sequence keeps no history");
        walk.follow(decision);
        count += 1;
    }
    assert_eq!(count, 10_000);
}
