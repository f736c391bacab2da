//! The plan of a restart: a pure function of a job's flow and of what the repository keeps of an instance.
//!
//! It asks the rules that a restart itself follows: [`Walk`] for the way, [`inherited`] and [`check_attempts`] for the
//! begin of a step, [`pending_main`] for the steps at the end. Nothing is decided here that an execution would decide
//! again.

use super::start_step::{already_complete, new_step, start_limit_reached};
use crate::execution::{ExecutionId, InstanceId, JobExecution, Status, StepExecutionId, StepState, cause_chain};
use crate::item::Origin;
use crate::job::FlowGraph;
use crate::job::flow::{Body, Ended, Stop, Visit, Walk, WalkEnd};
use crate::repository::rules::flow::pending_main;
use crate::repository::rules::step::{Inherited, RunningExecution, check_attempts, inherited};
use crate::repository::{InstancePast, PastAttempt, RepositoryError, StepStart};
use crate::step::Step;

/// The plan of a restart of an execution, and of a forced launch of its instance.
#[derive(Debug, Clone, PartialEq)]
pub struct RestartPlan {
    /// The execution.
    pub execution_id: ExecutionId,
    /// Its job.
    pub job_name: String,
    /// Its status.
    pub status: Status,
    /// The way of a restart; the reason where it is refused.
    pub restart: Result<Course, String>,
    /// The difference between the definition of the job and that on which the past depends, where it matters: a restart
    /// is refused unless changes are accepted.
    pub definition_change: Option<String>,
    /// The way of a launch with force; the reason where it is refused.
    pub force: Result<Course, String>,
    /// A text that is another one as soon as something else would be done.
    pub tag: String,
}

/// Most elements that a plan names: a cycle may have any number of rounds.
pub const MAX_PLANNED: usize = 1_000;

/// The way of an execution through its job, as far as it is certain, and on from there under the assumption that each
/// element ends as it did before, or else COMPLETED.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// The elements in their order.
    pub elements: Vec<PlannedElement>,
    /// The end of what can be planned.
    pub end: CourseEnd,
}

/// An element that an execution comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedElement {
    /// Its name.
    pub name: String,
    /// Number of the round of a cycle, from 1.
    pub iteration: u32,
    /// `true` if it is a step that runs at the end of the execution.
    pub is_final: bool,
    /// `false` if it is reached only when those before it end as the plan assumes.
    pub is_certain: bool,
    /// The action there.
    pub action: PlannedAction,
}

/// The action of an execution at an element.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PlannedAction {
    /// Nothing: an earlier execution has finished it.
    PassOver {
        /// The execution that has.
        execution_id: Option<ExecutionId>,
        /// COMPLETED, or FAILED where a transition has led on from it.
        status: Status,
        /// Its exit code.
        exit_code: String,
    },
    /// The step runs from its start.
    Begin {
        /// `true` if an earlier execution has completed it: it runs again all the same.
        again: bool,
    },
    /// The step goes on from what its last attempt has committed.
    Resume(ResumePoint),
    /// The decider is asked.
    Decide,
    /// The execution fails here: the step was attempted as often as it may be.
    Refuse {
        /// Attempts made.
        attempts: i64,
    },
}

/// The place at which a step goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct ResumePoint {
    /// The execution of the last attempt.
    pub execution_id: ExecutionId,
    /// The last attempt.
    pub step_id: StepExecutionId,
    /// The number of attempts made.
    pub attempts: i64,
    /// Items that all attempts together have read up to their last commits, those included that could not be read.
    pub items_read: i64,
    /// The place in the source, as the reader's checkpoint has it: the next line of a file, the last key of a table.
    pub place: Option<Origin>,
    /// `false` if nothing was committed: the step begins at its start, with the context that it was given.
    pub has_state: bool,
}

/// The end of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CourseEnd {
    /// The execution ends with this status.
    Over {
        /// The status.
        status: Status,
        /// Its message, where that is known before.
        message: Option<String>,
    },
    /// The way on depends on the answer of a decider.
    Open {
        /// Its name.
        decider: String,
    },
    /// More than [`MAX_PLANNED`] elements follow.
    TooLong,
}

