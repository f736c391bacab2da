//! The checks after each round, whatever has happened in it.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::database::Database;
use crate::expectation::{self, Outcome};

/// Time for which work that is still on its way after a round is waited for.
const REST: Duration = Duration::from_secs(90);

const ROWS: &str =
    "SELECT count(*), count(DISTINCT number), coalesce(sum(value), 0)::bigint FROM chaos_row WHERE batch = $1";
/// Skipped items and written rows of all attempts together: both are committed with their chunks.
const COUNTED: &str = "SELECT
     (SELECT count(*) FROM oxbatch_skipped_item AS item JOIN oxbatch_step_execution AS step ON step.id = step_execution_id
          WHERE step.job_instance_id = parameter.job_instance_id),
     (SELECT coalesce(sum(write_count), 0)::bigint FROM oxbatch_step_execution AS step
          WHERE step.job_instance_id = parameter.job_instance_id AND step_name = 'Rows'),
     (SELECT count(*) FROM oxbatch_job_execution AS execution
          WHERE execution.job_instance_id = parameter.job_instance_id AND status = 'COMPLETED')
     FROM oxbatch_job_instance_parameter AS parameter WHERE key_name = 'batch' AND long_value = $1";

/// Checks batches that are said to be complete.
pub(crate) fn batches(database: &Database, folder: &Path, batches: &[u64]) -> Result<i64, String> {
    let mut rows = 0;
    for batch in batches {
        let fault = |what: String| format!("batch {batch}: {what}\n{}", history(database, *batch));
        let key = batch.cast_signed();
        let read = || -> Result<(Outcome, i64), String> {
            let text = |error: tokio_postgres::Error| error.to_string();
            let found = database.query(ROWS, &[&key])?;
            let counted = database.query(COUNTED, &[&key])?;
            let (found, counted) = (found.first().ok_or("no answer")?, counted.first().ok_or("no instance")?);
            let outcome = Outcome {
                rows: found.try_get(0).map_err(text)?,
                distinct: found.try_get(1).map_err(text)?,
                sum: found.try_get(2).map_err(text)?,
                skipped: counted.try_get(0).map_err(text)?,
                counted: counted.try_get(1).map_err(text)?,
            };
            Ok((outcome, counted.try_get(2).map_err(text)?))
        };
        let (outcome, completed) = read().map_err(fault)?;
        let expected = expectation::outcome(*batch);
        if outcome != expected {
            return Err(fault(format!("{outcome:?} instead of {expected:?}")));
        }
        if completed != 1 {
            return Err(fault(format!("{completed} executions are COMPLETED instead of one")));
        }
        let file = folder.join(format!("out/{batch}.csv"));
        let text = std::fs::read_to_string(&file).map_err(|error| fault(format!("{}: {error}", file.display())))?;
        if text != expectation::file(*batch) {
            return Err(fault(format!("{} differs from what was to be written", file.display())));
        }
        rows += outcome.rows;
    }
    Ok(rows)
}

/// Checks that nothing is left: no owner, no running step, no ledger that does not balance, no unfinished file.
pub(crate) fn rest(database: &Database, folder: &Path) -> Result<(), String> {
    const RUNNING: &str = "SELECT count(*) FROM oxbatch_job_execution
         WHERE status IN ('STARTING', 'STARTED', 'STOPPING') OR lease_owner IS NOT NULL OR resume_pending";
    let start = Instant::now();
    while database.number(RUNNING)? > 0 {
        if start.elapsed() > REST {
            let left = database.show(
                "SELECT * FROM oxbatch_job_execution
                 WHERE status IN ('STARTING', 'STARTED', 'STOPPING') OR lease_owner IS NOT NULL OR resume_pending",
            );
            return Err(format!("executions are left running {REST:?} after the last fault:\n{left}"));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    for (what, rows) in [
        ("steps run in executions that have ended", "SELECT * FROM oxbatch_step_execution WHERE end_time IS NULL"),
        (
            "ledgers do not balance",
            "SELECT * FROM oxbatch_step_execution
             WHERE read_count <> write_count + filter_count + process_skip_count + write_skip_count",
        ),
        (
            "rows belong to no batch",
            "SELECT DISTINCT batch FROM chaos_row WHERE NOT EXISTS
                 (SELECT 1 FROM oxbatch_job_instance_parameter WHERE key_name = 'batch' AND long_value = batch)",
        ),
    ] {
        let number = database.number(&format!("SELECT count(*) FROM ({rows}) AS wrong"))?;
        if number != 0 {
            return Err(format!("{number} {what}:\n{}", database.show(&format!("{rows} LIMIT 20"))));
        }
    }
    let unfinished: Vec<_> = std::fs::read_dir(folder.join("out"))
        .map_err(|error| error.to_string())?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".part"))
        .collect();
    if unfinished.is_empty() { Ok(()) } else { Err(format!("unfinished files are left: {unfinished:?}")) }
}

/// All that the repository knows of a batch.
fn history(database: &Database, batch: u64) -> String {
    let of = |table: &str| {
        database.show(&format!(
            "SELECT it.* FROM {table} AS it JOIN oxbatch_job_instance_parameter AS parameter
             ON parameter.job_instance_id = it.job_instance_id
             WHERE key_name = 'batch' AND long_value = {batch} ORDER BY it.id"
        ))
    };
    format!("{}\n{}", of("oxbatch_job_execution"), of("oxbatch_step_execution"))
}
