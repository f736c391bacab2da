//! Deadlines of fires: judged once, when they have passed.

use jiff::Timestamp;
use oxbatch_core::repository::{DeadlineKind, LateFire, RepositoryError};
use oxbatch_core::schedule::rules;

use super::rows::{self, FIRE_COLUMNS, fire_columns};
use super::{Database, OwnedRow, notices, values};
use crate::error::StoreError;

const PASSED: &str = concat!(
    "SELECT ",
    fire_columns!(),
    ", deadline.kind, deadline.at,
         EXISTS (SELECT 1 FROM oxbatch_job_execution AS execution
             WHERE execution.job_instance_id = fire.job_instance_id AND execution.id >= fire.execution_id
                 AND execution.start_time IS NOT NULL)
     FROM oxbatch_deadline AS deadline
     JOIN oxbatch_fire AS fire ON fire.id = deadline.fire_id
     JOIN oxbatch_schedule AS schedule ON schedule.id = fire.schedule_id
     WHERE deadline.at <= $1 ORDER BY deadline.at LIMIT $2"
);

pub(crate) async fn check<D: Database>(
    database: &D,
    time: Timestamp,
    limit: u32,
) -> Result<(Vec<LateFire>, u32), StoreError<D::Error>> {
    const JUDGED: &str = "DELETE FROM oxbatch_deadline WHERE fire_id = $1 AND kind = $2";
    let (mut late, mut judged) = (Vec::new(), 0);
    for row in database.query(PASSED, &values![time, i64::from(limit)]).await? {
        judged += 1;
        let fire = rows::fire(&row)?;
        let kind: DeadlineKind = row.word(FIRE_COLUMNS)?;
        // Of several nodes that see it, the one that removes it judges it.
        if database.execute(JUDGED, &values![fire.id.0, kind.as_str()]).await? == 0 {
            continue;
        }
        if let Some(message) = judge(&row, kind)? {
            let found = LateFire { fire, kind, at: row.time(FIRE_COLUMNS + 1)?, message };
            notices::of_late(database, &found, time).await?;
            late.push(found);
        }
    }
    Ok((late, judged))
}

fn judge(row: &OwnedRow, kind: DeadlineKind) -> Result<Option<String>, RepositoryError> {
    let fire = rows::fire(row)?;
    Ok(rules::late(kind, fire.outcome, row.flag(FIRE_COLUMNS + 2)?, fire.status))
}