/// The course of the next execution of an instance with this past, by the flow of its job.
///
/// # Errors
/// The stored past cannot be read.
pub(super) fn course(
    graph: &FlowGraph,
    execution: &JobExecution,
    past: &InstancePast,
    is_rerun: bool,
) -> Result<Course, RepositoryError> {
    let mut plan = Plan { past, instance_id: execution.instance_id, is_rerun, elements: Vec::new(), is_certain: true };
    let (entries, previous) = match graph.has_past() {
        true => (past.entries.clone(), past.previous.clone()),
        false => (Vec::new(), None),
    };
    let pending = if graph.finally().is_empty() { None } else { pending_main(previous) };
    let since = pending.as_ref().map(|main| main.execution_id);
    let end = match pending {
        Some(main) => CourseEnd::Over { status: main.status, message: main.exit_message },
        None => match graph.patterns(&execution.parameters) {
            Ok(patterns) => plan.main(graph, Walk::new(graph, patterns, entries))?,
            Err(message) => CourseEnd::Over { status: Status::Failed, message: Some(message) },
        },
    };
    let status = match &end {
        CourseEnd::Over { status, .. } => Some(*status),
        CourseEnd::Open { .. } | CourseEnd::TooLong => None,
    };
    let runs = |status: Option<Status>, one: &crate::job::FinallyStep| match status {
        Some(Status::Completed | Status::Failed) => one.runs_after(status.unwrap_or(Status::Completed)),
        Some(_) => false,
        None => one.runs_after(Status::Completed) && one.runs_after(Status::Failed),
    };
    for one in graph.finally().iter().filter(|one| runs(status, one)) {
        plan.final_step(one.step(), since)?;
    }
    Ok(Course { elements: plan.elements, end })
}

/// A plan that is being made.
struct Plan<'a> {
    past: &'a InstancePast,
    instance_id: InstanceId,
    /// The reader is one of kept items: the step's own reader does not know its checkpoint.
    is_rerun: bool,
    elements: Vec<PlannedElement>,
    is_certain: bool,
}

