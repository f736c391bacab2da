//! Previews: the first items of a chunk step, read and processed on a thread of their own; nothing is written or
//! stored.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::author_thread::{self, panic_message};
use crate::event::EventSink;
use crate::execution::{ExecutionId, InstanceId, MAX_SKIPPED_BYTES, StepExecutionId};
use crate::job::{InvalidParameters, Job, JobParameters};
use crate::listener::{JobListening, StepListening};
use crate::repository::JobRepository;
use crate::secret::{ActiveMask, Mask, Opened};
use crate::step::{
    ExecutionRuntime, JobScope, PreviewOutcome, PreviewRun, PreviewedItem, ReadToEnd, SavedContexts, Shared, Step,
    StepContext, StepKind, StepScope,
};

/// Items that a preview shows when nothing is said.
pub const DEFAULT_PREVIEW_ITEMS: usize = 20;
/// Most items that a preview shows.
pub const MAX_PREVIEW_ITEMS: usize = 500;
/// The time that a preview takes at most; what it has seen by then is shown.
pub const DEFAULT_PREVIEW_TIME: Duration = Duration::from_secs(30);

/// The time that a preview that was asked to stop is waited for, before its thread is left behind.
const LEAVE_BEHIND_AFTER: Duration = Duration::from_millis(200);

/// The options of a preview.
#[derive(Debug, Clone)]
pub struct PreviewOptions {
    /// The step; `None` for the first chunk step of the job.
    pub step: Option<String>,
    /// Most items, at most [`MAX_PREVIEW_ITEMS`]. [`DEFAULT_PREVIEW_ITEMS`]
    pub items: usize,
    /// Most time. [`DEFAULT_PREVIEW_TIME`]
    pub time: Duration,
}

impl Default for PreviewOptions {
    fn default() -> Self {
        Self { step: None, items: DEFAULT_PREVIEW_ITEMS, time: DEFAULT_PREVIEW_TIME }
    }
}

/// The first items of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// The step.
    pub step_name: String,
    /// The parameters, defaults included.
    pub parameters: JobParameters,
    /// The items in their order. Values of secret parameters in them are masked.
    pub items: Vec<PreviewedItem>,
    /// The reason why there are no more.
    pub end: PreviewEnd,
}

/// The end of a preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreviewEnd {
    /// It has shown as many items as it was asked for.
    Enough,
    /// The input has ended.
    EndOfInput,
    /// Its time was over.
    OutOfTime,
    /// An error of the reader or processor as a whole, or a panic.
    Failed(String),
}

