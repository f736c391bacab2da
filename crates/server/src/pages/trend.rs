//! The durations of the last runs of a job as a picture: a bar for each, with its status.

use std::fmt::Write;

use oxbatch_core::JobExecution;
use oxbatch_core::execution::Status;

use super::parts::{Markup, duration};
use crate::view::StatusView;

/// Runs of a picture.
pub(super) const RUNS: usize = 40;
const BAR: i32 = 12;
const GAP: i32 = 4;
const HEIGHT: i32 = 96;
const BOTTOM: i32 = 8;

/// The picture; empty where fewer than two runs have ended.
pub(super) fn picture(newest_first: &[JobExecution]) -> Markup {
    let ended: Vec<(&JobExecution, f64)> =
        newest_first.iter().rev().filter_map(|run| Some((run, seconds(run)?))).collect();
    if ended.len() < 2 {
        return Markup::default();
    }
    let most = ended.iter().map(|(_, seconds)| *seconds).fold(0.001, f64::max);
    let width = i32::try_from(ended.len()).unwrap_or(0) * (BAR + GAP) + GAP;
    let mut out = String::new();
    // A text can always be written to.
    let _ = write!(
        out,
        "<svg class=\"trend\" viewBox=\"0 0 {width} {}\" width=\"{width}\" height=\"{}\" role=\"group\" \
         aria-label=\"Durations of the last {} runs, the longest {}\">",
        HEIGHT + BOTTOM,
        HEIGHT + BOTTOM,
        ended.len(),
        duration(most)
    );
    for (index, (run, seconds)) in ended.iter().enumerate() {
        let x = GAP + i32::try_from(index).unwrap_or(0) * (BAR + GAP);
        let height = height(seconds / most);
        let status = StatusView::from(run.status);
        let _ = write!(
            out,
            "<a href=\"/ui/executions/{id}\"><title>#{id} {word}, {took}</title><rect class=\"{class}\" x=\"{x}\" \
             y=\"{y}\" width=\"{BAR}\" height=\"{height}\" rx=\"2\"/></a>",
            id = run.id.0,
            word = status.word(),
            took = duration(*seconds),
            class = status.class(),
            y = HEIGHT - height,
        );
    }
    out.push_str("</svg>");
    Markup(out)
}

fn seconds(run: &JobExecution) -> Option<f64> {
    let (start, end) = (run.start_time?, run.end_time?);
    (run.status != Status::Abandoned).then(|| end.duration_since(start).as_secs_f64().max(0.0))
}

#[expect(clippy::cast_possible_truncation, reason = "a share of the height")]
fn height(share: f64) -> i32 {
    ((share * f64::from(HEIGHT - 4)) as i32).max(3)
}