impl Plan<'_> {
    fn main(&mut self, graph: &FlowGraph, mut walk: Walk<'_>) -> Result<CourseEnd, RepositoryError> {
        loop {
            if self.elements.len() >= MAX_PLANNED {
                return Ok(CourseEnd::TooLong);
            }
            match walk.visit() {
                Visit::Pass(decision) => {
                    let (stop, ended) = (decision.stop, decision.ended().clone());
                    let execution_id = walk.known(stop).map(|known| known.execution_id);
                    let (status, exit_code) = (ended.status, ended.exit_code);
                    let action = PlannedAction::PassOver { execution_id, status, exit_code };
                    self.push(graph.element(stop.element).name(), stop.iteration, false, action);
                    walk.follow(decision);
                }
                Visit::Decide(stop) => {
                    let decider = graph.element(stop.element).name().to_owned();
                    self.push(&decider, stop.iteration, false, PlannedAction::Decide);
                    return Ok(CourseEnd::Open { decider });
                }
                Visit::Step(stop) => {
                    let Body::Step(step) = graph.element(stop.element).body() else { continue };
                    match self.step(&walk, step, stop)? {
                        Ok(ended) => {
                            let decision = walk.decide(stop, ended);
                            walk.follow(decision);
                        }
                        Err(end) => return Ok(end),
                    }
                }
                Visit::Over(end) => return Ok(over(end)),
            }
        }
    }

    /// A step of the main part: its end as it is assumed, or the end of the execution.
    fn step(&mut self, walk: &Walk<'_>, step: &Step, stop: Stop) -> Result<Result<Ended, CourseEnd>, RepositoryError> {
        let action = match self.begin(step, stop.iteration, None)? {
            Ok(action) => action,
            Err(StepStart::AlreadyComplete(summary)) => {
                let ended = already_complete(&summary);
                let (status, exit_code) = (ended.status, ended.exit_code.clone());
                let execution_id = self.attempt(step, stop.iteration, None).map(|one| one.last.step.execution_id);
                let action = PlannedAction::PassOver { execution_id, status, exit_code };
                self.push(step.name(), stop.iteration, false, action);
                return Ok(Ok(ended));
            }
            Err(StepStart::StartLimitReached { attempts }) => {
                self.push(step.name(), stop.iteration, false, PlannedAction::Refuse { attempts });
                let message = Some(start_limit_reached(step, attempts));
                return Ok(Err(CourseEnd::Over { status: Status::Failed, message }));
            }
            // Of a status that no execution begins with.
            Err(StepStart::Run(_) | StepStart::StopRequested) => return Ok(Err(CourseEnd::TooLong)),
        };
        self.push(step.name(), stop.iteration, false, action);
        self.is_certain = false;
        let before = walk.known(stop).filter(|known| known.status == Status::Completed);
        let exit_code = before.map_or_else(|| Status::Completed.as_str().to_owned(), |known| known.exit_code.clone());
        Ok(Ok(Ended { status: Status::Completed, exit_code, message: None, has_run: true }))
    }

    /// A step at the end, whose attempts count from an earlier execution where that has done the main part.
    fn final_step(&mut self, step: &Step, since: Option<ExecutionId>) -> Result<(), RepositoryError> {
        let begun = match since {
            Some(_) => self.begin(step, 1, since)?,
            None => Ok(PlannedAction::Begin { again: false }),
        };
        let action = match begun {
            Ok(action) => action,
            Err(StepStart::AlreadyComplete(summary)) => PlannedAction::PassOver {
                execution_id: self.attempt(step, 1, since).map(|one| one.last.step.execution_id),
                status: summary.status,
                exit_code: already_complete(&summary).exit_code,
            },
            Err(StepStart::StartLimitReached { attempts }) => PlannedAction::Refuse { attempts },
            Err(StepStart::Run(_) | StepStart::StopRequested) => return Ok(()),
        };
        self.push(step.name(), 1, true, action);
        Ok(())
    }

    /// The begin of a step, by the rules that the repository follows when it begins.
    fn begin(
        &self,
        step: &Step,
        iteration: u32,
        since: Option<ExecutionId>,
    ) -> Result<Result<PlannedAction, StepStart>, RepositoryError> {
        let new = new_step(step, (iteration, since), jiff::Timestamp::UNIX_EPOCH);
        let attempt = self.attempt(step, iteration, since);
        let begin = match inherited(&self.next_execution(), attempt.map(|one| one.last.clone()), &new)? {
            Ok(begin) => begin,
            Err(not_run) => return Ok(Err(not_run)),
        };
        let made = attempt.map_or(0, |one| if since.is_some() { one.count_since_main } else { one.count });
        if let Err(not_run) = check_attempts(&new, made) {
            return Ok(Err(not_run));
        }
        Ok(Ok(match attempt {
            None => PlannedAction::Begin { again: false },
            Some(one) if one.last.step.status == Status::Completed => PlannedAction::Begin { again: true },
            Some(one) => PlannedAction::Resume(self.resume_point(step, one, made, &begin)?),
        }))
    }

    /// The execution that is planned: one that is launched after all others.
    fn next_execution(&self) -> RunningExecution {
        let (status, instance_id, context) = (Status::Started, self.instance_id, None);
        RunningExecution { status, instance_id, lineage: i64::MAX, context, launched: ExecutionId(i64::MAX) }
    }

    fn resume_point(
        &self,
        step: &Step,
        attempt: &PastAttempt,
        attempts: i64,
        begin: &Inherited,
    ) -> Result<ResumePoint, RepositoryError> {
        let state = begin.state.as_deref().map(StepState::from_json).transpose();
        let state = state.map_err(|error| RepositoryError::Corrupt {
            what: format!("state of step execution in row {}", attempt.last.step.id),
            source: cause_chain(&error).into(),
        })?;
        let reader = state.as_ref().and_then(|state| state.reader.as_ref()).filter(|_| !self.is_rerun);
        Ok(ResumePoint {
            execution_id: attempt.last.step.execution_id,
            step_id: attempt.last.step.id,
            attempts,
            items_read: begin.earlier.read + begin.earlier.read_skip,
            place: reader.and_then(|checkpoint| step.place_of(checkpoint)),
            has_state: state.is_some(),
        })
    }

    /// The last attempt of a step in a round, since the execution from which its attempts count.
    fn attempt(&self, step: &Step, iteration: u32, since: Option<ExecutionId>) -> Option<&PastAttempt> {
        self.past.attempts.iter().find(|one| {
            let of = &one.last.step;
            of.step_name == step.name()
                && of.iteration == iteration
                && since.is_none_or(|since| of.execution_id >= since)
        })
    }

    fn push(&mut self, name: &str, iteration: u32, is_final: bool, action: PlannedAction) {
        let (name, is_certain) = (name.to_owned(), self.is_certain);
        self.elements.push(PlannedElement { name, iteration, is_final, is_certain, action });
    }
}

fn over(end: WalkEnd) -> CourseEnd {
    let (status, message) = match end {
        WalkEnd::Completed { message, .. } => (Status::Completed, message),
        WalkEnd::Failed { message, .. } => (Status::Failed, Some(message)),
        WalkEnd::Stopped { message, .. } => (Status::Stopped, Some(message)),
    };
    CourseEnd::Over { status, message }
}
