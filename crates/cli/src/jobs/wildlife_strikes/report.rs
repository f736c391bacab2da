//! The report: strikes, cost and speed per species and phase of flight, most strikes first.

use oxbatch::item::TableReader;
use oxbatch::{BoxError, StepContext};
use serde::{Deserialize, Serialize};

/// The unique key of the lines.
const KEYS: [&str; 3] = ["place", "species", "phase_of_flight"];

/// Species and phases that nobody noted are empty text, since a key must not be NULL. `place` sorts the most strikes
/// first in the ascending order of the reader.
fn query(order_of_text: &str) -> String {
    format!(
        "SELECT -count(*) AS place,
            coalesce(species, '') {order_of_text} AS species,
            coalesce(phase_of_flight, '') {order_of_text} AS phase_of_flight,
            count(*) AS strikes,
            CAST(coalesce(sum(cost_total), 0) AS bigint) AS total_cost,
            CAST(round(avg(speed_knots), 1) AS double precision) AS average_speed
        FROM wildlife_strikes WHERE source = $1
        GROUP BY 2, 3"
    )
}

/// A line of the report.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
    species: String,
    phase_of_flight: String,
    strikes: i64,
    /// In dollars.
    total_cost: i64,
    /// In knots, over the strikes that have one; none when no strike has.
    average_speed: Option<f64>,
}

impl Line {
    /// The head of the file, also when there is nothing to report.
    pub(super) const COLUMNS: [&str; 5] = ["species", "phase_of_flight", "strikes", "total_cost", "average_speed"];
}

/// Reads the lines for the `input` of the launch, on either database in the order of the bytes.
pub(super) fn reader(context: &StepContext) -> Result<TableReader<Line>, BoxError> {
    let source = context.parameters().string("input")?.to_owned();
    Ok(TableReader::with_queries(context, query(""), query("COLLATE \"C\""), KEYS).parameters([source]))
}
