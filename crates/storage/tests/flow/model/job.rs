//! The job of a case, as a node runs it, and what all nodes of the case share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oxbatch_core::job::JobBuilder;
use oxbatch_core::repository::RepositoryError;
use oxbatch_core::step::TaskStepBuilder;
use oxbatch_core::{BoxError, DecisionFacts, Flow, Job, ParameterDeclaration, StepContext, TaskOutcome, TaskStep};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::interpreter::{decided, seen_step};
use super::plan::{At, Body, CODES, Default, Exits, Fate, Goes, Node, Pattern, Plan, ROUNDS, Say};

/// The parameter by which a launch names an exit code.
pub(super) const CODE: &str = "code";
/// The entry of the job's context to which each step adds its name.
const TRACE: &str = "trace";

/// The reports of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It has died at an action.
    Died(Fate),
    /// It is to shut down.
    ShutDown,
}

/// The state that all nodes of a case share.
pub(super) struct Control {
    pub(super) plan: Plan,
    tell: UnboundedSender<Told>,
    actions: AtomicU32,
    bodies: AtomicU32,
    decisions: AtomicU32,
    ends: Mutex<HashMap<String, usize>>,
    seen: Mutex<Vec<String>>,
    faults: Mutex<std::collections::BTreeSet<u32>>,
    /// The writes of nodes after their death.
    haunted: Mutex<Vec<&'static str>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Control {
    pub(super) fn new(plan: Plan, tell: UnboundedSender<Told>) -> Self {
        let faults = Mutex::new(plan.faults.clone());
        Self {
            plan,
            tell,
            actions: AtomicU32::new(0),
            bodies: AtomicU32::new(0),
            decisions: AtomicU32::new(0),
            ends: Mutex::default(),
            seen: Mutex::default(),
            faults,
            haunted: Mutex::default(),
        }
    }

    pub(super) fn seen(&self) -> Vec<String> {
        locked(&self.seen).clone()
    }

    pub(super) fn haunted(&self) -> Vec<&'static str> {
        locked(&self.haunted).clone()
    }

    /// A step has come to an end of its own, and that is recorded.
    pub(super) fn note_end(&self, step: &str) {
        *locked(&self.ends).entry(step.to_owned()).or_default() += 1;
    }

    fn see_all(&self, name: &str, trace: &[String], steps: &[String]) {
        locked(&self.seen).push(format!("{name} {trace:?} {steps:?}"));
    }

    fn see(&self, name: &str, trace: &[String]) {
        locked(&self.seen).push(format!("{name} {trace:?}"));
    }
}

/// The verdict on an action of the protocol.
pub(super) enum Verdict {
    Done,
    /// The store cannot do it now.
    Fault,
    Death(At),
    /// The node has died before.
    Haunts,
}

/// A node of a case.
pub(super) struct Mortal {
    pub(super) control: Arc<Control>,
    is_dead: AtomicBool,
    /// Dead work goes on from here.
    rises: Notify,
    /// Held through each claim: one that was sent before the death must not find what another node has begun since.
    claims: tokio::sync::Mutex<()>,
}

