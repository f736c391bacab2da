//! Progress bars on a terminal: one for each running step, sampled from its counters a few times a second.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use oxbatch_core::engine::{Event, EventConsumer};
use oxbatch_core::execution::StepExecutionId;
use oxbatch_core::step::LiveCounters;

/// Time between two samples.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// Length of a bar: fine enough that it moves.
const LENGTH: u64 = 1_000;
const WITH_SHARE: &str = "{prefix}  [{bar:20}] {percent:>3} %  {wide_msg}";
const WITHOUT_SHARE: &str = "{prefix}  {spinner}  {elapsed}  {wide_msg}";

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
    running: Mutex<Vec<StepBar>>,
}

#[derive(Debug)]
struct StepBar {
    step_id: StepExecutionId,
    live: Arc<LiveCounters>,
    bar: ProgressBar,
    since: Instant,
    shows_share: bool,
}

impl Progress {
    /// Bars on standard error; `None` when that is no terminal.
    pub(crate) fn on_terminal() -> Option<Arc<Self>> {
        std::io::stderr().is_terminal().then(Arc::default)
    }

    /// Samples until it is dropped.
    pub(crate) async fn keep(&self) {
        let mut ticks = tokio::time::interval(SAMPLE_EVERY);
        loop {
            ticks.tick().await;
            for bar in self.running().iter_mut() {
                bar.sample();
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, Vec<StepBar>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventConsumer for Progress {
    fn on_event(&self, event: &Event<'_>) {
        match *event {
            Event::StepStarted { step_id, step_name, live, .. } => {
                let bar = BARS.get_or_init(MultiProgress::new).add(ProgressBar::new(LENGTH));
                bar.set_style(style(WITHOUT_SHARE));
                bar.set_prefix(step_name.to_owned());
                let live = Arc::clone(live);
                self.running().push(StepBar { step_id, live, bar, since: Instant::now(), shows_share: false });
            }
            Event::StepFinished { step } => {
                let mut running = self.running();
                let (ended, rest) = running.drain(..).partition(|bar: &StepBar| bar.step_id == step.id);
                *running = rest;
                ended.iter().for_each(|bar: &StepBar| bar.bar.finish_and_clear());
            }
            _ => {}
        }
    }
}

impl StepBar {
    fn sample(&mut self) {
        let counters = self.live.counters();
        if let Some(share) = self.live.progress() {
            if !self.shows_share {
                self.shows_share = true;
                self.bar.set_style(style(WITH_SHARE));
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the length")]
            #[expect(clippy::cast_precision_loss, reason = "a length of a thousand")]
            self.bar.set_position((share.clamp(0.0, 1.0) * LENGTH as f64) as u64);
        }
        if counters.read > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = counters.read as f64 / self.since.elapsed().as_secs_f64();
            let skipped = match counters.skip() {
                0 => String::new(),
                skipped => format!("  skipped {skipped}"),
            };
            let filtered = match counters.filter {
                0 => String::new(),
                filtered => format!("  filtered {filtered}"),
            };
            self.bar.set_message(format!(
                "read {}  written {}{filtered}{skipped}  {rate:.0} items/s",
                counters.read, counters.write
            ));
        } else if counters.retry > 0 {
            self.bar.set_message(format!("retry {}", counters.retry));
        }
        self.bar.tick();
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ").tick_chars("-\\|/-")
}
