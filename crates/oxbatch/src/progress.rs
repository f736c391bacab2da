//! Progress on a terminal: a bar for each running step, sampled from its counters, and a line for work that runs
//! elsewhere.

mod words;

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use oxbatch_core::engine::{Event, EventConsumer};
use oxbatch_core::execution::StepExecutionId;
use oxbatch_core::step::{LiveCounters, StepKind};
use oxbatch_core::{JobExecution, JobRegistry, StepExecution};

use crate::duration::show_whole_seconds;
use crate::output;

/// Time between two samples.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// Length of a bar: fine enough that it moves.
const LENGTH: u64 = 1_000;
const WITH_SHARE: &str = "{prefix}  [{bar:20}] {percent:>3} %  {wide_msg}";
const WITHOUT_SHARE: &str = "{prefix}  {spinner}  {wide_msg}";
const LINE: &str = "{spinner}  {wide_msg}";

/// The bars of the process, for log lines that must not be written across them.
static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// Calls `write` while no bar is drawn.
pub(crate) fn without_bars<T>(write: impl FnOnce() -> T) -> T {
    match BARS.get() {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// The bars of the running steps.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    registry: JobRegistry,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The job of the execution, once it has started.
    job_name: String,
    running: Vec<StepBar>,
}

#[derive(Debug)]
struct StepBar {
    step_id: StepExecutionId,
    name: String,
    live: Arc<LiveCounters>,
    bar: ProgressBar,
    since: Instant,
    /// The reader knows how far it is.
    has_share: bool,
    /// Said before the first item.
    word: &'static str,
    /// Said instead of the counts, until its moment where it has one.
    note: Option<(String, Option<Instant>)>,
}

impl Progress {
    /// Bars on standard error; `None` when that is no terminal.
    pub(crate) fn on_terminal(registry: &JobRegistry) -> Option<Arc<Self>> {
        let progress = || Arc::new(Self { registry: registry.clone(), state: Mutex::default() });
        std::io::stderr().is_terminal().then(progress)
    }

    /// Samples until it is dropped.
    pub(crate) async fn keep(&self) {
        let mut ticks = tokio::time::interval(SAMPLE_EVERY);
        loop {
            ticks.tick().await;
            for bar in &mut self.state().running {
                bar.sample();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The word for a step that has read nothing: what takes long then.
    fn first_word(&self, job_name: &str, step_name: &str, resumed: bool) -> &'static str {
        let step = self.registry.get(job_name).and_then(|job| job.steps().iter().find(|step| step.name() == step_name));
        match step.map(oxbatch_core::Step::kind) {
            Some(StepKind::Chunk { .. }) if resumed => "opening the input at its checkpoint",
            Some(StepKind::Chunk { .. }) => "opening the input",
            _ => "running",
        }
    }
}

impl EventConsumer for Progress {
    fn on_event(&self, event: &Event<'_>) {
        match *event {
            Event::ExecutionStarted { execution } => self.state().job_name.clone_from(&execution.job_name),
            Event::StepStarted { step_id, step_name, live, resumed, .. } => {
                let bar = BARS.get_or_init(MultiProgress::new).add(ProgressBar::new(LENGTH));
                bar.set_style(style(WITHOUT_SHARE));
                bar.set_prefix(step_name.to_owned());
                let mut state = self.state();
                let word = self.first_word(&state.job_name, step_name, resumed);
                let (name, live, since) = (step_name.to_owned(), Arc::clone(live), Instant::now());
                state.running.push(StepBar { step_id, name, live, bar, since, has_share: false, word, note: None });
            }
            Event::RetryScheduled { step_name, retry, delay, .. } => {
                let note = format!("waiting {} before retry {retry}", show_whole_seconds(delay));
                let until = Some(Instant::now() + delay);
                let mut state = self.state();
                let bars = state.running.iter_mut().filter(|bar| bar.name == step_name);
                bars.for_each(|bar| bar.note = Some((note.clone(), until)));
            }
            Event::StopRequested { .. } => {
                let note = ("stopping at its next safe point".to_owned(), None);
                self.state().running.iter_mut().for_each(|bar| bar.note = Some(note.clone()));
            }
            Event::StepFinished { step } => {
                let mut state = self.state();
                let (ended, rest) = state.running.drain(..).partition(|bar: &StepBar| bar.step_id == step.id);
                state.running = rest;
                ended.iter().for_each(|bar: &StepBar| bar.bar.finish_and_clear());
            }
            _ => {}
        }
    }
}

impl StepBar {
    fn sample(&mut self) {
        let (counters, now) = (self.live.counters(), Instant::now());
        if let Some(share) = self.live.progress() {
            if !std::mem::replace(&mut self.has_share, true) {
                self.bar.set_style(style(WITH_SHARE));
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the length")]
            #[expect(clippy::cast_precision_loss, reason = "a length of a thousand")]
            self.bar.set_position((share.clamp(0.0, 1.0) * LENGTH as f64) as u64);
        }
        self.note.take_if(|(_, until)| until.is_some_and(|until| until <= now));
        let elapsed = now - self.since;
        self.bar.set_message(match &self.note {
            Some((note, _)) => format!("{note}  {}", show_whole_seconds(elapsed)),
            None => {
                let shares = self.live.shares().filter(|_| elapsed >= words::SHARES_AFTER);
                words::of_counts(self.word, &counters, elapsed, (self.live.time_left(), shares))
            }
        });
        self.bar.tick();
    }
}

/// A line on a terminal for an execution that runs elsewhere and is waited for.
#[derive(Debug)]
pub(crate) struct Waiting {
    bar: ProgressBar,
    since: Instant,
}

impl Waiting {
    /// A line on standard error; `None` when that is no terminal.
    pub(crate) fn on_terminal() -> Option<Self> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let bar = BARS.get_or_init(MultiProgress::new).add(ProgressBar::new_spinner());
        bar.set_style(style(LINE));
        Some(Self { bar, since: Instant::now() })
    }

    /// Shows how far the execution is.
    pub(crate) fn show(&self, execution: &JobExecution, newest: Option<&StepExecution>) {
        self.bar.set_message(output::one_line(&words::of_execution(execution, newest, self.since.elapsed())));
        self.bar.tick();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ").tick_chars("-\\|/-")
}
