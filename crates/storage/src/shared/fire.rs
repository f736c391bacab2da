//! A fire: recorded, judged and launched in one transaction.

use jiff::Timestamp;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::{
    Fire, FireId, FireLaunch, FireOutcome, FireRequest, Fired, Launched, ReleaseRequest, ScheduleId,
};
use oxbatch_core::schedule::rules::{self, FireFacts, LastRun, Verdict};

use super::fires::fire_of;
use super::rows::last_run;
use super::{Database, Value, notices, values};
use crate::error::StoreError;

/// The outcome of a fire, and why.
struct End {
    outcome: FireOutcome,
    execution: Option<ExecutionId>,
    message: Option<String>,
    launched: Option<Launched>,
}

const CREATE: &str = "INSERT INTO oxbatch_fire (schedule_id, instant, file, outcome, message, record_time)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (schedule_id, instant, file) DO NOTHING";

pub(crate) async fn fire<D: Database>(database: &D, request: &FireRequest) -> Result<Fired, StoreError<D::Error>> {
    // Whoever changes fires of a schedule has its row first: nobody waits for another in a ring.
    if !advance(database, request).await? {
        return Ok(Fired::Stale);
    }
    let id = request.schedule_id.0;
    let recorded: Vec<Vec<Value>> = request
        .recorded
        .iter()
        .map(|fire| values![id, fire.instant, "", fire.outcome.as_str(), &fire.message, request.time].to_vec())
        .collect();
    if !recorded.is_empty() {
        database.execute_all(CREATE, &recorded).await?;
        let missed: Vec<Timestamp> = request
            .recorded
            .iter()
            .filter(|fire| fire.outcome == FireOutcome::Missed)
            .map(|fire| fire.instant)
            .collect();
        if let (Some(first), Some(last)) = (missed.first(), missed.last()) {
            notices::of_missed(database, id, (*first, *last, missed.len()), request.time).await?;
        }
    }
    let Some(new) = &request.fire else { return Ok(Fired::Recorded { fire: None, launched: None }) };
    const BEGIN: &str = "INSERT INTO oxbatch_fire (schedule_id, instant, file, outcome, record_time)
         VALUES ($1, $2, $3, 'WAITING', $4) ON CONFLICT (schedule_id, instant, file) DO NOTHING RETURNING id";
    let row = database.optional(BEGIN, &values![id, new.instant, &new.file, request.time]).await?;
    let Some(row) = row else { return Ok(Fired::Stale) };
    let fire_id = FireId(row.number(0)?);
    let deadlines: Vec<Vec<Value>> =
        new.deadlines.iter().map(|(kind, at)| values![fire_id.0, kind.as_str(), *at].to_vec()).collect();
    if !deadlines.is_empty() {
        let sql = "INSERT INTO oxbatch_deadline (fire_id, kind, at) VALUES ($1, $2, $3)";
        database.execute_all(sql, &deadlines).await?;
    }
    let end = decide(database, request.schedule_id, new.instant, &new.launch).await?;
    record_end(database, fire_id, request.schedule_id, end, request.time).await
}

/// Takes the row of the schedule, and moves a calendar; `false` where it is another one by now.
async fn advance<D: Database>(database: &D, request: &FireRequest) -> Result<bool, StoreError<D::Error>> {
    const MOVE: &str = "UPDATE oxbatch_schedule SET settled = $1, next_fire = $2, revision = revision + 1
         WHERE id = $3 AND revision = $4 AND NOT removed";
    const TAKE: &str = "UPDATE oxbatch_schedule SET settled = settled WHERE id = $1 AND NOT removed";
    let id = request.schedule_id.0;
    let taken = match request.advance {
        Some(to) => database.execute(MOVE, &values![to.recorded_until, to.next_fire, id, to.revision]).await?,
        None => database.execute(TAKE, &values![id]).await?,
    };
    Ok(taken == 1)
}

pub(crate) async fn release<D: Database>(
    database: &D,
    request: &ReleaseRequest,
) -> Result<Fired, StoreError<D::Error>> {
    const TAKE: &str = "UPDATE oxbatch_schedule SET settled = settled
         WHERE id = (SELECT schedule_id FROM oxbatch_fire WHERE id = $1) RETURNING id";
    let Some(row) = database.optional(TAKE, &values![request.fire_id.0]).await? else { return Ok(Fired::Stale) };
    let schedule_id = ScheduleId(row.number(0)?);
    let Some(fire) = fire_of(database, request.fire_id).await? else { return Ok(Fired::Stale) };
    if !request.from.contains(&fire.outcome) {
        return Ok(Fired::Stale);
    }
    let end = decide(database, schedule_id, fire.instant, &request.launch).await?;
    if end.outcome == fire.outcome {
        return Ok(Fired::Recorded { fire: Some(fire), launched: None });
    }
    record_end(database, request.fire_id, schedule_id, end, request.time).await
}

