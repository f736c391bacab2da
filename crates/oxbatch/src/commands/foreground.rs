//! An execution in the foreground: launched here, watched to its end, stopped by the keyboard, summed up.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oxbatch_core::engine::{Event, EventConsumer, OperatorError};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::{JobRepository, LaunchError, Launched};
use oxbatch_core::step::StepKind;
use oxbatch_core::{Engine, JobExecution, JobRegistry, Status, StepExecution};

use crate::colour::{self, paint_word};
use crate::connection::of_job;
use crate::duration::show_seconds;
use crate::error::CliError;
use crate::exit::Exit;
use crate::log::EventLog;
use crate::output;
use crate::program::Program;
use crate::progress::Progress;
use crate::signals::{Signal, Signals};
use crate::view::ReportView;

/// Length of one wait for the end; it is waited again after that.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// Launches an execution on a node of this process and stays with it to its end.
pub(super) async fn run(
    program: &Program,
    repository: Arc<dyn JobRepository>,
    json: bool,
    launch: impl AsyncFnOnce(&Engine) -> Result<Launched, OperatorError>,
) -> Result<Exit, CliError> {
    let watch = Arc::new(Watch::default());
    let progress = Progress::on_terminal(&program.registry);
    let mut config = program.engine(None)?.config();
    config.take_work = false;
    config.listeners.clone_from(&program.listeners);
    config.secrets = program.secrets()?;
    config.consumers.push(Arc::new(EventLog::in_foreground()));
    config.consumers.push(watch.clone());
    if let Some(progress) = &progress {
        config.consumers.push(progress.clone());
    }
    let traces = program.traces(&mut config, &repository)?;
    let signals = Signals::install().map_err(|source| CliError::Runtime { source })?;
    let engine = Engine::start(program.registry.clone(), repository, config).await?;
    let ended = match launch(&engine).await {
        Ok(launched) => {
            // The engine closes the database at the end.
            program.trail.end(format!("execution {}", launched.execution.id)).await;
            let drawing = progress.map(|progress| tokio::spawn(async move { progress.keep().await }));
            let ended = attend(&engine, &watch, launched.execution, signals).await;
            if let Some(drawing) = drawing {
                drawing.abort();
            }
            ended
        }
        Err(error) => {
            program.trail.end("refused".to_owned()).await;
            Err(explain(&engine, error).await)
        }
    };
    engine.shutdown().await;
    if let Some(traces) = traces {
        traces.close().await;
    }
    let execution = ended?;
    watch.report(&program.registry, &execution, json)?;
    Ok(Exit::of_job(execution.status, of_job(&program.registry, &execution)))
}

/// Waits for the end. The first Ctrl-C is a person's request to stop, SIGTERM a shutdown that is resumed later; the
/// second signal ends the process at once.
async fn attend(
    engine: &Engine,
    watch: &Watch,
    launched: JobExecution,
    mut signals: Signals,
) -> Result<JobExecution, CliError> {
    let id = launched.id;
    let mut ended = pin!(wait(engine, id));
    let signal = tokio::select! {
        ended = &mut ended => return ended,
        gone = engine.store_gone() => return Err(gone.into()),
        signal = signals.next() => signal,
    };
    signals.exit_at_next();
    match signal {
        Signal::Interrupt => {
            output::remark("stopping at the next safe point; once more to end at once");
            match engine.stop(id).await {
                // It ended in the very moment.
                Ok(_) | Err(OperatorError::Repository(_)) => tokio::select! {
                    ended = ended => ended,
                    gone = engine.store_gone() => Err(gone.into()),
                },
                Err(error) => Err(error.into()),
            }
        }
        Signal::Terminate => {
            engine.shutdown().await;
            // The repository is closed by now: the end was reported by an event.
            Ok(watch.seen().execution.clone().unwrap_or(launched))
        }
    }
}

async fn wait(engine: &Engine, id: ExecutionId) -> Result<JobExecution, CliError> {
    loop {
        let execution = engine.wait(id, LONG).await?;
        if !execution.status.is_running() {
            return Ok(execution);
        }
    }
}

