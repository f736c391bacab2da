//! Resolves the names of a flow and finds everything that is wrong with it, at once.

use std::collections::{HashMap, HashSet};

use super::draft::{Draft, DraftBody, DraftNext, DraftTarget, Elements};
use super::graph::{Body, Element, Exits, FinallyStep, FlowGraph, Group, Next, Pattern, Target, Transition};
use super::pattern::covers;
use crate::job::BuildError;
use crate::job::builder::check_name;

/// The graph of a job's elements.
///
/// # Errors
/// An error of a step, or all problems of the flow at once.
pub(crate) fn graph(job: &str, elements: Elements, finally: Vec<FinallyStep>) -> Result<FlowGraph, BuildError> {
    let mut resolver = Resolver::default();
    resolver.lay_out(&elements, None, "")?;
    resolver.resolve(&elements, "");
    resolver.names(&finally);
    let graph = FlowGraph::new(resolver.elements, resolver.groups, finally);
    let mut problems = resolver.problems;
    if problems.is_empty() {
        problems.extend(unreachable_elements(&graph));
        problems.extend(endless_cycles(&graph));
    }
    match problems.is_empty() {
        true => Ok(graph),
        false => Err(BuildError::Flow { job: job.to_owned(), problem: problems.join("; ") }),
    }
}

#[derive(Default)]
struct Resolver {
    elements: Vec<Element>,
    groups: Vec<Group>,
    /// The element at which each element and each flow begins, by name.
    starts: HashMap<String, usize>,
    /// Flows by name.
    group_index: HashMap<String, usize>,
    problems: Vec<String>,
}

/// The exits of a draft before its names are resolved.
fn open() -> Exits {
    Exits { transitions: Vec::new(), is_closed: false, next: Next::Leaves }
}

impl Resolver {
    /// Gives each element and each flow its place, in the order of the definition.
    fn lay_out(&mut self, elements: &Elements, group: Option<usize>, prefix: &str) -> Result<(), BuildError> {
        self.problems.extend(elements.problems.iter().cloned());
        for draft in &elements.drafts {
            let name = format!("{prefix}{}", draft.name);
            let body = match &draft.body {
                DraftBody::Step(step) => Body::Step(step.clone()?.named(&name)),
                DraftBody::Decider(decider) => Body::Decider(decider.clone()),
                DraftBody::Flow(inner) => {
                    check_name("flow", &draft.name)?;
                    if inner.drafts.is_empty() {
                        self.problems.push(format!("flow '{name}' has no elements"));
                    }
                    let index = self.groups.len();
                    self.groups.push(Group { name: name.clone(), parent: group, exits: open() });
                    self.group_index.entry(name.clone()).or_insert(index);
                    let first = self.elements.len();
                    self.starts.entry(name.clone()).or_insert(first);
                    self.lay_out(inner, Some(index), &format!("{name}/"))?;
                    if let (Some(bound), Some(first)) = (draft.at_most, self.elements.get_mut(first)) {
                        first.at_most = Some(bound);
                    }
                    continue;
                }
            };
            let what = if matches!(body, Body::Step(_)) { "step" } else { "decider" };
            check_name(what, &draft.name)?;
            self.starts.entry(name.clone()).or_insert(self.elements.len());
            self.elements.push(Element { name, body, group, exits: open(), at_most: draft.at_most });
        }
        Ok(())
    }

    /// Resolves the ways out of the elements of a level.
    fn resolve(&mut self, elements: &Elements, prefix: &str) {
        let names: Vec<&str> = elements.drafts.iter().map(|draft| draft.name.as_str()).collect();
        for (index, draft) in elements.drafts.iter().enumerate() {
            let name = format!("{prefix}{}", draft.name);
            let following = elements.drafts.get(index + 1).map(|draft| format!("{prefix}{}", draft.name));
            let exits = self.exits(draft, prefix, &names, following);
            match &draft.body {
                DraftBody::Flow(inner) => {
                    if let Some(&index) = self.group_index.get(&name) {
                        self.groups[index].exits = exits;
                    }
                    self.resolve(inner, &format!("{name}/"));
                }
                _ => {
                    if let Some(&index) = self.starts.get(&name) {
                        self.elements[index].exits = exits;
                    }
                }
            }
        }
    }

