//! The rules of `docs/FLOW.md`, carried out by hand: one action of the protocol after the other, on a world of plain
//! lists.

use std::collections::{BTreeMap, HashMap};

use oxbatch_core::execution::Taken;
use oxbatch_core::{FinallyWhen, Status};

use super::plan::{At, Body, CODES, Default, Exits, Goes, Node, Pattern, Plan, ROUNDS, Say};

/// The visible part of a case: by the interpreter, and by the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Each execution with its status and exit code.
    pub(super) executions: Vec<String>,
    /// Each attempt of a step.
    pub(super) attempts: Vec<String>,
    /// The flow history at the end.
    pub(super) history: Vec<String>,
    /// The entries that steps and deciders have seen in the job's context, and the steps that deciders have, in their
    /// order.
    pub(super) seen: Vec<String>,
}

/// The move behind an element.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Move {
    To(usize),
    End(Option<String>),
    Fail(Option<String>),
    Stop(Option<String>, Option<usize>),
    /// FAILED, and nothing catches it.
    Unhandled,
    /// No transition of a closed list fits.
    Unmatched,
}

/// The ways out of an element, or of the flow in which it stands.
struct Level<'p> {
    ways: Vec<(Pattern, Move)>,
    default: &'p Default,
    next: Option<usize>,
}

struct Element<'p> {
    name: String,
    body: &'p Body,
    levels: Vec<Level<'p>>,
}

#[derive(Debug, Clone)]
struct Entry {
    element: String,
    round: u32,
    is_step: bool,
    status: Status,
    code: String,
    taken: Taken,
}

/// The result of a main part, and the execution that has come to it.
#[derive(Debug, Clone)]
struct Main {
    status: Status,
    code: Option<String>,
    since: usize,
}

/// The end of an execution.
enum End {
    Completed(Option<String>),
    Failed(Option<String>),
    /// By a transition.
    Held(Option<String>),
    /// On request, or by a shutdown.
    Halted,
}

/// The node has died.
struct Dead;

/// The end of a step.
enum Ran {
    Ended(Status, String),
    Halted,
}

/// The end of an element that a way is searched for.
struct Ended {
    status: Status,
    code: String,
    has_run: bool,
}

struct World<'p> {
    plan: &'p Plan,
    elements: Vec<Element<'p>>,
    keeps_history: bool,
    /// Numbers of what has happened, over all executions.
    actions: u32,
    bodies: u32,
    decisions: u32,
    /// Ends by name of the step, over all executions.
    ends: HashMap<String, usize>,
    execution: usize,
    /// Of the lineage.
    history: Vec<Entry>,
    steps: HashMap<(String, u32), (Status, String)>,
    finals: HashMap<String, (usize, Status, String)>,
    trace: Vec<String>,
    previous: Option<(Status, String, Option<Main>)>,
    /// Of the execution.
    main: Option<Main>,
    code: usize,
    halt: Option<bool>,
    open: Option<(String, u32)>,
    /// The next step begins with the claim of its execution.
    begins: bool,
    /// The end of the execution, where it was recorded with that of its last step.
    recorded: Option<End>,
    /// The latest round of each step, as later elements see it.
    latest: BTreeMap<String, (u32, Status, String)>,
    seen: Seen,
}

/// The result of a case.
pub(super) fn interpret(plan: &Plan, keeps_history: bool) -> Seen {
    let mut world = World {
        plan,
        elements: elements(&plan.nodes),
        keeps_history,
        actions: 0,
        bodies: 0,
        decisions: 0,
        ends: HashMap::new(),
        execution: 0,
        history: Vec::new(),
        steps: HashMap::new(),
        finals: HashMap::new(),
        trace: Vec::new(),
        previous: None,
        main: None,
        code: 0,
        halt: None,
        open: None,
        begins: false,
        recorded: None,
        latest: BTreeMap::new(),
        seen: Seen::default(),
    };
    for launch in &plan.launches {
        world.launch(launch.force, launch.code);
    }
    let line = |entry: &Entry| format!("{}#{} {} {}", entry.element, entry.round, entry.code, entry.taken);
    world.seen.history = world.history.iter().map(line).collect();
    world.seen
}

