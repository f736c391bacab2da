//! The numbers of new runs: one after the other for each job.

use oxbatch_core::job::RUN_PARAMETER;
use oxbatch_core::repository::LaunchRequest;
use oxbatch_core::repository::rules::launch as rules;

use super::error::StoreError;
use super::session::Session;

/// The launch of a new run with the next number, in the transaction of the caller, which holds the job's row from here
/// on: new runs of one job come one after the other.
pub(super) async fn next(session: &Session, request: &LaunchRequest) -> Result<LaunchRequest, StoreError> {
    let kept = session
        .optional("SELECT last_run FROM oxbatch_run_number WHERE job_name = $1 FOR UPDATE", &[&request.job_name])
        .await?;
    let run: i64 = match kept {
        Some(row) => {
            let run = rules::next_run(Some(row.try_get(0)?))?;
            let sql = "UPDATE oxbatch_run_number SET last_run = $2 WHERE job_name = $1";
            session.execute(sql, &[&request.job_name, &run]).await?;
            run
        }
        None => {
            let run = rules::next_run(greatest(session, &request.job_name).await?)?;
            // Another first new run may have come in between, and is waited for.
            let sql = "INSERT INTO oxbatch_run_number (job_name, last_run) VALUES ($1, $2)
                 ON CONFLICT (job_name) DO UPDATE SET last_run = oxbatch_run_number.last_run + 1 RETURNING last_run";
            session.one(sql, &[&request.job_name, &run]).await?.try_get(0)?
        }
    };
    Ok(rules::numbered(request, run))
}

/// The greatest number among the instances of a job: read once, by its first new run.
async fn greatest(session: &Session, job_name: &str) -> Result<Option<i64>, StoreError> {
    let row = session
        .one(
            "SELECT max(parameter.long_value) FROM oxbatch_job_instance AS instance
             JOIN oxbatch_job_instance_parameter AS parameter ON parameter.job_instance_id = instance.id
             WHERE instance.job_name = $1 AND parameter.key_name = $2 AND parameter.type = 'INTEGER'
                 AND parameter.identifying",
            &[&job_name, &RUN_PARAMETER],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Raises the greatest number to the one that a launch gives by itself, where the job has new runs. Before the instance
/// is created: whoever holds both takes the number first.
pub(super) async fn note(session: &Session, request: &LaunchRequest) -> Result<(), StoreError> {
    if let Some(run) = rules::given_run(&request.parameters) {
        let sql = "UPDATE oxbatch_run_number SET last_run = $2 WHERE job_name = $1 AND last_run < $2";
        session.execute(sql, &[&request.job_name, &run]).await?;
    }
    Ok(())
}
