//! The numbers of new runs: one after the other for each job.

use oxbatch_core::job::RUN_PARAMETER;
use oxbatch_core::repository::LaunchRequest;
use oxbatch_core::repository::rules::launch as rules;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;

/// The launch of a new run with its number, in the transaction of the caller. No instance has it: a launch that gives a
/// number by itself raises the greatest one.
pub(super) fn next(connection: &Connection, request: &LaunchRequest) -> Result<LaunchRequest, StoreError> {
    let kept: Option<i64> = connection
        .prepare_cached("SELECT last_run FROM oxbatch_run_number WHERE job_name = ?1")?
        .query_row([&request.job_name], |row| row.get(0))
        .optional()?;
    let greatest = match kept {
        Some(greatest) => Some(greatest),
        None => greatest(connection, &request.job_name)?,
    };
    let run = rules::next_run(greatest)?;
    connection
        .prepare_cached(
            "INSERT INTO oxbatch_run_number (job_name, last_run) VALUES (?1, ?2)
             ON CONFLICT (job_name) DO UPDATE SET last_run = excluded.last_run",
        )?
        .execute(params![request.job_name, run])?;
    Ok(rules::numbered(request, run))
}

/// The greatest number among the instances of a job: read once, by its first new run.
fn greatest(connection: &Connection, job_name: &str) -> Result<Option<i64>, StoreError> {
    let greatest = connection
        .prepare_cached(
            "SELECT max(parameter.long_value) FROM oxbatch_job_instance AS instance
             JOIN oxbatch_job_instance_parameter AS parameter ON parameter.job_instance_id = instance.id
             WHERE instance.job_name = ?1 AND parameter.key_name = ?2 AND parameter.type = 'INTEGER'
                 AND parameter.identifying",
        )?
        .query_row(params![job_name, RUN_PARAMETER], |row| row.get(0))?;
    Ok(greatest)
}

/// Raises the greatest number to the one that a launch gives by itself, where the job has new runs.
pub(super) fn note(connection: &Connection, request: &LaunchRequest) -> Result<(), StoreError> {
    if let Some(run) = rules::given_run(&request.parameters) {
        connection
            .prepare_cached("UPDATE oxbatch_run_number SET last_run = ?2 WHERE job_name = ?1 AND last_run < ?2")?
            .execute(params![request.job_name, run])?;
    }
    Ok(())
}