/// The elements in their order, with the ways out of them and of their flows.
fn elements(nodes: &[Node]) -> Vec<Element<'_>> {
    let mut starts = Vec::new();
    let mut count = 0;
    for node in nodes {
        starts.push(count);
        count += if let Body::Flow(inner) = &node.body { inner.len() } else { 1 };
    }
    let mut all = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let outer = || level(&node.exits, index, &starts);
        let name = node.name(index);
        match &node.body {
            Body::Flow(inner) => {
                let starts: Vec<_> = (0..inner.len()).map(|at| starts[index] + at).collect();
                for (at, node) in inner.iter().enumerate() {
                    let levels = vec![level(&node.exits, at, &starts), outer()];
                    all.push(Element { name: format!("{name}/{}", node.name(at)), body: &node.body, levels });
                }
            }
            body => all.push(Element { name, body, levels: vec![outer()] }),
        }
    }
    all
}

fn level<'p>(exits: &'p Exits, index: usize, starts: &[usize]) -> Level<'p> {
    let at = |target: usize| starts[target % starts.len()];
    let named = |code: &str| Some(code.to_owned());
    let ways = exits.ways.iter().map(|(pattern, goes)| {
        let to = match *goes {
            Goes::To(target) => Move::To(at(target)),
            Goes::End => Move::End(None),
            Goes::EndWith => Move::End(named("ENDED")),
            Goes::Fail => Move::Fail(None),
            Goes::FailWith => Move::Fail(named("BROKEN")),
            Goes::Stop => Move::Stop(None, None),
            Goes::StopWith => Move::Stop(named("HELD"), None),
            Goes::StopBefore(target) => Move::Stop(None, Some(at(target))),
        };
        (*pattern, to)
    });
    let next = match exits.default {
        Default::Following | Default::OrFail => starts.get(index + 1).copied(),
        Default::Then(target) => Some(at(target)),
        Default::End => None,
    };
    Level { ways: ways.collect(), default: &exits.default, next }
}

impl<'p> World<'p> {
    /// An action of the protocol: what it does to the store is done wholly or not at all.
    fn act(&mut self, does: impl FnOnce(&mut Self)) -> Result<(), Dead> {
        self.actions += 1;
        match self.plan.deaths.get(&self.actions) {
            None => does(self),
            Some((At::Before, _)) => return Err(Dead),
            Some((At::After, _)) => {
                does(self);
                return Err(Dead);
            }
        }
        Ok(())
    }

    /// A launch, and the executions that resume by themselves what it began.
    fn launch(&mut self, force: bool, code: usize) {
        if force {
            (self.history, self.trace, self.previous) = (Vec::new(), Vec::new(), None);
            (self.steps, self.finals) = (HashMap::new(), HashMap::new());
        }
        self.code = code;
        // What goes on by itself has a past, which is looked at first.
        let mut is_launched = true;
        loop {
            self.execution += 1;
            (self.main, self.halt, self.recorded) = (None, None, None);
            self.begins = std::mem::take(&mut is_launched) && !self.keeps_history && self.plan.finally.is_empty();
            self.latest = self.latest_rounds();
            let ended = self.run();
            let (status, code, resumes) = self.ended(ended);
            self.seen.executions.push(format!("{status} {code}"));
            self.previous = Some((status, code, self.main.take()));
            if !resumes {
                return;
            }
        }
    }

    /// The recorded end of an execution, and whether another one resumes it by itself.
    fn ended(&mut self, ended: Result<End, Dead>) -> (Status, String, bool) {
        let recorded = self.recorded.take();
        let mut is_recorded = recorded.is_some();
        let Some(end) = recorded.or(ended.ok()) else { return self.lost() };
        let (status, code) = match end {
            End::Completed(code) => (Status::Completed, code),
            End::Failed(code) => (Status::Failed, code),
            End::Held(code) => (Status::Stopped, code),
            End::Halted => (Status::Stopped, (self.halt == Some(true)).then(|| "SHUTDOWN".to_owned())),
        };
        let resumes = code.as_deref() == Some("SHUTDOWN");
        let code = code.unwrap_or_else(|| status.as_str().to_owned());
        if !is_recorded {
            let _ = self.act(|_| is_recorded = true);
        }
        if is_recorded { (status, code, resumes) } else { self.lost() }
    }

