//! Creation of instances and executions.

use futures_util::future::join;
use jiff::Timestamp;
use oxbatch_core::execution::{ExecutionId, JobExecution, Status};
use oxbatch_core::job::{ParameterType, ParameterValue, Reached, SECRET_SHOWN, SecretValue};
use oxbatch_core::repository::rules::launch::{self as rules, KEYS_CLEARED, LastExecution, Origin};
use oxbatch_core::repository::rules::list::backstep_to_note;
use oxbatch_core::repository::rules::time::RunningTime;
use oxbatch_core::repository::{Admission, IdempotencyKey, LaunchRequest, Launched, RepositoryError};

use super::claim::seconds;
use super::error::StoreError;
use super::flow;
use super::node::keep_to_limits;
use super::rerun;
use super::rows;
use super::run_number;
use super::session::{Session, Values};
use super::sql::{execution_columns, now};
use crate::columns::newest_before;
use crate::conditions::overwrites_key;
use crate::rows::microseconds;

/// Searches for an instance that others create and purge at the same time.
const ATTEMPTS: u32 = 5;

const KEEP_KEY: &str = concat!(
    "INSERT INTO oxbatch_idempotency_key (key, request_hash, job_execution_id, create_time)
     VALUES ($1, $2, $3, ",
    now!(),
    ")",
    overwrites_key!()
);
const CLEAR_KEYS: &str = concat!(
    "DELETE FROM oxbatch_idempotency_key WHERE key IN (
         SELECT key FROM oxbatch_idempotency_key WHERE create_time < ",
    now!(),
    " - make_interval(secs => $1) ORDER BY create_time LIMIT $2 FOR UPDATE SKIP LOCKED)"
);

/// Launches, in the transaction of the caller. The number of statements does not depend on the history.
///
/// The instance's row is locked first: launches of one instance come one after the other, each sees what the one before
/// it has left, and those of other instances do not wait.
pub(super) async fn launch(session: &Session, request: &LaunchRequest) -> Result<Launched, StoreError> {
    if let Some(launched) = replay(session, request).await? {
        return Ok(launched);
    }
    if !request.new_run {
        run_number::note(session, request).await?;
        let found = instance(session, request, &request.parameters.job_key()).await?;
        return create(session, request, found).await;
    }
    for _ in 0..ATTEMPTS {
        let numbered = run_number::next(session, request).await?;
        // It is there already where a launch that gives the number by itself is on its way since before the first new run.
        let found = instance(session, &numbered, &numbered.parameters.job_key()).await?;
        if let (_, true) = found {
            return create(session, &numbered, found).await;
        }
    }
    let why = "others launch the next run by its number all the time";
    Err(RepositoryError::Unavailable { operation: "launch", source: why.into() }.into())
}

/// Creates the execution in an instance that was found, or was created and is new.
async fn create(
    session: &Session,
    request: &LaunchRequest,
    (instance_id, is_new): (i64, bool),
) -> Result<Launched, StoreError> {
    let (last, waiting) = join(
        async { if is_new { Ok(None) } else { last(session, instance_id).await } },
        waiting(session, &request.admission),
    )
    .await;
    let origin = rules::origin(last?, request)?;
    if let Some(changed) = origin.changed_definition(request) {
        let (entries, steps) = flow::reached(session, changed.execution_id).await?;
        rules::check_definition(changed, Reached { entries: &entries, steps: &steps })?;
    }
    rules::check_queue(&request.admission, waiting?)?;
    keep_to_limits(session, &request.job_name, &request.admission).await?;
    let (created, kept) = join(create_execution(session, request, instance_id, &origin), async {
        if is_new { create_parameters(session, request, instance_id).await } else { Ok(()) }
    })
    .await;
    let execution = created?;
    kept?;
    if let Some(idempotency) = &request.idempotency {
        keep_key(session, idempotency, execution.id).await?;
    }
    Ok(Launched::accepted(execution, &request.admission))
}

/// The answer to an earlier launch with the same idempotency key. Launches with one key come one after the other.
async fn replay(session: &Session, request: &LaunchRequest) -> Result<Option<Launched>, StoreError> {
    let Some(idempotency) = &request.idempotency else { return Ok(None) };
    session.query("SELECT pg_advisory_xact_lock(hashtextextended('oxbatch ' || $1, 0))", &[&idempotency.key]).await?;
    let found = session
        .optional(
            concat!(
                "SELECT request_hash, job_execution_id FROM oxbatch_idempotency_key
                 WHERE key = $1 AND create_time > ",
                now!(),
                " - make_interval(secs => $2)"
            ),
            &[&idempotency.key, &seconds(idempotency.life)],
        )
        .await?;
    let Some(found) = found else { return Ok(None) };
    let id = rules::replayed(idempotency, found.try_get(0)?, ExecutionId(found.try_get(1)?))?;
    let sql = concat!("SELECT ", execution_columns!(), " FROM oxbatch_job_execution WHERE id = $1");
    let execution = rows::execution(&session.one(sql, &[&id.0]).await?)?;
    Ok(Some(Launched::replayed(execution)))
}

async fn keep_key(session: &Session, idempotency: &IdempotencyKey, id: ExecutionId) -> Result<(), StoreError> {
    let kept: Values<'_> = &[&idempotency.key, &idempotency.request_hash, &id.0];
    let cleared: Values<'_> = &[&seconds(idempotency.life), &KEYS_CLEARED];
    let (kept, cleared) = join(session.execute(KEEP_KEY, kept), session.execute(CLEAR_KEYS, cleared)).await;
    kept?;
    cleared?;
    Ok(())
}

/// The instance, its row locked, and whether it was created.
pub(super) async fn instance(
    session: &Session,
    request: &LaunchRequest,
    job_key: &str,
) -> Result<(i64, bool), StoreError> {
    for _ in 0..ATTEMPTS {
        let found = session
            .optional(
                "SELECT id FROM oxbatch_job_instance WHERE job_name = $1 AND job_key = $2 FOR NO KEY UPDATE",
                &[&request.job_name, &job_key],
            )
            .await?;
        if let Some(row) = found {
            return Ok((row.try_get(0)?, false));
        }
        // Whoever creates the same one at this moment is waited for, and wins.
        let created = session
            .optional(
                "INSERT INTO oxbatch_job_instance (job_name, job_key, create_time) VALUES ($1, $2, $3)
                 ON CONFLICT (job_name, job_key) DO NOTHING RETURNING id",
                &[&request.job_name, &job_key, &request.admission.time],
            )
            .await?;
        if let Some(row) = created {
            return Ok((row.try_get(0)?, true));
        }
    }
    let why = "the instance is created and purged by others all the time";
    Err(RepositoryError::Unavailable { operation: "launch", source: why.into() }.into())
}

async fn last(session: &Session, instance_id: i64) -> Result<Option<LastExecution>, StoreError> {
    let row = session
        .optional(
            "SELECT id, status, coalesce(first_execution_id, id), context, definition, past_definition, exit_code
             FROM oxbatch_job_execution
             WHERE job_instance_id = $1 ORDER BY id DESC LIMIT 1",
            &[&instance_id],
        )
        .await?;
    row.map(|row| rows::last_execution(&row, 0)).transpose()
}

/// Counts the executions that wait, as far as it matters, and reads no more rows than that. Launches that come at the
/// same moment do not see each other: the queue may be longer by as many.
pub(super) async fn waiting(session: &Session, admission: &Admission) -> Result<i64, StoreError> {
    if admission.claim.is_some() {
        return Ok(0);
    }
    let row = session
        .one(
            "SELECT count(*) FROM (SELECT 1 FROM oxbatch_job_execution
                 WHERE status = 'STARTING' AND lease_owner IS NULL LIMIT $1) AS waiting",
            &[&i64::from(admission.queue_limit)],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// The parameters as columns: one statement for all of them.
#[derive(Default)]
struct Columns<'a> {
    names: Vec<&'a str>,
    types: Vec<&'static str>,
    strings: Vec<Option<String>>,
    escaped: Vec<bool>,
    longs: Vec<Option<i64>>,
    doubles: Vec<Option<f64>>,
    dates: Vec<Option<i64>>,
    date_only: Vec<bool>,
    identifying: Vec<bool>,
    secret: Vec<bool>,
}

impl<'a> Columns<'a> {
    fn of(request: &'a LaunchRequest) -> Self {
        let mut columns = Self::default();
        let hidden = ParameterValue::Secret(SecretValue::hidden(ParameterType::String));
        for (name, parameter) in request.parameters.iter() {
            let (mut string, mut long, mut double, mut date) = (None, None, None, None);
            let (mut escaped, mut date_only) = (false, false);
            columns.types.push(match if parameter.secret { &hidden } else { &parameter.value } {
                // The text of a secret is with the execution, encrypted; what is here can be searched.
                ParameterValue::Secret(_) => {
                    string = Some(SECRET_SHOWN.to_owned());
                    "STRING"
                }
                ParameterValue::String(text) => {
                    escaped = text.contains('\0');
                    string =
                        Some(if escaped { serde_json::Value::from(text.as_str()).to_string() } else { text.clone() });
                    "STRING"
                }
                ParameterValue::Integer(number) => {
                    long = Some(*number);
                    "INTEGER"
                }
                ParameterValue::Float(number) => {
                    double = Some(*number);
                    "FLOAT"
                }
                ParameterValue::DateTime(time) => {
                    date = Some(time.microseconds());
                    date_only = time.is_date();
                    "DATETIME"
                }
            });
            columns.names.push(name);
            columns.strings.push(string);
            columns.escaped.push(escaped);
            columns.longs.push(long);
            columns.doubles.push(double);
            columns.dates.push(date);
            columns.date_only.push(date_only);
            columns.identifying.push(parameter.identifying);
            columns.secret.push(parameter.secret);
        }
        columns
    }
}

pub(super) async fn create_parameters(
    session: &Session,
    request: &LaunchRequest,
    instance_id: i64,
) -> Result<(), StoreError> {
    let columns = Columns::of(request);
    session
        .execute(
            "INSERT INTO oxbatch_job_instance_parameter (job_instance_id, key_name, type, string_value, string_escaped,
                 long_value, double_value, date_value, date_only, identifying, secret)
             SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bool[], $6::bigint[], $7::float8[],
                 $8::bigint[], $9::bool[], $10::bool[], $11::bool[])",
            &[
                &instance_id,
                &columns.names,
                &columns.types,
                &columns.strings,
                &columns.escaped,
                &columns.longs,
                &columns.doubles,
                &columns.dates,
                &columns.date_only,
                &columns.identifying,
                &columns.secret,
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn create_execution(
    session: &Session,
    request: &LaunchRequest,
    instance_id: i64,
    origin: &Origin,
) -> Result<JobExecution, StoreError> {
    let begin = rules::begin(&request.admission)?;
    let row = session
        .one(
            concat!(
                "INSERT INTO oxbatch_job_execution (job_instance_id, job_name, status, create_time, start_time,
                     parameters, context, forced, first_execution_id, rerun_of, node, lease_owner, lease_epoch, priority,
                     restartable, definition, past_definition, lease_deadline, running_since, trace_parent,
                     change_time)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $17, $18, ",
                now!(),
                " + make_interval(secs => $16), CASE WHEN $16 IS NULL THEN NULL ELSE ",
                now!(),
                " END, $19, ",
                now!(),
                ") RETURNING ",
                execution_columns!(),
                ", ",
                newest_before!()
            ),
            &[
                &instance_id,
                &request.job_name,
                &begin.status.as_str(),
                &request.admission.time,
                &begin.start_time,
                &request.parameters.to_json(),
                &origin.context,
                &request.force,
                &origin.lineage.map(|id| id.0),
                &origin.rerun_of.map(|id| id.0),
                &begin.node,
                &begin.owner,
                &begin.epoch,
                &request.admission.priority,
                &request.restartable,
                &begin.lease.map(seconds),
                &request.definition.as_deref().filter(|_| begin.lease.is_some()),
                &origin.definition.as_ref().map(|(_, definition)| definition),
                &request.trace_parent.map(|parent| parent.to_string()),
            ],
        )
        .await?;
    let execution = rows::execution(&row)?;
    note_time_order(session, execution.create_time, row.try_get(rows::EXECUTION_COLUMNS)?).await?;
    Ok(execution)
}

/// Notes by how much an execution is created before one with a smaller id: lists by time count on it.
async fn note_time_order(
    session: &Session,
    create_time: Timestamp,
    newest: Option<Timestamp>,
) -> Result<(), StoreError> {
    if let Some(backstep) = backstep_to_note(create_time, newest) {
        session
            .execute(
                "UPDATE oxbatch_time_order SET backstep = greatest(backstep, $1) WHERE backstep < $1",
                &[&backstep],
            )
            .await?;
    }
    Ok(())
}

/// The running execution of an instance: the one because of which the index has refused another.
pub(super) async fn running(session: &Session, request: &LaunchRequest) -> Result<Option<ExecutionId>, StoreError> {
    let row = session
        .optional(
            "SELECT id FROM oxbatch_job_execution
             WHERE job_instance_id = (SELECT id FROM oxbatch_job_instance WHERE job_name = $1 AND job_key = $2)
                 AND status IN ('STARTING', 'STARTED', 'STOPPING')",
            &[&request.job_name, &request.parameters.job_key()],
        )
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.map(ExecutionId))
}

