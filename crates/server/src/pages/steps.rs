//! The steps of an execution: counters, rates, totals, shares, and a line of time for each.

use std::collections::HashMap;

use jiff::Timestamp;
use oxbatch_core::StepExecution;
use oxbatch_core::execution::ControlTotal;

use super::context::ContextPart;
use super::parts::{Badge, Moment, between, count, duration, percent, rate};
use super::rows::whole_percent;
use crate::view::{ControlTotalView, PhaseSharesView, StatusView, StepView};

/// Most steps that a page shows.
pub(super) const MOST_STEPS: usize = 50;

/// A step of an execution.
#[derive(Debug)]
pub(super) struct StepPart {
    pub(super) view: StepView,
    pub(super) status: Badge,
    pub(super) started: Moment,
    pub(super) took: String,
    pub(super) rate: Option<String>,
    pub(super) percent: Option<u32>,
    pub(super) left: Option<String>,
    pub(super) totals: Vec<Total>,
    pub(super) phases: Option<Phases>,
    pub(super) context: Option<ContextPart>,
    /// The line of time: begin and length in thousandths of the execution's time.
    pub(super) begin: u32,
    pub(super) length: u32,
}

/// A control total, and whether both sides are equal.
#[derive(Debug)]
pub(super) struct Total {
    pub(super) name: String,
    pub(super) read: String,
    pub(super) written: String,
    pub(super) filtered: String,
    pub(super) skipped: String,
    /// `None` where only one side is taken.
    pub(super) balances: Option<bool>,
}

/// The shares of a chunk step's time.
#[derive(Debug)]
pub(super) struct Phases {
    /// Name, percent in words, begin and length in thousandths.
    pub(super) shares: Vec<(&'static str, String, u32, u32)>,
    pub(super) sentence: String,
}

impl StepPart {
    pub(super) fn new(view: StepView, balances: &[Option<bool>], span: &Span, now: Timestamp) -> Self {
        let (begin, length) = span.of(&view.start_time, view.end_time.as_deref(), now);
        let is_running = view.end_time.is_none();
        Self {
            status: Badge(view.status),
            started: Moment::of(&view.start_time),
            took: between(&view.start_time, view.end_time.as_deref(), now).unwrap_or_default(),
            rate: view.items_per_second.filter(|_| view.read_count > 0).map(rate),
            percent: view.progress.filter(|_| is_running).map(whole_percent),
            left: view.seconds_left.map(|seconds| format!("{} left", duration(seconds))),
            totals: totals(&view, balances),
            phases: view.phases.as_ref().map(Phases::of),
            context: None,
            begin,
            length,
            view,
        }
    }

    /// The same with its context, where there is one by its id.
    pub(super) fn with(mut self, contexts: &mut HashMap<i64, ContextPart>) -> Self {
        self.context = contexts.remove(&self.view.id);
        self
    }

    /// The columns of the counters.
    pub(super) fn counts(&self) -> [(&'static str, String); 7] {
        let view = &self.view;
        let of = |name, number| (name, if number == 0 { "0".to_owned() } else { count(number) });
        [
            of("read", view.read_count),
            of("written", view.write_count),
            of("filtered", view.filter_count),
            of("skipped", view.skip_count),
            of("commits", view.commit_count),
            of("rollbacks", view.rollback_count),
            of("retries", view.retry_count),
        ]
    }

    /// It counts something: a task that does not is shown without its noughts.
    pub(super) fn has_counts(&self) -> bool {
        self.phases.is_some() || self.counts().iter().any(|(_, number)| number != "0")
    }

    /// The skipped items by phase, where there are any.
    pub(super) fn skips_by_phase(&self) -> Option<String> {
        let view = &self.view;
        (view.skip_count > 0).then(|| {
            let (read, process, write) = (view.read_skip_count, view.process_skip_count, view.write_skip_count);
            format!("{} in reading, {} in processing, {} in writing", count(read), count(process), count(write))
        })
    }

    pub(super) fn has_failed(&self) -> bool {
        self.view.status == StatusView::Failed
    }
}

/// The time that an execution spans.
#[derive(Debug)]
pub(super) struct Span {
    start: Timestamp,
    seconds: f64,
}

impl Span {
    pub(super) fn new(start: Option<&str>, end: Option<&str>, now: Timestamp) -> Self {
        let moment = |text: Option<&str>| text.and_then(|text| text.parse().ok());
        let start = moment(start).unwrap_or(now);
        let seconds = moment(end).unwrap_or(now).duration_since(start).as_secs_f64();
        Self { start, seconds: seconds.max(0.000_001) }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they are clamped")]
    fn of(&self, start: &str, end: Option<&str>, now: Timestamp) -> (u32, u32) {
        let moment = |text: &str| text.parse::<Timestamp>().unwrap_or(now);
        let at = |moment: Timestamp| (moment.duration_since(self.start).as_secs_f64() / self.seconds).clamp(0.0, 1.0);
        let begin = (at(moment(start)) * 1000.0) as u32;
        let end = (at(end.map_or(now, moment)) * 1000.0) as u32;
        let begin = begin.min(994);
        (begin, end.saturating_sub(begin).max(6))
    }
}

impl Phases {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they are clamped")]
    fn of(view: &PhaseSharesView) -> Self {
        let named = [("read", view.read), ("process", view.process), ("write", view.write), ("commit", view.commit)];
        let mut begin = 0;
        let shares = named.map(|(name, share)| {
            let length = (share.clamp(0.0, 1.0) * 1000.0).round() as u32;
            let one = (name, percent(share), begin, length);
            begin += length;
            one
        });
        Self { shares: shares.to_vec(), sentence: view.bottleneck.clone() }
    }
}

/// The counts of items as a total, and the control totals of the step.
fn totals(view: &StepView, balances: &[Option<bool>]) -> Vec<Total> {
    let mut totals = Vec::new();
    if view.read_count > 0 || view.skip_count > 0 {
        totals.push(items(view));
    }
    let pairs = view.control_totals.iter().zip(balances);
    totals.extend(pairs.map(|(total, balances)| Total::of(total, *balances)));
    totals
}

/// The counts of items: they are of the last commit while a step runs or has failed, and balance at its end.
fn items(view: &StepView) -> Total {
    let right = view.write_count + view.filter_count + view.process_skip_count + view.write_skip_count;
    let has_ended = view.status == StatusView::Completed;
    Total {
        name: "items".to_owned(),
        read: count(view.read_count),
        written: count(view.write_count),
        filtered: count(view.filter_count),
        skipped: count(view.process_skip_count + view.write_skip_count),
        balances: has_ended.then_some(right == view.read_count),
    }
}

impl Total {
    fn of(view: &ControlTotalView, balances: Option<bool>) -> Self {
        let text = |sum: &Option<String>| sum.clone().unwrap_or_else(|| "–".to_owned());
        Self {
            name: view.name.clone(),
            read: text(&view.read),
            written: text(&view.written),
            filtered: text(&view.filtered),
            skipped: text(&view.skipped),
            balances,
        }
    }
}

/// Of each total whether it balances, where all its sides are known.
pub(super) fn balances(step: &StepExecution) -> Vec<Option<bool>> {
    let known = |total: &ControlTotal| total.read.is_some() && total.written.is_some();
    step.control_totals.iter().map(|total| known(total).then(|| total.balance().is_ok())).collect()
}
