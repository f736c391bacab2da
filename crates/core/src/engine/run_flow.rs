//! Carries out the walk of an execution through its job's flow, then the steps at its end.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::decide::{Decided, decide};
use super::job_end::JobEnd;
use super::job_listeners;
use super::logs::LogKeeper;
use super::persist::{persist, persist_end};
use super::rerun_plan::{StepsOf, gone, steps_of};
use super::run_step::{StepRun, run_step};
use super::running::Handle;
use super::start_step::{Begun, already_complete, start_step, stopped_before, stopped_in};
use super::state::EngineState;
use super::step_end::{Behind, BehindOf, StepEnd};
use super::time_limit::Bound;
use crate::event::{Event, Limited};
use crate::execution::{ExecutionContext, MainResult, Status, StepExecutionId, StepSummary, cause_chain};
use crate::job::flow::{Body, Decision, EndCode, Ended, Stop, Visit, Walk, WalkEnd};
use crate::job::{DecisionFacts, FlowGraph, Job};
use crate::repository::rules::flow::{latest_rounds, pending_main, with_finally};
use crate::repository::rules::joined::BehindStep;
use crate::repository::{ExecutionOutcome, FlowPast, FlowRecord, RepositoryError, StartedStep};
use crate::step::{EXIT_CODE_ENTRY, JobScope, Step};

/// An execution under way.
struct Run<'a> {
    state: &'a Arc<EngineState>,
    graph: &'a FlowGraph,
    handle: &'a Handle,
    scope: Arc<JobScope>,
    log: &'a LogKeeper,
    /// The first step, where it was begun with the claim.
    begun: Option<Box<StartedStep>>,
    /// `true` if the job's context is at hand: it comes with the first step, or with the past of the flow.
    has_context: bool,
    finally_time_limit: Duration,
    /// The time limit of the part that runs: of the main part, or of what runs at the end.
    bound: Option<Bound>,
    /// The rounds of steps that earlier executions have run, until they are passed.
    rounds: HashMap<(String, u32), StepSummary>,
}

/// Runs the elements of a job, or the steps whose skipped items are run again.
pub(super) async fn run_flow(
    state: &Arc<EngineState>,
    job: Job,
    begun: Option<Box<StartedStep>>,
    (scope, log): (&Arc<JobScope>, &LogKeeper),
    handle: &Handle,
) -> JobEnd {
    let execution = handle.execution.as_ref();
    let find =
        persist(state, "find the steps of an execution", || steps_of(state.repository.as_ref(), &job, execution));
    let graph = match find.await {
        Ok(StepsOf::All) => job.flow().clone(),
        Ok(StepsOf::Some(steps)) => FlowGraph::sequence(steps.into_iter().cloned()),
        Ok(StepsOf::Gone(of)) => return JobEnd::failed(gone(of)),
        Err(error) => return JobEnd::failed(cause_chain(&error)),
    };
    let mut past = FlowPast::default();
    if graph.has_past() {
        let find = persist(state, "read the past of a flow", || state.repository.flow_past(&handle.lease));
        past = match find.await {
            Ok(past) => past,
            Err(RepositoryError::LeaseLost { .. }) => return JobEnd::LeaseLost,
            Err(error) => return JobEnd::failed(cause_chain(&error)),
        };
    }
    *scope.steps.write().unwrap_or_else(PoisonError::into_inner) = latest_rounds(&past.rounds);
    let rounds = std::mem::take(&mut past.rounds).into_iter();
    let rounds = rounds.map(|round| ((round.step_name.clone(), round.iteration), round)).collect();
    let bound = job.time_limit().map(|limit| Bound::new(Limited::Job, limit, handle.clock.now(), handle.clock.now()));
    let mut run = Run {
        state,
        graph: &graph,
        handle,
        scope: Arc::clone(scope),
        log,
        begun,
        has_context: false,
        finally_time_limit: job.finally_time_limit(),
        bound,
        rounds,
    };
    if let Err(end) = run.take_context(past.job_context.as_deref()) {
        return end;
    }
    run.all(past).await
}