    /// An execution that has lost its owner.
    fn lost(&mut self) -> (Status, String, bool) {
        if let Some((name, round)) = self.open.take() {
            self.attempt(&name, round, Status::Failed, "ABORTED");
        }
        (Status::Failed, "ABORTED".to_owned(), true)
    }

    fn attempt(&mut self, name: &str, round: u32, status: Status, code: &str) {
        self.seen.attempts.push(format!("{} {name}#{round} {status} {code}", self.execution));
        if self.is_final(name) {
            self.finals.insert(name.to_owned(), (self.execution, status, code.to_owned()));
        } else {
            self.steps.insert((name.to_owned(), round), (status, code.to_owned()));
        }
    }

    fn latest_rounds(&self) -> BTreeMap<String, (u32, Status, String)> {
        let mut latest: BTreeMap<String, (u32, Status, String)> = BTreeMap::new();
        for ((name, round), (status, code)) in &self.steps {
            let is_later = latest.get(name).is_none_or(|(before, ..)| before < round);
            if is_later {
                latest.insert(name.clone(), (*round, *status, code.clone()));
            }
        }
        let finals = self.finals.iter().map(|(name, (_, status, code))| (name.clone(), (1, *status, code.clone())));
        latest.extend(finals);
        latest
    }

    fn is_final(&self, name: &str) -> bool {
        name.starts_with("End")
    }

    fn run(&mut self) -> Result<End, Dead> {
        if self.plan.finally.is_empty() {
            return self.walk();
        }
        let main = match self.pending() {
            Some(main) => main,
            None => match self.walk()? {
                End::Completed(code) => Main { status: Status::Completed, code, since: self.execution },
                End::Failed(code) => Main { status: Status::Failed, code, since: self.execution },
                end => return Ok(end),
            },
        };
        let recorded = main.clone();
        self.act(|world| world.main = Some(recorded))?;
        let mut has_failed = false;
        for (index, (when, says)) in self.plan.finally.iter().enumerate() {
            let runs = match when {
                FinallyWhen::Always => true,
                FinallyWhen::Completed => main.status == Status::Completed,
                FinallyWhen::Failed => main.status == Status::Failed,
            };
            if !runs {
                continue;
            }
            let name = format!("End{index}");
            if self.halt.is_some() {
                return Ok(End::Halted);
            }
            let last = self.finals.get(&name).filter(|(execution, ..)| *execution >= main.since);
            if last.is_some_and(|(_, status, _)| *status == Status::Completed) {
                self.act(|_| {})?;
                continue;
            }
            match self.step(&name, 1, says, &|_, _, _| {})? {
                Ran::Ended(status, _) => has_failed |= status == Status::Failed,
                Ran::Halted => return Ok(End::Halted),
            }
        }
        Ok(match main.status {
            Status::Completed if has_failed => End::Failed(Some("FINALLY_FAILED".to_owned())),
            Status::Completed => End::Completed(main.code),
            _ => End::Failed(main.code),
        })
    }

    /// The main result whose end was not reached.
    fn pending(&self) -> Option<Main> {
        let (status, code, main) = self.previous.as_ref()?;
        let main = main.clone()?;
        let goes_on = match main.status {
            Status::Completed => *status != Status::Completed,
            _ => *status == Status::Stopped || code == "ABORTED",
        };
        goes_on.then_some(main)
    }

