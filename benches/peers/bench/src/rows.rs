//! The rows that are measured: which programs, on how much, with which ratios to reach.

mod commits;
mod files;
mod memory;
mod postgres;
mod sqlite;

use std::path::Path;

use peer_trades::{Answer, BoxError};

use crate::chart::Chart;
use crate::check::Output;
use crate::server::Server;
use crate::{growth, launches, table, turns};

/// The amount that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// A tenth: enough to see where one stands.
    Quick,
    /// The rows of docs/PERFORMANCE.md.
    Full,
}

/// One comparison.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// The work that the programs are asked to do.
    pub(crate) work: &'static str,
    pub(crate) chunk: usize,
    /// Items in a full run.
    pub(crate) items: u64,
    pub(crate) reads_trades: bool,
    pub(crate) on_postgres: bool,
    /// Parts of the work that get a table of their own, before the one of the whole.
    pub(crate) parts: &'static [&'static str],
    /// Those of the parts, and of the whole, that are in the chart, by their titles there.
    pub(crate) in_chart: &'static [(Option<&'static str>, &'static str)],
    /// Oxbatch first.
    pub(crate) programs: fn() -> Result<Vec<Program>, BoxError>,
    pub(crate) output: fn(&Program, &Answer, &Path, Option<&mut Server>) -> Result<Output, BoxError>,
}

/// One program that does the work.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// As its outputs are named.
    pub(crate) id: &'static str,
    /// As people read it.
    pub(crate) name: &'static str,
    pub(crate) command: Vec<String>,
    /// The ratio to reach against it, of a part of the work or of all.
    pub(crate) goals: Vec<(Option<&'static str>, f64)>,
}

impl Program {
    /// Oxbatch itself.
    pub(crate) fn oxbatch() -> Result<Self, BoxError> {
        Self::side("oxbatch", "Oxbatch")
    }

    /// A program that is a part of this one.
    pub(crate) fn side(id: &'static str, name: &'static str) -> Result<Self, BoxError> {
        let own = std::env::current_exe()?.display().to_string();
        Ok(Self { id, name, command: vec![own, "side".to_owned(), id.to_owned()], goals: Vec::new() })
    }

    /// The port of Spring Batch, which `scripts/bench-peers` builds in its own workspace.
    pub(crate) fn spring_batch_rs() -> Result<Self, BoxError> {
        Self::installed("spring-batch-rs", "spring-batch-rs 0.4.1", "BENCH_SPRING_BATCH_RS")
    }

    /// The original service's engine, for which `scripts/bench-peers` makes an environment.
    pub(crate) fn python() -> Result<Self, BoxError> {
        Self::installed("python", "the original's engine in Python", "BENCH_PYTHON_COUNT")
    }

    /// A program of its own that `scripts/bench-peers` has installed, by the variable that names its command.
    pub(crate) fn installed(id: &'static str, name: &'static str, variable: &str) -> Result<Self, BoxError> {
        let command = from_environment(variable)?.split(' ').map(str::to_owned).collect();
        Ok(Self { id, name, command, goals: Vec::new() })
    }

    /// Adds a ratio to reach.
    #[must_use]
    pub(crate) fn to_reach(mut self, goal: f64, part: Option<&'static str>) -> Self {
        self.goals.push((part, goal));
        self
    }

    pub(crate) fn goal(&self, part: Option<&str>) -> Option<f64> {
        self.goals.iter().find(|(of, _)| *of == part).map(|(_, goal)| *goal)
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.id == "oxbatch"
    }
}

/// Reads a variable that `scripts/bench-peers` sets.
pub(crate) fn from_environment(name: &str) -> Result<String, BoxError> {
    std::env::var(name).map_err(|_| format!("{name} is not set: run scripts/bench-peers").into())
}

pub(crate) const ALL: &[Row] = &[
    memory::ROW,
    memory::SMALL_CHUNKS,
    files::ROW,
    files::SMALL_CHUNKS,
    sqlite::ROW,
    sqlite::SMALL_CHUNKS,
    postgres::ROW,
    commits::ROW,
];

/// Measures the named rows, or all, prints their tables, and answers with the chart of those that have a place in it.
pub(crate) fn measure(names: &[String], size: Size, items: Option<u64>, rounds: usize) -> Result<Chart, BoxError> {
    let known = |name: &str| [growth::NAME, launches::NAME].contains(&name) || ALL.iter().any(|row| row.name == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        return Err(format!("no row '{unknown}'").into());
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let mut chart = Chart::default();
    for row in ALL.iter().filter(|row| wanted(row.name)) {
        let items = items.unwrap_or(if size == Size::Full { row.items } else { row.items / 10 });
        let all = turns::take(row, (row.programs)()?, items, rounds)?;
        for part in row.parts.iter().copied().map(Some).chain([None]) {
            let bars = table::print(row, part, &all, items);
            if let Some((_, title)) = row.in_chart.iter().find(|(of, _)| *of == part) {
                chart.add(title, bars);
            }
        }
    }
    if wanted(growth::NAME) {
        growth::measure(size, items, rounds)?;
    }
    if wanted(launches::NAME) {
        chart.add("Launches over HTTP, each run to its end, 32 connections", launches::measure(size, rounds)?);
    }
    Ok(chart)
}