/// The verdict on a fire whose schedule's row is taken.
async fn decide<D: Database>(
    database: &D,
    schedule_id: ScheduleId,
    instant: Timestamp,
    launch: &Result<FireLaunch, String>,
) -> Result<End, StoreError<D::Error>> {
    let record =
        |outcome, execution, message: String| End { outcome, execution, message: Some(message), launched: None };
    let FireLaunch { request, policies } = match launch {
        Ok(launch) => launch,
        Err(problem) => return Ok(record(FireOutcome::Refused, None, problem.clone())),
    };
    let facts = FireFacts {
        // A new run has an instance of its own.
        existing: if request.new_run { None } else { existing(database, request).await? },
        force: request.force,
        before: before(database, schedule_id).await?,
        waiting: waiting(database, schedule_id, instant).await?,
    };
    match rules::verdict(*policies, facts) {
        Verdict::Record { outcome, execution, message } => return Ok(record(outcome, execution, message)),
        Verdict::Launch => {}
    }
    match database.launch(request).await {
        Ok(launched) => Ok(End {
            outcome: FireOutcome::Launched,
            execution: Some(launched.execution.id),
            message: None,
            launched: Some(launched),
        }),
        Err(StoreError::Launch(error)) => match rules::refused(&error) {
            Some((outcome, execution)) => Ok(record(outcome, execution, error.to_string())),
            None => Err(StoreError::Launch(error)),
        },
        Err(error) => Err(error),
    }
}

async fn existing<D: Database>(
    database: &D,
    request: &oxbatch_core::repository::LaunchRequest,
) -> Result<Option<LastRun>, StoreError<D::Error>> {
    const EXISTING: &str = "SELECT id, status, resume_pending FROM oxbatch_job_execution WHERE id =
         (SELECT max(execution.id) FROM oxbatch_job_execution AS execution WHERE execution.job_instance_id =
             (SELECT id FROM oxbatch_job_instance WHERE job_name = $1 AND job_key = $2))";
    let row = database.optional(EXISTING, &values![&request.job_name, &request.parameters.job_key()]).await?;
    Ok(row.map(|row| last_run(&row, 0)).transpose()?.flatten())
}

async fn before<D: Database>(database: &D, id: ScheduleId) -> Result<Option<LastRun>, StoreError<D::Error>> {
    const BEFORE: &str = "SELECT id, status, resume_pending FROM oxbatch_job_execution WHERE id =
         (SELECT max(execution.id) FROM oxbatch_job_execution AS execution WHERE execution.job_instance_id =
             (SELECT last_instance FROM oxbatch_schedule WHERE id = $1))";
    let row = database.optional(BEFORE, &values![id.0]).await?;
    Ok(row.map(|row| last_run(&row, 0)).transpose()?.flatten())
}

async fn waiting<D: Database>(database: &D, id: ScheduleId, instant: Timestamp) -> Result<i64, StoreError<D::Error>> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM oxbatch_fire
         WHERE schedule_id = $1 AND outcome = 'WAITING' AND instant < $2 AND backfill_id IS NULL LIMIT $3) AS waiting";
    let row = database.optional(sql, &values![id.0, instant, rules::MOST_WAITING]).await?;
    Ok(row.map(|row| row.number(0)).transpose()?.unwrap_or(0))
}

/// Writes what has become of a fire.
async fn record_end<D: Database>(
    database: &D,
    fire_id: FireId,
    schedule_id: ScheduleId,
    end: End,
    time: Timestamp,
) -> Result<Fired, StoreError<D::Error>> {
    const SETTLE: &str = "UPDATE oxbatch_fire SET outcome = $1, execution_id = $2, message = $3, job_instance_id = $4,
             record_time = $5
         WHERE id = $6";
    let instance = end.launched.as_ref().map(|launched| launched.execution.instance_id.0);
    let row =
        values![end.outcome.as_str(), end.execution.map(|id| id.0), end.message.as_ref(), instance, time, fire_id.0];
    database.execute(SETTLE, &row).await?;
    let fire: Option<Fire> = fire_of(database, fire_id).await?;
    // The fires of a backfill stand in nobody's way.
    let is_of_calendar = fire.as_ref().is_some_and(|fire| fire.backfill_id.is_none());
    if let (Some(instance), true) = (instance, is_of_calendar) {
        let sql = "UPDATE oxbatch_schedule SET last_instance = $1 WHERE id = $2";
        database.execute(sql, &values![instance, schedule_id.0]).await?;
    }
    Ok(Fired::Recorded { fire, launched: end.launched.map(Box::new) })
}