/// A queued execution that goes on by itself where another of the same instance ended: same parameters, lineage,
/// context and running time.
pub(super) async fn create_successor(
    session: &Session,
    (of, running): (ExecutionId, RunningTime),
    recovery_count: i64,
    time: Timestamp,
) -> Result<ExecutionId, StoreError> {
    let row = session
        .one(
            concat!(
                "INSERT INTO oxbatch_job_execution (job_instance_id, job_name, status, create_time, parameters, context,
                     forced, first_execution_id, recovery_count, priority, rerun_of, restartable, launch_execution_id,
                     earlier_time, past_definition, trace_parent, change_time)
                 SELECT job_instance_id, job_name, $2, $3, parameters, context, FALSE, coalesce(first_execution_id, id),
                     $4, priority, rerun_of, restartable, coalesce(launch_execution_id, id), $5,
                     CASE WHEN rerun_of IS NULL THEN coalesce(definition, past_definition) END, trace_parent, ",
                now!(),
                " FROM oxbatch_job_execution WHERE id = $1 RETURNING id, rerun_of, ",
                newest_before!()
            ),
            &[&of.0, &Status::Starting.as_str(), &time, &recovery_count, &microseconds(running.total())],
        )
        .await?;
    let id = ExecutionId(row.try_get(0)?);
    note_time_order(session, time, row.try_get(2)?).await?;
    if let Some(of) = row.try_get(1)? {
        rerun::link(session, of, id).await?;
    }
    Ok(id)
}