    /// Begins a step, runs it, and records its end, with what belongs to it.
    fn step(
        &mut self,
        name: &str,
        round: u32,
        says: &[Say],
        with: &dyn Fn(&mut Self, Status, &str),
    ) -> Result<Ran, Dead> {
        match std::mem::take(&mut self.begins) {
            true => self.open = Some((name.to_owned(), round)),
            false => self.act(|world| world.open = Some((name.to_owned(), round)))?,
        }
        self.seen.seen.push(format!("{name} {:?}", self.trace));
        let mut trace = self.trace.clone();
        trace.push(name.to_owned());
        self.bodies += 1;
        let halt = self.plan.halts.get(&self.bodies);
        if let Some(halt) = halt {
            self.halt = Some(halt.shutdown);
        }
        if let Some(halt) = halt.filter(|halt| halt.heeds) {
            let code = if halt.shutdown { "SHUTDOWN" } else { "STOPPED" };
            self.act(|world| {
                (world.open, world.trace) = (None, trace);
                world.attempt(name, round, Status::Stopped, code);
            })?;
            return Ok(Ran::Halted);
        }
        let ended = self.ends.get(name).copied().unwrap_or(0);
        let (status, code) = match says[ended % says.len()] {
            Say::Complete => (Status::Completed, "COMPLETED"),
            Say::Code(code) => (Status::Completed, CODES[code]),
            Say::Fail(code) => (Status::Failed, CODES[code]),
            Say::Error => (Status::Failed, "FAILED"),
        };
        self.act(|world| {
            (world.open, world.trace) = (None, trace);
            *world.ends.entry(name.to_owned()).or_default() += 1;
            world.attempt(name, round, status, code);
            with(world, status, code);
        })?;
        self.latest.insert(name.to_owned(), (round, status, code.to_owned()));
        Ok(Ran::Ended(status, code.to_owned()))
    }

    fn walk(&mut self) -> Result<End, Dead> {
        let mut at = Walked { element: 0, position: 0, rounds: HashMap::new(), has_rerun: false, last: None };
        loop {
            let round = at.rounds.get(&at.element).map_or(1, |rounds| rounds + 1);
            if round > ROUNDS {
                return Ok(End::Failed(None));
            }
            let (body, name) = (self.elements[at.element].body, self.elements[at.element].name.clone());
            let is_step = matches!(body, Body::Step { .. });
            let known = self
                .history
                .get(at.position)
                .filter(|entry| entry.element == name && entry.round == round && entry.is_step == is_step);
            let known = known.cloned();
            let passes = known.as_ref().is_some_and(|known| match body {
                Body::Step { reruns, .. } => !*reruns && !is_tried_again(known),
                _ => !at.has_rerun,
            });
            if self.halt.is_some() {
                return Ok(End::Halted);
            }
            let (taken, ended) = match (body, &known) {
                (_, Some(known)) if passes => self.pass(&at, known)?,
                (Body::Step { says, reruns }, _) => {
                    match self.run_step(&at, (&name, round), (says, *reruns), known.as_ref())? {
                        Some(ran) => ran,
                        None => return Ok(End::Halted),
                    }
                }
                (Body::Decider(seed), _) => match self.decide(&at, (&name, round), *seed, known.as_ref())? {
                    Some(decided) => decided,
                    None => return Ok(End::Failed(None)),
                },
                (Body::Flow(_), _) => unreachable!("its elements stand for it"),
            };
            at.has_rerun |= ended.has_run && known.is_some();
            at.position += 1;
            at.rounds.insert(at.element, round);
            at.last = Some(ended.code.clone());
            match taken {
                Move::To(element) => at.element = element,
                end => return Ok(over(end, &ended, !is_step)),
            }
        }
    }

    /// Later elements see the round of a step that is on their way.
    fn see_round(&mut self, name: &str, round: u32) {
        if let Some((status, code)) = self.steps.get(&(name.to_owned(), round)) {
            self.latest.insert(name.to_owned(), (round, *status, code.clone()));
        }
    }

