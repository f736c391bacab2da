//! Pauses of schedules.

use jiff::Timestamp;
use oxbatch_core::repository::{Pause, PauseScope, RepositoryError};

use super::{Database, OwnedRow, values};
use crate::error::StoreError;

/// The schedules of a pause get another revision, so that a node that has seen them before fires none of them.
const MARK: &str = "UPDATE oxbatch_schedule SET revision = revision + 1
     WHERE $1 = 'ALL' OR ($1 = 'JOB' AND job_name = $2) OR ($1 = 'SCHEDULE' AND name = $2)";
/// The past before the end of a pause counts as recorded: the next fire is found from there.
const MOVE_ON: &str = "UPDATE oxbatch_schedule SET revision = revision + 1, settled = $1,
         next_fire = CASE WHEN next_fire IS NULL THEN NULL WHEN next_fire <= $1 THEN $2 ELSE next_fire END
     WHERE settled < $1 AND ($3 = 'ALL' OR ($3 = 'JOB' AND job_name = $4) OR ($3 = 'SCHEDULE' AND name = $4))";

pub(crate) async fn pause<D: Database>(database: &D, pause: &Pause) -> Result<(), StoreError<D::Error>> {
    const PAUSE: &str = "INSERT INTO oxbatch_pause (scope, name, reason, since, until) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (scope, name) DO UPDATE SET reason = excluded.reason, until = excluded.until";
    let row = values![pause.scope.as_str(), &pause.name, &pause.reason, pause.since, pause.until];
    database.execute(MARK, &values![pause.scope.as_str(), &pause.name]).await?;
    database.execute(PAUSE, &row).await?;
    Ok(())
}

pub(crate) async fn resume<D: Database>(
    database: &D,
    scope: PauseScope,
    name: &str,
    time: Timestamp,
) -> Result<bool, StoreError<D::Error>> {
    let sql = "DELETE FROM oxbatch_pause WHERE scope = $1 AND name = $2";
    // The rows of the schedules are taken first, as by all others.
    let just_after = Timestamp::from_microsecond(time.as_microsecond() + 1).unwrap_or(time);
    database.execute(MOVE_ON, &values![time, just_after, scope.as_str(), name]).await?;
    Ok(database.execute(sql, &values![scope.as_str(), name]).await? == 1)
}

pub(crate) async fn list<D: Database>(database: &D) -> Result<Vec<Pause>, StoreError<D::Error>> {
    let sql = "SELECT scope, name, reason, since, until FROM oxbatch_pause ORDER BY scope, name";
    let read = |row: &OwnedRow| {
        Ok(Pause {
            scope: row.word(0)?,
            name: row.text(1)?.to_owned(),
            reason: row.text(2)?.to_owned(),
            since: row.time(3)?,
            until: row.optional_time(4)?,
        })
    };
    Ok(database.query(sql, &[]).await?.iter().map(read).collect::<Result<_, RepositoryError>>()?)
}