impl Mortal {
    pub(super) fn new(control: &Arc<Control>) -> Self {
        Self {
            control: Arc::clone(control),
            is_dead: AtomicBool::new(false),
            rises: Notify::new(),
            claims: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    /// Claims for a node that lives.
    pub(super) async fn claim<T>(
        &self,
        claim: impl Future<Output = Result<Option<T>, RepositoryError>>,
    ) -> Result<Option<T>, RepositoryError> {
        let _claims = self.claims.lock().await;
        if self.is_dead() { Ok(None) } else { claim.await }
    }

    /// Waits for the claims that a node has sent before its death.
    pub(super) async fn claims_no_more(&self) {
        drop(self.claims.lock().await);
    }

    /// The next action of the protocol.
    pub(super) fn verdict(&self) -> Verdict {
        if self.is_dead() {
            return Verdict::Haunts;
        }
        let control = &self.control;
        let action = control.actions.load(Ordering::SeqCst) + 1;
        if locked(&control.faults).remove(&action) {
            return Verdict::Fault;
        }
        control.actions.store(action, Ordering::SeqCst);
        match control.plan.deaths.get(&action) {
            None => Verdict::Done,
            Some((at, _)) => {
                self.is_dead.store(true, Ordering::SeqCst);
                Verdict::Death(*at)
            }
        }
    }

    /// Is dead from here on, until it rises; for good, if it never does.
    pub(super) async fn lie(&self) {
        let action = self.control.actions.load(Ordering::SeqCst);
        let fate = self.control.plan.deaths.get(&action).map_or(Fate::Dead, |(_, fate)| *fate);
        let _ = self.control.tell.send(Told::Died(fate));
        self.rises.notified().await;
    }

    pub(super) fn rise(&self) {
        self.rises.notify_one();
    }

    /// A write of a dead node has been taken.
    pub(super) fn note_haunted(&self, action: &'static str) {
        locked(&self.control.haunted).push(action);
    }

    async fn run_step(&self, says: &[Say], context: StepContext) -> Result<TaskOutcome, BoxError> {
        if self.is_dead() {
            return Ok(TaskOutcome::Completed);
        }
        let (control, name) = (&self.control, context.step_name());
        let mut trace: Vec<String> = context.get_from_job(TRACE)?.unwrap_or_default();
        control.see(name, &trace);
        trace.push(name.to_owned());
        context.put_into_job(TRACE, &trace)?;
        let body = control.bodies.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(halt) = control.plan.halts.get(&body) {
            match halt.shutdown {
                true => control.tell.send(Told::ShutDown)?,
                false => context.request_stop(),
            }
            context.stopping().await;
            if halt.heeds {
                return Ok(TaskOutcome::Stopped);
            }
        }
        let ended = locked(&control.ends).get(name).copied().unwrap_or(0);
        let code = |code: usize| CODES[code].to_owned();
        Ok(match says[ended % says.len()] {
            Say::Complete => TaskOutcome::Completed,
            Say::Code(index) => TaskOutcome::CompletedWith { exit_code: code(index) },
            Say::Fail(index) => TaskOutcome::FailedWith { exit_code: code(index), message: "as scripted".to_owned() },
            Say::Error => return Err("as scripted".into()),
        })
    }

    fn decide(&self, name: &str, seed: usize, facts: &DecisionFacts) -> Result<&'static str, BoxError> {
        if self.is_dead() {
            return Ok(CODES[0]);
        }
        let trace: Vec<String> = facts.get_from_job(TRACE)?.unwrap_or_default();
        let steps = facts.steps().values().map(|step| {
            let code = step.exit_code.as_deref().unwrap_or_default();
            seen_step(&step.step_name, step.iteration, step.status, code)
        });
        self.control.see_all(name, &trace, &steps.collect::<Vec<_>>());
        let decision = self.control.decisions.fetch_add(1, Ordering::SeqCst) + 1;
        if self.control.plan.undecided.contains(&decision) {
            return Err("as scripted".into());
        }
        Ok(decided(seed, facts.iteration(), facts.last().map(|last| last.exit_code.as_str())))
    }
}

fn step(mortal: &Arc<Mortal>, name: &str, says: &[Say], reruns: bool) -> TaskStepBuilder {
    let (mortal, says) = (Arc::clone(mortal), says.to_vec());
    let step = TaskStep::builder_async(name, move |context| {
        let (mortal, says) = (Arc::clone(&mortal), says.clone());
        async move { mortal.run_step(&says, context).await }
    });
    if reruns { step.rerun_if_complete() } else { step }
}

/// Adds an element with its ways out to a builder: a job and a flow have the same methods.
macro_rules! add {
    ($builder:expr, $mortal:expr, $prefix:expr, $nodes:expr, $index:expr, $flow:expr) => {{
        let (mortal, nodes, index): (&Arc<Mortal>, &[Node], usize) = ($mortal, $nodes, $index);
        let node = &nodes[index];
        let name = node.name(index);
        let mut builder = match &node.body {
            Body::Step { says, reruns } => $builder.step(step(mortal, &name, says, *reruns)).at_most(ROUNDS),
            Body::Decider(seed) => {
                let (mortal, seed, whole) = (Arc::clone(mortal), *seed, format!("{}{name}", $prefix));
                $builder.decider(&name, move |facts: &DecisionFacts| mortal.decide(&whole, seed, facts)).at_most(ROUNDS)
            }
            Body::Flow(inner) => $builder.flow(&name, $flow(mortal, &format!("{name}/"), inner)),
        };
        let at = |target: usize| nodes[target % nodes.len()].name(target % nodes.len());
        let Exits { ways, default } = &node.exits;
        for (pattern, goes) in ways {
            let on = match pattern {
                Pattern::Code(code) => builder.on(CODES[*code]),
                Pattern::Completed => builder.on("COMPLETED"),
                Pattern::Failed => builder.on("FAILED"),
                Pattern::FailedSomehow => builder.on("F*"),
                Pattern::AnyCode => builder.on("?"),
                Pattern::All => builder.on("*"),
                Pattern::Given => builder.on_given(|parameters| parameters.string(CODE).unwrap_or("").to_owned()),
            };
            builder = match *goes {
                Goes::To(target) => on.to(at(target)),
                Goes::End => on.end(),
                Goes::EndWith => on.end_with("ENDED"),
                Goes::Fail => on.fail(),
                Goes::FailWith => on.fail_with("BROKEN"),
                Goes::Stop => on.stop(),
                Goes::StopWith => on.stop_with("HELD"),
                Goes::StopBefore(target) => on.stop_before(at(target)),
            };
        }
        match *default {
            Default::Following => builder,
            Default::Then(target) => builder.then(at(target)),
            Default::End => builder.then_end(),
            Default::OrFail => builder.or_fail(),
        }
    }};
}

fn flow(mortal: &Arc<Mortal>, prefix: &str, nodes: &[Node]) -> Flow {
    let within = |_: &Arc<Mortal>, _: &str, _: &[Node]| Flow::new();
    (0..nodes.len()).fold(Flow::new(), |flow, index| add!(flow, mortal, prefix, nodes, index, within))
}

/// The job of a plan, if it can be built: a random graph has elements to which nothing leads.
pub(super) fn job(plan: &Plan, mortal: &Arc<Mortal>) -> Option<Job> {
    let start: JobBuilder = Job::builder("Model").parameter(ParameterDeclaration::string(CODE).non_identifying());
    let nodes = plan.nodes.as_slice();
    let job = (0..nodes.len()).fold(start, |job, index| add!(job, mortal, "", nodes, index, flow));
    let job = plan.finally.iter().enumerate().fold(job, |job, (index, (when, says))| {
        job.finally_when(*when, step(mortal, &format!("End{index}"), says, false))
    });
    job.build().ok()
}