    fn exits(&mut self, draft: &Draft, prefix: &str, siblings: &[&str], following: Option<String>) -> Exits {
        let name = &format!("{prefix}{}", draft.name);
        let mut transitions: Vec<Transition> = Vec::new();
        for (pattern, target) in &draft.transitions {
            self.check_pattern(name, pattern, &transitions);
            let target = match target {
                DraftTarget::To(to) => self.target(name, to, prefix, siblings).map(Target::Element),
                DraftTarget::End(exit_code) => Some(Target::End { exit_code: exit_code.clone() }),
                DraftTarget::Fail(exit_code) => Some(Target::Fail { exit_code: exit_code.clone() }),
                DraftTarget::Stop { exit_code, restart_at: None } => {
                    Some(Target::Stop { exit_code: exit_code.clone(), restart_at: None })
                }
                DraftTarget::Stop { exit_code, restart_at: Some(at) } => self
                    .restart_target(name, at, prefix, siblings)
                    .map(|at| Target::Stop { exit_code: exit_code.clone(), restart_at: Some(at) }),
            };
            let pattern = pattern.clone();
            transitions.extend(target.map(|target| Transition { pattern, target }));
        }
        if draft.is_closed && draft.transitions.is_empty() {
            self.problems.push(format!("'{name}' has no way on: or_fail() without a transition"));
        }
        let next = match &draft.next {
            DraftNext::Ends => Next::Ends,
            DraftNext::Named(to) => self.target(name, to, prefix, siblings).map_or(Next::Leaves, Next::Element),
            DraftNext::Following => match following.and_then(|name| self.starts.get(&name)) {
                Some(&next) => Next::Element(next),
                None => Next::Leaves,
            },
        };
        Exits { transitions, is_closed: draft.is_closed, next }
    }

    fn check_pattern(&mut self, name: &str, pattern: &Pattern, earlier: &[Transition]) {
        let Pattern::Text(text) = pattern else { return };
        if text.is_empty() {
            self.problems.push(format!("a transition of '{name}' has an empty pattern, which no exit code fits"));
        }
        let wider = earlier.iter().find_map(|transition| match &transition.pattern {
            Pattern::Text(earlier) if covers(earlier, text) => Some(earlier),
            _ => None,
        });
        if let Some(wider) = wider {
            let problem = format!("pattern '{text}' of '{name}' is never reached: '{wider}' stands before it");
            self.problems.push(problem);
        }
    }

    /// The target of a transition: an element or a flow of the same level.
    fn target(&mut self, name: &str, to: &str, prefix: &str, siblings: &[&str]) -> Option<usize> {
        if siblings.contains(&to) {
            return self.starts.get(&format!("{prefix}{to}")).copied();
        }
        let is_elsewhere = self.elements.iter().any(|element| element.name == to || ends_with(&element.name, to))
            || self.groups.iter().any(|group| group.name == to || ends_with(&group.name, to));
        self.problems.push(match is_elsewhere {
            true => format!("'{name}' leads to '{to}', which is not an element of the same flow"),
            false => format!("'{name}' leads to '{to}', which there is not"),
        });
        None
    }

    /// The target of a restart: an element of the same level, or of the job.
    fn restart_target(&mut self, name: &str, to: &str, prefix: &str, siblings: &[&str]) -> Option<usize> {
        if !siblings.contains(&to)
            && let Some(&index) = self.starts.get(to)
            && self.elements.get(index).is_some_and(|element| element.group.is_none() && element.name == to)
        {
            return Some(index);
        }
        self.target(name, to, prefix, siblings)
    }

