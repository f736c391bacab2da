//! The report: strikes, cost and speed per species and phase of flight, most strikes first.

#[cfg(feature = "postgres")]
use oxbatch::postgres::{PostgresReader, PostgresRepository};
use oxbatch::serde::{Deserialize, Serialize};
use oxbatch::sqlite::SqliteReader;
use oxbatch::sqlite::rusqlite::{Result, Row};
use oxbatch::{BoxError, StepContext};

#[cfg(feature = "postgres")]
use super::on_either::OnEither;

/// Species and phases that nobody noted are empty text, since a key must not be NULL. `place` sorts the most strikes
/// first in the ascending order of the reader.
const QUERY: &str = "
    SELECT -count(*) AS place,
        coalesce(species, '') AS species,
        coalesce(phase_of_flight, '') AS phase_of_flight,
        count(*) AS strikes,
        coalesce(sum(cost_total), 0) AS total_cost,
        round(avg(speed_knots), 1) AS average_speed
    FROM wildlife_strikes WHERE source = ?1
    GROUP BY 2, 3";

/// The same for PostgreSQL, in the order of the bytes, as SQLite has it.
#[cfg(feature = "postgres")]
const QUERY_ON_POSTGRES: &str = "
    SELECT -count(*) AS place,
        coalesce(species, '') COLLATE \"C\" AS species,
        coalesce(phase_of_flight, '') COLLATE \"C\" AS phase_of_flight,
        count(*) AS strikes,
        coalesce(sum(cost_total), 0)::bigint AS total_cost,
        round(avg(speed_knots), 1)::float8 AS average_speed
    FROM wildlife_strikes WHERE source = $1
    GROUP BY 2, 3";

/// What is unique among the lines.
const KEYS: [&str; 3] = ["place", "species", "phase_of_flight"];

/// A line of the report.
#[derive(Debug, Serialize, Deserialize)]
#[serde(crate = "oxbatch::serde")]
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

/// What makes a line of a row.
type Map = fn(&Row<'_>) -> Result<Line>;

/// Reads the lines for the `input` of the launch.
#[cfg(feature = "postgres")]
pub(super) fn reader(
    context: &StepContext,
) -> std::result::Result<OnEither<SqliteReader<Line, Map>, PostgresReader<Line>>, BoxError> {
    if PostgresRepository::of(context.repository().as_ref()).is_none() {
        return Ok(OnEither::Sqlite(reader_on_sqlite(context)?));
    }
    let source = context.parameters().string("input")?.to_owned();
    Ok(OnEither::Postgres(PostgresReader::new(context, QUERY_ON_POSTGRES, KEYS).parameters([source])))
}

#[cfg(not(feature = "postgres"))]
pub(super) use reader_on_sqlite as reader;

pub(super) fn reader_on_sqlite(context: &StepContext) -> std::result::Result<SqliteReader<Line, Map>, BoxError> {
    let source = context.parameters().string("input")?.to_owned();
    Ok(SqliteReader::new(context, QUERY, KEYS, line as Map).parameters([source]))
}

fn line(row: &Row<'_>) -> Result<Line> {
    Ok(Line {
        species: row.get("species")?,
        phase_of_flight: row.get("phase_of_flight")?,
        strikes: row.get("strikes")?,
        total_cost: row.get("total_cost")?,
        average_speed: row.get("average_speed")?,
    })
}