/// The reason why there is no preview.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreviewError {
    /// The parameters do not fit the job.
    #[error("{0}")]
    Parameters(#[from] InvalidParameters),
    /// The job has no such step, or the step cannot be previewed.
    #[error("job '{job}' has nothing to preview: {reason}")]
    NotPreviewable {
        /// Name of the job.
        job: String,
        /// The reason, and the remedy.
        reason: String,
    },
    /// No thread can be started.
    #[error("failed to start a thread for the preview")]
    Thread(#[source] std::io::Error),
}

/// Previews a step of a job. Nothing is written or stored by it: no instance, no execution, no output. What the
/// author's own code does besides reading is its own; [`StepContext::is_preview`] says so.
///
/// Dropped before it is ready, it asks the author's code to stop. `held` is dropped when the last of that code has
/// ended.
///
/// # Errors
/// [`PreviewError`] when there is nothing to preview. The error of an item is a part of the preview, which goes on.
pub(super) async fn preview(
    job: &Job,
    Opened { parameters, mask }: Opened,
    options: PreviewOptions,
    repository: Arc<dyn JobRepository>,
    held: impl Send + 'static,
) -> Result<Preview, PreviewError> {
    let mask = mask.activate();
    let step = previewed_step(job, options.step.as_deref())?;
    let stop = CancellationToken::new();
    let _stop_when_dropped = stop.clone().drop_guard();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let run = PreviewRun {
        context: context(job, &step, (parameters.clone(), mask.clone()), stop.clone(), repository),
        items: options.items.min(MAX_PREVIEW_ITEMS),
        seen: Arc::clone(&seen),
    };
    let step_name = step.name().to_owned();
    let mut ended = spawn(step, run, held).map_err(PreviewError::Thread)?;
    let end = match tokio::time::timeout(options.time, &mut ended).await {
        Ok(Ok(Ok(end))) => end,
        Ok(Ok(Err(payload))) => PreviewEnd::Failed(panic_message(payload.as_ref())),
        Ok(Err(_)) => PreviewEnd::Failed("its thread died".to_owned()),
        Err(_) => {
            stop.cancel();
            // A thread that ignores this is left behind with its slot.
            let _ = tokio::time::timeout(LEAVE_BEHIND_AFTER, ended).await;
            PreviewEnd::OutOfTime
        }
    };
    let mut items = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    for item in &mut items {
        mask_item(&mask, item);
    }
    let end = match end {
        PreviewEnd::Failed(message) => PreviewEnd::Failed(mask.masked(message)),
        end => end,
    };
    Ok(Preview { step_name, parameters, items, end })
}

fn previewed_step(job: &Job, name: Option<&str>) -> Result<Step, PreviewError> {
    let refuse = |reason: String| PreviewError::NotPreviewable { job: job.name().to_owned(), reason };
    let is_chunk = |step: &&Step| matches!(step.kind(), StepKind::Chunk { .. });
    let step = match name {
        None => job.steps().iter().find(is_chunk).ok_or_else(|| refuse("it has no chunk step".to_owned()))?,
        Some(name) => {
            let found = job.steps().iter().find(|step| step.name() == name);
            found.ok_or_else(|| {
                let known: Vec<_> = job.steps().iter().filter(is_chunk).map(Step::name).collect();
                refuse(format!("it has no step '{name}'; its chunk steps are {}", known.join(", ")))
            })?
        }
    };
    match (is_chunk(&step), step.can_preview()) {
        (false, _) => Err(refuse(format!("step '{}' is a task, which has no items", step.name()))),
        (true, false) => Err(refuse(format!(
            "step '{}' does not say how its items are shown: add .preview() to it, which takes items and outputs that serde can write",
            step.name()
        ))),
        (true, true) => Ok(step.clone()),
    }
}

/// A context of no execution.
fn context(
    job: &Job,
    step: &Step,
    (parameters, mask): (JobParameters, ActiveMask),
    stop: CancellationToken,
    repository: Arc<dyn JobRepository>,
) -> StepContext {
    let asked = stop.clone();
    let request_stop = move || asked.cancel();
    let scope = JobScope {
        job_name: job.name().to_owned(),
        execution_id: ExecutionId(0),
        instance_id: InstanceId(0),
        rerun_of: None,
        parameters,
        mask,
        steps: std::sync::RwLock::default(),
        context: Shared::default(),
        stop: stop.clone(),
        repository,
        events: EventSink::new(Vec::new()),
        listening: JobListening::default(),
        log: Arc::default(),
        runtime: ExecutionRuntime::new(job.name(), ExecutionId(0), None),
        request_stop: Box::new(request_stop),
    };
    StepContext::new(Arc::new(StepScope {
        job: Arc::new(scope),
        stop,
        step_name: step.name().to_owned(),
        step_id: StepExecutionId(0),
        context: Shared::default(),
        saved: SavedContexts::default(),
        live: Arc::default(),
        earlier: crate::execution::Counters::default(),
        beside: Arc::default(),
        listening: StepListening::default(),
        progress: OnceLock::new(),
        totals: Mutex::default(),
    }))
}

fn spawn(
    step: Step,
    run: PreviewRun,
    held: impl Send + 'static,
) -> std::io::Result<oneshot::Receiver<std::thread::Result<PreviewEnd>>> {
    author_thread::start("preview".to_owned(), held, move |runtime| {
        let context = run.context.clone();
        let work: LocalBoxFuture<'_, _> = step.body().preview(run);
        let shown = runtime.block_on(async {
            tokio::select! {
                biased;
                shown = work => Some(shown),
                () = context.stopping() => None,
            }
        });
        match shown {
            Some(Ok(ReadToEnd::Yes)) => PreviewEnd::EndOfInput,
            Some(Ok(ReadToEnd::No)) => PreviewEnd::Enough,
            Some(Err(message)) => PreviewEnd::Failed(message),
            None => PreviewEnd::OutOfTime,
        }
    })
}

/// Masks an item, and cuts what is too long to be shown.
fn mask_item(mask: &Mask, item: &mut PreviewedItem) {
    let show = |value: &mut Value| {
        mask.mask_json(value);
        let json = value.to_string();
        if json.len() > MAX_SKIPPED_BYTES {
            *value = format!("{}…", &json[..json.floor_char_boundary(MAX_SKIPPED_BYTES)]).into();
        }
    };
    if let Some(input) = &mut item.input {
        show(input);
    }
    match &mut item.outcome {
        PreviewOutcome::Output(output) => show(output),
        PreviewOutcome::Failed { position, raw, error, .. } => {
            for text in [position, raw].into_iter().flatten().chain([error]) {
                *text = mask.masked(std::mem::take(text));
            }
        }
        PreviewOutcome::Filtered => {}
    }
}