/// An execution that stands in the way may wait for a service that is not there.
async fn explain(engine: &Engine, error: OperatorError) -> CliError {
    if let OperatorError::Launch(LaunchError::AlreadyRunning { execution_id: id }) = error
        && let Ok(execution) = engine.execution(id).await
        && execution.status == Status::Starting
    {
        return CliError::Waiting { id };
    }
    error.into()
}

/// The ends of the steps and of the execution, as the engine's events report them.
#[derive(Debug, Default)]
struct Watch {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    steps: Vec<SeenStep>,
    execution: Option<JobExecution>,
}

#[derive(Debug)]
enum SeenStep {
    Ended(Box<StepExecution>),
    AlreadyComplete(String),
}

impl EventConsumer for Watch {
    fn on_event(&self, event: &Event<'_>) {
        match *event {
            Event::StepAlreadyComplete { step_name, .. } => {
                self.seen().steps.push(SeenStep::AlreadyComplete(step_name.to_owned()));
            }
            Event::StepFinished { step } => self.seen().steps.push(SeenStep::Ended(Box::new(step.clone()))),
            Event::ExecutionFinished { execution } => self.seen().execution = Some(execution.clone()),
            _ => {}
        }
    }
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, registry: &JobRegistry, execution: &JobExecution, json: bool) -> Result<(), CliError> {
        let seen = self.seen();
        if json {
            let ended = |step: &SeenStep| match step {
                SeenStep::Ended(step) => Some((**step).clone()),
                SeenStep::AlreadyComplete(_) => None,
            };
            let steps = seen.steps.iter().filter_map(ended).collect();
            return output::json(&ReportView::new(execution.clone(), steps, registry));
        }
        let width = seen.steps.iter().map(|step| step.name().chars().count()).max().unwrap_or(0);
        for step in &seen.steps {
            output::line(step.summary(registry, &execution.job_name, width))?;
        }
        output::line(summary(execution))
    }
}

impl SeenStep {
    fn name(&self) -> &str {
        match self {
            Self::Ended(step) => &step.step_name,
            Self::AlreadyComplete(name) => name,
        }
    }

    fn summary(&self, registry: &JobRegistry, job_name: &str, width: usize) -> String {
        let step = match self {
            Self::AlreadyComplete(name) => return format!("{name:<width$}  already complete"),
            Self::Ended(step) => step,
        };
        let definition =
            registry.get(job_name).and_then(|job| job.steps().iter().find(|it| it.name() == step.step_name));
        let is_chunk = definition.is_some_and(|definition| matches!(definition.kind(), StepKind::Chunk { .. }));
        let counters = step.counters;
        let status = paint_word(step.status.as_str(), colour::on_stdout());
        let mut parts = vec![format!("{:<width$}", step.step_name), status];
        if is_chunk {
            let (read, write, filter, commit) = (counters.read, counters.write, counters.filter, counters.commit);
            parts.push(format!("read {read}  written {write}  filtered {filter}  commits {commit}"));
        }
        let rare = [("skipped", counters.skip()), ("rollbacks", counters.rollback), ("retries", counters.retry)];
        parts.extend(rare.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")));
        parts.extend(step.end_time.map(|end| took(end, step.start_time)));
        parts.join("  ")
    }
}

fn summary(execution: &JobExecution) -> String {
    let status = paint_word(execution.status.as_str(), colour::on_stdout());
    let mut parts = vec![format!("execution {} of {}", execution.id, execution.job_name), status];
    if let (Some(end), Some(start)) = (execution.end_time, execution.start_time) {
        parts.push(took(end, start));
    }
    if let Some(message) = &execution.exit_message {
        parts.push(output::one_line(message));
    }
    parts.join("  ")
}

fn took(end: jiff::Timestamp, start: jiff::Timestamp) -> String {
    show_seconds(end.duration_since(start).try_into().unwrap_or_default())
}