    /// An element that an earlier execution has finished.
    fn pass(&mut self, at: &Walked, known: &Entry) -> Result<(Move, Ended), Dead> {
        if known.is_step {
            self.see_round(&known.element, known.round);
        }
        let anew = self.next(at.element, known.status, &known.code);
        let there = known.taken.target().and_then(|name| self.index_of(name));
        let taken = match (&known.taken, there) {
            (Taken::To { .. } | Taken::Stop { .. }, Some(target)) => Move::To(target),
            (Taken::Stop { .. }, None) => match anew {
                Move::Stop(_, Some(target)) => Move::To(target),
                Move::Stop(_, None) => self.default_way(at.element),
                other => other,
            },
            _ => anew,
        };
        let stored = self.stored(&taken);
        let is_known = matches!((&known.taken, &taken), (Taken::Stop { .. }, Move::To(_)))
            || stored.as_ref() == Some(&known.taken);
        if let Some(stored) = stored.filter(|_| !is_known) {
            let (position, entry) = (at.position, Entry { taken: stored, ..known.clone() });
            self.act(|world| world.enter(position, entry, true))?;
        }
        Ok((taken, Ended { status: known.status, code: known.code.clone(), has_run: false }))
    }

    /// A step that has to run, or that was COMPLETED on another way. `None` when it was stopped.
    fn run_step(
        &mut self,
        at: &Walked,
        (name, round): (&str, u32),
        (says, reruns): (&[Say], bool),
        known: Option<&Entry>,
    ) -> Result<Option<(Move, Ended)>, Dead> {
        let before = self.steps.get(&(name.to_owned(), round));
        if let Some((Status::Completed, code)) = before.filter(|_| !reruns) {
            let code = code.clone();
            self.begins = false;
            self.act(|_| {})?;
            self.see_round(name, round);
            let (taken, entry) = self.decision(at, known, (name, round, true), (Status::Completed, &code));
            if let Some((entry, discards)) = entry {
                self.act(|world| world.enter(at.position, entry, discards))?;
            }
            return Ok(Some((taken, Ended { status: Status::Completed, code, has_run: false })));
        }
        let record = |world: &mut Self, status: Status, code: &str| {
            let (taken, entry) = world.decision(at, known, (name, round, true), (status, code));
            if let Some((entry, discards)) = entry {
                world.enter(at.position, entry, discards);
            }
            if !matches!(taken, Move::To(_)) && world.plan.finally.is_empty() {
                world.recorded = Some(over(taken, &Ended { status, code: code.to_owned(), has_run: true }, false));
            }
        };
        let ran = self.step(name, round, says, &record)?;
        let Ran::Ended(status, code) = ran else { return Ok(None) };
        let (taken, _) = self.decision(at, known, (name, round, true), (status, &code));
        Ok(Some((taken, Ended { status, code, has_run: true })))
    }

    /// A decision. `None` when it fails.
    fn decide(
        &mut self,
        at: &Walked,
        (name, round): (&str, u32),
        seed: usize,
        known: Option<&Entry>,
    ) -> Result<Option<(Move, Ended)>, Dead> {
        let latest = self.latest.iter().map(|(step, (round, status, code))| seen_step(step, *round, *status, code));
        self.seen.seen.push(format!("{name} {:?} {:?}", self.trace, latest.collect::<Vec<_>>()));
        self.decisions += 1;
        if self.plan.undecided.contains(&self.decisions) {
            return Ok(None);
        }
        let code = decided(seed, round, at.last.as_deref()).to_owned();
        let (taken, entry) = self.decision(at, known, (name, round, false), (Status::Completed, &code));
        if let Some((entry, discards)) = entry {
            self.act(|world| world.enter(at.position, entry, discards))?;
        }
        Ok(Some((taken, Ended { status: Status::Completed, code, has_run: true })))
    }

    /// The way behind an element that has ended, and its entry, with whether what stands behind it is void.
    fn decision(
        &self,
        at: &Walked,
        known: Option<&Entry>,
        (name, round, is_step): (&str, u32, bool),
        (status, code): (Status, &str),
    ) -> (Move, Option<(Entry, bool)>) {
        let as_before = known.filter(|known| known.status == status && known.code == code);
        let target = as_before.filter(|known| !known.taken.is_end()).and_then(|known| known.taken.target());
        let target = target.and_then(|name| self.index_of(name));
        let taken = target.map_or_else(|| self.next(at.element, status, code), Move::To);
        let entry = self.stored(&taken).filter(|_| self.keeps_history).map(|stored| {
            let (element, code) = (name.to_owned(), code.to_owned());
            (Entry { element, round, is_step, status, code, taken: stored }, target.is_none())
        });
        (taken, entry)
    }

