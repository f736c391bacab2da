//! The consumer that writes the engine's events to the log.

use oxbatch_core::engine::{Event, EventConsumer};
use oxbatch_core::execution::{JobExecution, Status, StepExecution, cause_chain};
use oxbatch_core::notice::Notice;
use oxbatch_core::repository::{Fire, Recovered, RepositoryError};
use oxbatch_server::Repeats;
use tracing::{debug, error, info, warn};

/// Writes the engine's events to the log.
#[derive(Debug)]
pub(crate) struct EventLog {
    /// The end of the execution is reported by the command that runs it, so it is no error line here.
    in_foreground: bool,
    troubles: Repeats,
}

impl EventLog {
    /// The log of a service.
    pub(crate) fn of_service() -> Self {
        Self { in_foreground: false, troubles: Repeats::default() }
    }

    /// The log of a command that runs an execution in the foreground.
    pub(crate) fn in_foreground() -> Self {
        Self { in_foreground: true, troubles: Repeats::default() }
    }

    fn finished(&self, execution: &JobExecution) {
        let (job, id, status) = (&execution.job_name, execution.id.0, execution.status.as_str());
        let message = execution.exit_message.as_deref().unwrap_or_default();
        if execution.status == Status::Failed && !self.in_foreground {
            error!(job.name = job, execution.id = id, status, cause = message, "failed");
        } else {
            info!(job.name = job, execution.id = id, status, note = message, "finished");
        }
    }

    /// The same trouble is told once in a while.
    fn schedule_trouble(&self, name: &str, problem: &str) {
        if let Some(left_out) = self.troubles.admit(&format!("{name}: {problem}")) {
            warn!(schedule = name, problem, left_out, "a schedule cannot be seen to");
        }
    }

    fn trouble(&self, doing: &str, error: &RepositoryError) {
        let cause = cause_chain(error);
        if let Some(left_out) = self.troubles.admit(&format!("{doing}: {cause}")) {
            warn!(doing, cause, left_out, "the repository failed; it is tried again");
        }
    }

    fn of_execution(&self, event: &Event<'_>) {
        match *event {
            Event::ExecutionLaunched { execution } => launched(execution),
            Event::ExecutionStarted { execution } => {
                info!(job.name = execution.job_name, execution.id = execution.id.0, "started");
            }
            Event::DefinitionChanged { execution_id, difference: None } => {
                info!(execution.id = execution_id.0, "the definition of the job has changed in what is yet to come");
            }
            Event::DefinitionChanged { execution_id, difference: Some(difference) } => {
                warn!(execution.id = execution_id.0, difference, "definition changed; it waits for a person");
            }
            Event::StopRequested { execution_id } => {
                info!(execution.id = execution_id.0, "asked to stop")
            }
            Event::ExecutionFinished { execution } => self.finished(execution),
            Event::ExecutionRecovered { recovered } => log_recovered(recovered),
            Event::LeaseLost { execution_id } => {
                warn!(execution.id = execution_id.0, "another node owns the execution by now; it was dropped here");
            }
            Event::LogLinesLost { execution_id, lines } => {
                warn!(
                    execution.id = execution_id.0,
                    lines, "the last lines of its log could not be stored and are lost"
                );
            }
            _ => {}
        }
    }

    fn of_schedule(&self, event: &Event<'_>) {
        match *event {
            Event::FireRecorded { fire, missed } => log_fire(fire, missed),
            Event::FireLate { late } => {
                let (schedule, instant) = (late.fire.schedule_name.as_str(), late.fire.instant);
                warn!(schedule, %instant, deadline = %late.kind, reason = late.message, "a fire is late");
            }
            Event::NoticeFailed { notice, problem, gives_up } => log_notice(notice, problem, gives_up),
            Event::ChannelsDiffer { problem } => warn!(problem, "notices"),
            Event::ScheduleTrouble { name, problem } => self.schedule_trouble(name, problem),
            _ => {}
        }
    }

    fn of_node(&self, event: &Event<'_>) {
        match *event {
            Event::RepositoryTrouble { doing, error } => self.trouble(doing, error),
            Event::RepositoryGone { error } => {
                error!(cause = cause_chain(error), "the database is gone; the process ends");
            }
            Event::HistoryPurged { report, ended_before } => {
                let (executions, instances) = (report.executions, report.instances);
                info!(executions, instances, %ended_before, "removed executions that ended long ago");
            }
            Event::DrainChanged { drain: Some(drain) } => {
                info!(stop = drain.stop, exit = drain.exit, "draining: no new work is taken")
            }
            Event::DrainChanged { drain: None } => info!("no longer draining"),
            Event::ShuttingDown { running: 0 } if self.in_foreground => debug!("shutting down"),
            Event::ShuttingDown { running } => {
                info!(running, "shutting down; running steps stop at their next safe point")
            }
            _ => {}
        }
    }
}

