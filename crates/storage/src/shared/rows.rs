//! The rows of schedules and fires, and the columns that they are read from.

use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::{Fire, FireId, RepositoryError, ScheduleId, StoredSchedule};
use oxbatch_core::schedule::rules::LastRun;

use super::OwnedRow;

/// The columns of a schedule in the order in which `schedule` reads them, and its tables.
macro_rules! schedule_columns {
    () => {
        "schedule.id, schedule.name, schedule.job_name, schedule.definition, schedule.origin, schedule.create_time,
             schedule.settled, schedule.next_fire, schedule.revision, last.id, last.status, last.resume_pending,
             (SELECT count(*) FROM oxbatch_fire AS other
              WHERE other.schedule_id = schedule.id AND other.outcome = 'WAITING')"
    };
}

/// The tables of `schedule_columns`.
macro_rules! schedule_tables {
    () => {
        " oxbatch_schedule AS schedule
         LEFT JOIN oxbatch_job_execution AS last ON last.id =
             (SELECT max(execution.id) FROM oxbatch_job_execution AS execution
              WHERE execution.job_instance_id = schedule.last_instance) "
    };
}

/// The condition of a schedule that is not paused.
macro_rules! not_paused {
    () => {
        " NOT EXISTS (SELECT 1 FROM oxbatch_pause AS pause
             WHERE pause.scope = 'ALL' OR (pause.scope = 'JOB' AND pause.name = schedule.job_name)
                 OR (pause.scope = 'SCHEDULE' AND pause.name = schedule.name)) "
    };
}

/// The columns of a fire in the order in which `fire` reads them.
macro_rules! fire_columns {
    () => {
        "fire.id, fire.schedule_id, schedule.name, schedule.job_name, fire.instant, fire.file, fire.outcome, fire.message,
             fire.execution_id,
             (SELECT run.status FROM oxbatch_job_execution AS run WHERE run.id =
                 (SELECT max(execution.id) FROM oxbatch_job_execution AS execution
                  WHERE execution.job_instance_id = fire.job_instance_id)),
             fire.backfill_id, fire.record_time"
    };
}

pub(super) use {fire_columns, not_paused, schedule_columns, schedule_tables};

/// The number of columns of a fire.
pub(super) const FIRE_COLUMNS: usize = 12;

/// Reads id, status and `resume_pending` of the last execution of an instance; NULL where there is none.
pub(super) fn last_run(row: &OwnedRow, first: usize) -> Result<Option<LastRun>, RepositoryError> {
    let Some(id) = row.optional_number(first)? else { return Ok(None) };
    Ok(Some(LastRun { id: ExecutionId(id), status: row.word(first + 1)?, resumes: row.flag(first + 2)? }))
}

/// Reads `schedule_columns!()`, from a column on.
pub(super) fn schedule(row: &OwnedRow, first: usize) -> Result<StoredSchedule, RepositoryError> {
    Ok(StoredSchedule {
        id: ScheduleId(row.number(first)?),
        name: row.text(first + 1)?.to_owned(),
        job_name: row.text(first + 2)?.to_owned(),
        definition: row.text(first + 3)?.to_owned(),
        origin: row.word(first + 4)?,
        create_time: row.time(first + 5)?,
        recorded_until: row.time(first + 6)?,
        next_fire: row.optional_time(first + 7)?,
        revision: row.number(first + 8)?,
        last: last_run(row, first + 9)?,
        waiting: row.number(first + 12)?,
    })
}

/// Reads `fire_columns!()`.
pub(super) fn fire(row: &OwnedRow) -> Result<Fire, RepositoryError> {
    let status = match row.optional_text(9)? {
        Some(_) => Some(row.word(9)?),
        None => None,
    };
    Ok(Fire {
        id: FireId(row.number(0)?),
        schedule_id: ScheduleId(row.number(1)?),
        schedule_name: row.text(2)?.to_owned(),
        job_name: row.text(3)?.to_owned(),
        instant: row.time(4)?,
        file: row.text(5)?.to_owned(),
        outcome: row.word(6)?,
        message: row.optional_text(7)?.map(str::to_owned),
        execution_id: row.optional_number(8)?.map(ExecutionId),
        status,
        backfill_id: row.optional_number(10)?,
        record_time: row.time(11)?,
    })
}
