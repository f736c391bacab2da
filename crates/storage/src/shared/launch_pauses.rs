//! Pauses of launches: a row for each job, and one without a name for all.

use oxbatch_core::repository::{LaunchPause, RepositoryError};

use super::{Database, OwnedRow, values};
use crate::error::StoreError;

pub(crate) async fn pause<D: Database>(database: &D, pause: &LaunchPause) -> Result<(), StoreError<D::Error>> {
    const PAUSE: &str = "INSERT INTO oxbatch_launch_pause (job_name, reason, since) VALUES ($1, $2, $3)
         ON CONFLICT (job_name) DO UPDATE SET reason = excluded.reason";
    let job_name = pause.job_name.as_deref().unwrap_or_default();
    database.execute(PAUSE, &values![job_name, &pause.reason, pause.since]).await?;
    Ok(())
}

pub(crate) async fn resume<D: Database>(database: &D, job_name: &str) -> Result<bool, StoreError<D::Error>> {
    const RESUME: &str = "DELETE FROM oxbatch_launch_pause WHERE job_name = $1";
    Ok(database.execute(RESUME, &values![job_name]).await? == 1)
}

pub(crate) async fn list<D: Database>(database: &D) -> Result<Vec<LaunchPause>, StoreError<D::Error>> {
    const ALL: &str = "SELECT job_name, reason, since FROM oxbatch_launch_pause ORDER BY job_name";
    let read = |row: &OwnedRow| {
        let job_name = Some(row.text(0)?.to_owned()).filter(|name| !name.is_empty());
        Ok(LaunchPause { job_name, reason: row.text(1)?.to_owned(), since: row.time(2)? })
    };
    Ok(database.query(ALL, &[]).await?.iter().map(read).collect::<Result<_, RepositoryError>>()?)
}