    /// Finds names that stand twice.
    fn names(&mut self, finally: &[FinallyStep]) {
        let mut seen = HashSet::new();
        let names = self.elements.iter().map(|element| element.name.as_str());
        let groups = self.groups.iter().map(|group| group.name.as_str());
        let twice: Vec<String> = names
            .chain(groups)
            .chain(finally.iter().map(|one| one.step.name()))
            .filter(|name| !seen.insert(*name))
            .map(|name| format!("two elements are named '{name}'"))
            .collect();
        self.problems.extend(twice);
    }
}

fn ends_with(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|prefix| prefix.ends_with('/'))
}

/// The elements to which an element may lead without a restart, and with one.
fn ways(graph: &FlowGraph, element: usize, with_restart: bool) -> Vec<usize> {
    let mut found = Vec::new();
    for (_, exits) in graph.levels(element) {
        for transition in &exits.transitions {
            match transition.target {
                Target::Element(to) => found.push(to),
                Target::Stop { restart_at: Some(to), .. } if with_restart => found.push(to),
                _ => {}
            }
        }
        let catches_all =
            exits.transitions.iter().any(|one| matches!(&one.pattern, Pattern::Text(text) if text == "*"));
        // Behind a stop that names no element a restart goes on by the default way, whatever catches before it.
        let stops = exits.transitions.iter().any(|one| matches!(one.target, Target::Stop { restart_at: None, .. }));
        if (exits.is_closed || catches_all) && !(with_restart && stops) {
            break;
        }
        match exits.next {
            Next::Element(to) => {
                found.push(to);
                // A failure still leaves the flow.
                continue;
            }
            Next::Ends | Next::Leaves => {}
        }
    }
    found
}

fn unreachable_elements(graph: &FlowGraph) -> Vec<String> {
    let mut reached = vec![false; graph.elements.len()];
    let mut open = vec![0];
    while let Some(element) = open.pop() {
        if std::mem::replace(&mut reached[element], true) {
            continue;
        }
        open.extend(ways(graph, element, true));
    }
    let lost = graph.elements.iter().zip(&reached).filter(|(_, reached)| !**reached);
    lost.map(|(element, _)| format!("nothing leads to '{}'", element.name)).collect()
}

/// One cycle without a bound, if there is any: what is left when elements that lead nowhere are taken away, again and
/// again.
fn endless_cycles(graph: &FlowGraph) -> Option<String> {
    let is_bound = |index: usize| graph.elements[index].at_most.is_some();
    let count = graph.elements.len();
    let ways: Vec<Vec<usize>> = (0..count)
        .map(|index| if is_bound(index) { Vec::new() } else { ways(graph, index, false) })
        .map(|ways| ways.into_iter().filter(|&to| !is_bound(to)).collect())
        .collect();
    let (mut from, mut left) = (vec![Vec::new(); count], vec![0_usize; count]);
    for (index, ways) in ways.iter().enumerate() {
        left[index] = ways.len();
        ways.iter().for_each(|&to| from[to].push(index));
    }
    let mut open: Vec<usize> = (0..count).filter(|&index| left[index] == 0).collect();
    while let Some(index) = open.pop() {
        for &before in &from[index] {
            left[before] -= 1;
            if left[before] == 0 {
                open.push(before);
            }
        }
    }
    // Each element that is left leads to another one that is.
    let mut path = vec![(0..count).find(|&index| left[index] > 0)?];
    loop {
        let last = *path.last()?;
        let to = *ways[last].iter().find(|&&to| left[to] > 0)?;
        if let Some(start) = path.iter().position(|&index| index == to) {
            let names: Vec<&str> = path[start..].iter().map(|&index| graph.elements[index].name()).collect();
            let names = names.join("', '");
            return Some(format!("the cycle of '{names}' has no bound: give one of its elements at_most(…)"));
        }
        path.push(to);
    }
}