impl Run<'_> {
    /// Takes over the job's context, where it is not at hand yet.
    fn take_context(&mut self, json: Option<&str>) -> Result<(), JobEnd> {
        let Some(json) = json.filter(|_| !self.has_context) else { return Ok(()) };
        let context = ExecutionContext::from_json(json).map_err(|error| JobEnd::failed(cause_chain(&error)))?;
        self.scope.context.replace(context);
        self.has_context = true;
        Ok(())
    }

    /// The main part, unless that is over, and what runs at the end.
    async fn all(&mut self, past: FlowPast) -> JobEnd {
        let FlowPast { entries, previous, .. } = past;
        if self.graph.finally().is_empty() {
            return self.main(entries).await;
        }
        let main = match pending_main(previous) {
            // The time of executions that a person has launched before does not count.
            Some(main) => MainResult { running: main.running.min(self.handle.clock.now()), ..main },
            None => match self.main(entries).await {
                JobEnd::Completed { exit_code, message } => self.main_result(Status::Completed, exit_code, message),
                JobEnd::Failed { exit_code, message } => self.main_result(Status::Failed, exit_code, Some(message)),
                other => return other,
            },
        };
        self.finally(main).await
    }

    fn main_result(&self, status: Status, exit_code: Option<String>, exit_message: Option<String>) -> MainResult {
        let (execution_id, running) = (self.scope.execution_id, self.handle.clock.now());
        MainResult { execution_id, status, exit_code, exit_message, running }
    }

    /// Walks through the graph.
    async fn main(&mut self, entries: Vec<crate::execution::FlowEntry>) -> JobEnd {
        let patterns = match self.graph.patterns(&self.scope.parameters) {
            Ok(patterns) => patterns,
            Err(message) => return JobEnd::failed(message),
        };
        let mut walk = Walk::new(self.graph, patterns, entries);
        loop {
            let followed = match walk.visit() {
                Visit::Step(stop) => self.step(&mut walk, stop).await,
                Visit::Decide(stop) => self.decision(&mut walk, stop).await,
                Visit::Pass(decision) => self.pass(&mut walk, decision).await,
                Visit::Over(end) => return self.over(end),
            };
            if let Err(end) = followed {
                return end;
            }
        }
    }

    /// The end of the execution behind a step, where that is recorded with the end of the step.
    fn end_behind(&self, end: Option<WalkEnd>) -> Option<ExecutionOutcome> {
        let behind = BehindStep {
            leads_on: end.is_none(),
            has_finally: !self.graph.finally().is_empty(),
            has_listeners: self.scope.listening.has_job_listeners(),
        };
        let end = end.filter(|_| behind.ends_execution())?;
        let mut outcome = self.over(end).outcome(self.state, &self.scope, self.handle)?;
        job_listeners::complete(&self.scope, &mut outcome);
        Some(outcome)
    }

    fn over(&self, end: WalkEnd) -> JobEnd {
        let (by_step, problem) = match self.scope.context.current().get::<String>(EXIT_CODE_ENTRY) {
            Ok(code) => (code, None),
            Err(error) => (None, Some(format!("no step has set the exit code of the job: {}", cause_chain(&error)))),
        };
        let exit_code = |EndCode { named, own }| named.or(by_step).or(own);
        let and_problem = |message: String| match &problem {
            Some(problem) => format!("{message}; {problem}"),
            None => message,
        };
        match end {
            WalkEnd::Completed { code, message } => {
                let message = message.map(and_problem).or(problem);
                JobEnd::Completed { exit_code: exit_code(code), message }
            }
            WalkEnd::Failed { code, message } => {
                JobEnd::Failed { exit_code: exit_code(code), message: and_problem(message) }
            }
            WalkEnd::Stopped { code, message } => {
                JobEnd::StoppedByFlow { exit_code: exit_code(code), message: and_problem(message) }
            }
        }
    }

    /// Runs a step, or passes it when an earlier execution has completed it.
    async fn step(&mut self, walk: &mut Walk<'_>, stop: Stop) -> Result<(), JobEnd> {
        let Body::Step(step) = self.graph.element(stop.element).body() else { return Ok(()) };
        let begun = match self.begun.take() {
            Some(started) => Begun::Run(started),
            None => {
                self.check_time(step.name())?;
                start_step(self.state, step, &self.scope, self.handle, (stop.iteration, None)).await?
            }
        };
        let started = match begun {
            Begun::Run(started) => started,
            Begun::AlreadyComplete(summary) => {
                let ended = already_complete(&summary);
                let step_id = summary.step_id;
                self.note(*summary);
                let decision = walk.decide(stop, ended);
                return self.record_and_follow(walk, decision, Some(step_id)).await;
            }
        };
        self.take_context(started.job_context.as_deref())?;
        self.has_context = true;
        let execution_id = self.scope.execution_id;
        let behind = |ended: &Ended, step_id| {
            let decision = walk.decide(stop, ended.clone());
            let entry = walk.entry(&decision, execution_id, Some(step_id));
            let flow = entry.map(|entry| FlowRecord { entry, discards_later: decision.discards_later });
            Behind { flow, execution: self.end_behind(walk.end_behind(&decision)) }
        };
        let run = StepRun { step, started: *started, part: self.bound, behind: &behind, log: self.log };
        let (ended, summary) = self.ended(step, run_step(self.state, &self.scope, self.handle, run).await)?;
        self.note(summary);
        let decision = walk.decide(stop, ended);
        walk.follow(decision);
        Ok(())
    }

    /// The end of a step by itself.
    ///
    /// # Errors
    /// The end of the execution, when the step has not come to an end of its own, or the execution has ended with it.
    fn ended(&self, step: &Step, end: StepEnd) -> Result<(Ended, StepSummary), JobEnd> {
        match end {
            StepEnd::Ended { execution: Some(execution), .. } => Err(JobEnd::Recorded(execution)),
            StepEnd::Ended { ended, summary, execution: None } => Ok((ended, *summary)),
            StepEnd::Broken { message } => Err(JobEnd::failed(format!("step '{}' failed: {message}", step.name()))),
            StepEnd::OverTime { message } => Err(JobEnd::over_time(message)),
            StepEnd::Stopped => Err(JobEnd::Stopped { message: Some(stopped_in(self.state, step, self.handle)) }),
            StepEnd::LeaseLost => Err(JobEnd::LeaseLost),
        }
    }

    /// Notes what later elements see of a step.
    fn note(&self, summary: StepSummary) {
        let mut steps = self.scope.steps.write().unwrap_or_else(PoisonError::into_inner);
        steps.insert(summary.step_name.clone(), summary);
    }

    /// Asks a decider.
    async fn decision(&mut self, walk: &mut Walk<'_>, stop: Stop) -> Result<(), JobEnd> {
        let element = self.graph.element(stop.element);
        let Body::Decider(decider) = element.body() else { return Ok(()) };
        self.check_stop(element.name())?;
        let facts = DecisionFacts {
            execution_id: self.scope.execution_id,
            iteration: stop.iteration,
            parameters: self.scope.parameters.clone(),
            steps: self.scope.steps.read().unwrap_or_else(PoisonError::into_inner).clone(),
            last: walk.last().cloned(),
            job_context: self.scope.context.current(),
        };
        let asked = decide(self.state, (element.name(), decider), facts, self.handle, self.bound);
        let exit_code = match asked.await {
            Decided::Code(code) => self.scope.mask.masked(code),
            Decided::OverTime(message) => return Err(JobEnd::over_time(message)),
            Decided::Failed(message) => return Err(JobEnd::failed(message)),
            Decided::Stopped(message) => return Err(JobEnd::Stopped { message: Some(message) }),
            Decided::Lost => return Err(JobEnd::LeaseLost),
        };
        let decision = walk.decide(stop, Ended { status: Status::Completed, exit_code, message: None, has_run: true });
        self.record_and_follow(walk, decision, None).await
    }

    /// Passes an element that an earlier execution has finished.
    async fn pass(&mut self, walk: &mut Walk<'_>, decision: Decision) -> Result<(), JobEnd> {
        let element = self.graph.element(decision.stop.element);
        self.check_stop(element.name())?;
        if element.step().is_some() {
            let (execution_id, step_name) = (self.scope.execution_id, element.name());
            self.state.events.emit(&Event::StepAlreadyComplete { execution_id, step_name });
            // Later elements see the round on their way, as they would without an interruption.
            if let Some(passed) = self.rounds.remove(&(step_name.to_owned(), decision.stop.iteration)) {
                self.note(passed);
            }
        }
        self.record_and_follow(walk, decision, None).await
    }

    /// Records a decision where that is new, and goes on by it. The step is one that is found complete, if it is one
    /// that the history does not know: without it the entry would be that of a decider.
    async fn record_and_follow(
        &self,
        walk: &mut Walk<'_>,
        decision: Decision,
        step_id: Option<StepExecutionId>,
    ) -> Result<(), JobEnd> {
        if let Some(entry) = walk.entry(&decision, self.scope.execution_id, step_id) {
            let record = FlowRecord { entry, discards_later: decision.discards_later };
            self.persisted("record a flow", || self.state.repository.record_flow(&self.handle.lease, record.clone()))
                .await?;
        }
        walk.follow(decision);
        Ok(())
    }

    async fn persisted<F>(&self, doing: &'static str, attempt: impl Fn() -> F) -> Result<(), JobEnd>
    where
        F: Future<Output = Result<(), RepositoryError>>,
    {
        match persist_end(self.state, doing, attempt).await {
            Ok(()) => Ok(()),
            Err(RepositoryError::LeaseLost { .. }) => Err(JobEnd::LeaseLost),
            Err(error) => Err(JobEnd::failed(cause_chain(&error))),
        }
    }

    fn check_stop(&self, element: &str) -> Result<(), JobEnd> {
        match self.handle.cause() {
            Some(_) => Err(stopped_before(element, self.handle)),
            None => self.check_time(element),
        }
    }

    /// Begins nothing behind the time limit of the part that runs.
    fn check_time(&self, element: &str) -> Result<(), JobEnd> {
        let Some(bound) = self.bound.filter(|bound| bound.is_exceeded(&self.handle.clock)) else { return Ok(()) };
        bound.report(&self.state.events, self.scope.execution_id, element);
        Err(JobEnd::over_time(format!("{} before step '{element}'", bound.message())))
    }

    /// Runs the steps at the end, under a main result that is stored before.
    async fn finally(&mut self, main: MainResult) -> JobEnd {
        let stored = self
            .persisted("record a main result", || {
                self.state.repository.record_main_result(&self.handle.lease, main.clone())
            })
            .await;
        if let Err(end) = stored {
            return end;
        }
        let (limit, now) = (self.finally_time_limit, self.handle.clock.now());
        self.bound = Some(Bound::new(Limited::Finally, limit, now.saturating_sub(main.running), now));
        let mut failure = None;
        let none: BehindOf<'_> = &|_, _| Behind::default();
        for step in self.graph.finally().iter().filter(|step| step.runs_after(main.status)).map(|one| one.step()) {
            match self.final_step(step, main.execution_id, none).await {
                Ok(None) => {}
                Ok(Some(message)) => {
                    failure.get_or_insert_with(|| format!("step '{}' at the end failed: {message}", step.name()));
                }
                Err(JobEnd::Failed { message, .. }) => {
                    failure.get_or_insert(message);
                }
                Err(end) => return end,
            }
        }
        let MainResult { status, exit_code, exit_message, .. } = with_finally(main, failure);
        match status {
            Status::Completed => JobEnd::Completed { exit_code, message: exit_message },
            _ => JobEnd::Failed { exit_code, message: exit_message.unwrap_or_default() },
        }
    }

    /// Runs a step at the end; the message of its failure.
    async fn final_step(
        &mut self,
        step: &Step,
        since: crate::execution::ExecutionId,
        behind: BehindOf<'_>,
    ) -> Result<Option<String>, JobEnd> {
        self.check_time(step.name())?;
        match start_step(self.state, step, &self.scope, self.handle, (1, Some(since))).await? {
            Begun::AlreadyComplete(_) => Ok(None),
            Begun::Run(started) => {
                self.take_context(started.job_context.as_deref())?;
                self.has_context = true;
                let run = StepRun { step, started: *started, part: self.bound, behind, log: self.log };
                let end = run_step(self.state, &self.scope, self.handle, run).await;
                let (ended, summary) = self.ended(step, end)?;
                self.note(summary);
                Ok((ended.status == Status::Failed).then(|| ended.message.unwrap_or_default()))
            }
        }
    }
}