    fn enter(&mut self, position: usize, entry: Entry, discards: bool) {
        if discards {
            self.history.truncate(position);
        }
        if position < self.history.len() {
            self.history[position] = entry;
        } else {
            self.history.push(entry);
        }
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        self.elements.iter().position(|element| element.name == name)
    }

    fn stored(&self, taken: &Move) -> Option<Taken> {
        let name = |element: usize| self.elements[element].name.clone();
        Some(match taken.clone() {
            Move::To(element) => Taken::To { element: name(element) },
            Move::End(exit_code) => Taken::End { exit_code },
            Move::Fail(exit_code) => Taken::Fail { exit_code },
            Move::Stop(exit_code, at) => Taken::Stop { exit_code, restart_at: at.map(name) },
            Move::Unhandled | Move::Unmatched => return None,
        })
    }

    /// The way out of an element by its transitions, then those of its flow.
    fn next(&self, element: usize, status: Status, code: &str) -> Move {
        for level in &self.elements[element].levels {
            if let Some((_, to)) = level.ways.iter().find(|(pattern, _)| self.fits(*pattern, code)) {
                return to.clone();
            }
            match (level.default, level.next) {
                (Default::OrFail, _) => return Move::Unmatched,
                _ if status == Status::Failed => {}
                (Default::End, _) => return Move::End(None),
                (_, Some(next)) => return Move::To(next),
                (_, None) => {}
            }
        }
        if status == Status::Completed { Move::End(None) } else { Move::Unhandled }
    }

    fn default_way(&self, element: usize) -> Move {
        for level in &self.elements[element].levels {
            match (level.default, level.next) {
                (Default::End, _) => return Move::End(None),
                (_, Some(next)) => return Move::To(next),
                (_, None) => {}
            }
        }
        Move::End(None)
    }

    fn fits(&self, pattern: Pattern, code: &str) -> bool {
        match pattern {
            Pattern::Code(wanted) => code == CODES[wanted],
            Pattern::Completed => code == "COMPLETED",
            Pattern::Failed => code == "FAILED",
            Pattern::FailedSomehow => code.starts_with('F'),
            Pattern::AnyCode => code.len() == 1,
            Pattern::All => true,
            Pattern::Given => code == CODES[self.code],
        }
    }
}

/// Where an execution is on its way.
struct Walked {
    element: usize,
    position: usize,
    rounds: HashMap<usize, u32>,
    has_rerun: bool,
    /// The exit code of the element before.
    last: Option<String>,
}

/// A failure that has ended an execution is tried again.
fn is_tried_again(known: &Entry) -> bool {
    known.status == Status::Failed && matches!(known.taken, Taken::Fail { .. } | Taken::Stop { restart_at: None, .. })
}

/// A step as a decider sees it.
pub(super) fn seen_step(name: &str, round: u32, status: Status, code: &str) -> String {
    format!("{name}#{round} {status} {code}")
}

/// The answer of a decider.
pub(super) fn decided(seed: usize, round: u32, last: Option<&str>) -> &'static str {
    let before = CODES.iter().position(|code| Some(*code) == last).unwrap_or(CODES.len());
    CODES[(seed + round as usize + before) % CODES.len()]
}

fn over(end: Move, ended: &Ended, is_decider: bool) -> End {
    let own = |status: Status| {
        let is_own = is_decider || (ended.status == status && ended.code != status.as_str());
        is_own.then(|| ended.code.clone())
    };
    match end {
        Move::End(named) => End::Completed(named.or_else(|| own(Status::Completed))),
        Move::Fail(named) => End::Failed(named.or_else(|| own(Status::Failed))),
        Move::Unhandled => End::Failed(own(Status::Failed)),
        Move::Stop(named, _) => End::Held(named.or_else(|| is_decider.then(|| ended.code.clone()))),
        Move::Unmatched | Move::To(_) => End::Failed(None),
    }
}
