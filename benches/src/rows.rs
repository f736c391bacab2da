//! The rows of docs/PERFORMANCE.md that are measured here.

mod calibrated;
mod commits;
mod computing;
pub(crate) mod copies;
mod csv_on_two_threads;
mod csv_to_csv;
mod csv_to_postgres;
mod csv_to_sqlite;
mod engine_alone;
pub(crate) mod forms;
pub(crate) mod history;
pub(crate) mod log;
pub(crate) mod memory;
mod other_formats;
pub(crate) mod server;
pub(crate) mod start;
pub(crate) mod unreadable;
mod wide;

use std::path::Path;

use crate::BoxError;
use crate::measure::{Outcome, Side};

/// One comparison.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// Ratio of speeds to reach, Oxbatch over the other side.
    pub(crate) goal: f64,
    pub(crate) items: u64,
    pub(crate) prepare: fn(u64, &Path) -> Result<(), BoxError>,
    pub(crate) side: fn(Side, u64, &Path) -> Result<Outcome, BoxError>,
}

pub(crate) const ALL: &[Row] = &[
    engine_alone::ROW,
    engine_alone::EACH,
    csv_to_csv::ROW,
    csv_on_two_threads::ROW,
    other_formats::JSON,
    other_formats::XML,
    other_formats::PACKED,
    computing::ROW,
    csv_to_sqlite::ROW,
    csv_to_postgres::ROW,
    csv_to_postgres::JOINED,
    commits::ROW,
    wide::ROW,
    log::ROW,
];

pub(crate) fn find(name: &str) -> Result<&'static Row, BoxError> {
    ALL.iter().find(|row| row.name == name).ok_or_else(|| format!("no row '{name}'").into())
}

/// For rows whose input is made in memory.
fn nothing_to_prepare(_: u64, _: &Path) -> Result<(), BoxError> {
    Ok(())
}