fn launched(execution: &JobExecution) {
    info!(
        job.name = execution.job_name,
        execution.id = execution.id.0,
        instance.id = execution.instance_id.0,
        "launched"
    );
}

/// The end of a step. Why it failed is reported once, with the end of the execution.
fn step_finished(step: &StepExecution) {
    let counters = step.counters;
    info!(
        execution.id = step.execution_id.0,
        step.name = step.step_name,
        status = step.status.as_str(),
        read = counters.read,
        written = counters.write,
        filtered = counters.filter,
        skipped = counters.skip(),
        commits = counters.commit,
        retries = counters.retry,
        "step finished"
    );
}

fn log_recovered(recovered: &Recovered) {
    let lost = &recovered.lost;
    warn!(
        job.name = lost.job_name,
        execution.id = lost.id.0,
        status = lost.status.as_str(),
        successor.id = recovered.successor.map(|id| id.0),
        note = lost.exit_message.as_deref().unwrap_or_default(),
        "recovered an execution that its owner left"
    );
}

fn of_step(event: &Event<'_>) {
    match *event {
        Event::StepStarted { execution_id, step_name, resumed, .. } => {
            info!(execution.id = execution_id.0, step.name = step_name, resumed, "step started");
        }
        Event::StepAlreadyComplete { execution_id, step_name } => {
            info!(execution.id = execution_id.0, step.name = step_name, "step is already complete");
        }
        Event::RetryScheduled { execution_id, step_name, retry, delay, cause } => {
            warn!(execution.id = execution_id.0, step.name = step_name, retry, ?delay, cause, "will be tried again");
        }
        Event::ListenerFailed { execution_id, step_name, method, cause } => {
            warn!(execution.id = execution_id.0, step.name = step_name, method, cause, "listener failed");
        }
        Event::StepLeftBehind { execution_id, step_name } => {
            warn!(
                execution.id = execution_id.0,
                step.name = step_name,
                "step ignored the request to stop and was left behind"
            );
        }
        Event::DecisionPending { execution_id, decider, waited } => {
            warn!(execution.id = execution_id.0, decider, ?waited, "decider does not answer yet");
        }
        Event::DeciderLeftBehind { execution_id, decider } => {
            warn!(execution.id = execution_id.0, decider, "decider did not answer in time and was left behind");
        }
        Event::TimeLimitExceeded { execution_id, element, limited, limit } => {
            warn!(execution.id = execution_id.0, element, ?limited, ?limit, "time limit exceeded");
        }
        Event::StepFinished { step } => step_finished(step),
        _ => {}
    }
}

impl EventConsumer for EventLog {
    fn on_event(&self, event: &Event<'_>) {
        match event {
            Event::ExecutionLaunched { .. }
            | Event::ExecutionStarted { .. }
            | Event::DefinitionChanged { .. }
            | Event::StopRequested { .. }
            | Event::ExecutionFinished { .. }
            | Event::ExecutionRecovered { .. }
            | Event::LeaseLost { .. }
            | Event::LogLinesLost { .. } => self.of_execution(event),
            Event::StepStarted { .. }
            | Event::StepAlreadyComplete { .. }
            | Event::StepFinished { .. }
            | Event::RetryScheduled { .. }
            | Event::ListenerFailed { .. }
            | Event::StepLeftBehind { .. }
            | Event::DecisionPending { .. }
            | Event::DeciderLeftBehind { .. }
            | Event::TimeLimitExceeded { .. } => of_step(event),
            Event::FireRecorded { .. }
            | Event::FireLate { .. }
            | Event::NoticeFailed { .. }
            | Event::ChannelsDiffer { .. }
            | Event::ScheduleTrouble { .. } => self.of_schedule(event),
            Event::RepositoryTrouble { .. }
            | Event::RepositoryGone { .. }
            | Event::HistoryPurged { .. }
            | Event::DrainChanged { .. }
            | Event::ShuttingDown { .. } => self.of_node(event),
        }
    }
}

fn log_fire(fire: &Fire, missed: usize) {
    let (schedule, instant, execution) = (fire.schedule_name.as_str(), fire.instant, fire.execution_id.map(|id| id.0));
    match &fire.message {
        None => info!(schedule, %instant, execution, missed, "a schedule has launched its job"),
        Some(reason) => {
            info!(schedule, %instant, execution, missed, outcome = %fire.outcome, reason, "a fire of a schedule launched nothing");
        }
    }
}

fn log_notice(notice: &Notice, problem: &str, gives_up: bool) {
    let (id, channel, kind) = (notice.id.0, notice.channel.as_str(), notice.kind.as_str());
    if gives_up {
        error!(notice.id = id, channel, kind, problem, "a notice was not delivered, and is given up");
    } else {
        warn!(notice.id = id, channel, kind, problem, "a notice was not delivered; it is tried again");
    }
}
