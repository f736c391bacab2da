//! Creation of instances and executions.

use jiff::Timestamp;
use oxbatch_core::execution::{ExecutionId, JobExecution, Status};
use oxbatch_core::job::Reached;
use oxbatch_core::repository::rules::launch::{self as rules, KEYS_CLEARED, LastExecution, Origin};
use oxbatch_core::repository::rules::list::backstep_to_note;
use oxbatch_core::repository::rules::time::RunningTime;
use oxbatch_core::repository::{Admission, IdempotencyKey, LaunchError, LaunchRequest, Launched};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::{StoreError, is_unique_violation};
use super::sql::{execution_columns, now};
use super::{flow, node, rerun, rows, run_number};
use crate::columns::newest_before;
use crate::conditions::overwrites_key;
pub(super) use crate::rows::microseconds;

/// Launches, in the transaction of the caller. The number of statements does not depend on the history.
pub(super) fn launch(connection: &Connection, request: &LaunchRequest) -> Result<Launched, StoreError> {
    if let Some(launched) = replay(connection, request)? {
        return Ok(launched);
    }
    let numbered;
    let request = if request.new_run {
        numbered = run_number::next(connection, request)?;
        &numbered
    } else {
        run_number::note(connection, request)?;
        request
    };
    let job_key = request.parameters.job_key();
    let (instance_id, last) = before(connection, &request.job_name, &job_key)?.unzip();
    let origin = rules::origin(last.flatten(), request)?;
    if let Some(changed) = origin.changed_definition(request) {
        let (entries, steps) = flow::reached(connection, changed.execution_id)?;
        rules::check_definition(changed, Reached { entries: &entries, steps: &steps })?;
    }
    admit(connection, &request.job_name, &request.admission)?;
    let instance_id = match instance_id {
        Some(id) => id,
        None => create_instance(connection, request, &job_key)?,
    };
    let execution = create_execution(connection, request, instance_id, &origin)?;
    if let Some(idempotency) = &request.idempotency {
        keep_key(connection, idempotency, execution.id)?;
    }
    Ok(Launched::accepted(execution, &request.admission))
}

/// The answer to an earlier launch with the same idempotency key.
fn replay(connection: &Connection, request: &LaunchRequest) -> Result<Option<Launched>, StoreError> {
    let Some(idempotency) = &request.idempotency else { return Ok(None) };
    let found: Option<(String, i64)> = connection
        .prepare_cached(concat!(
            "SELECT request_hash, job_execution_id FROM oxbatch_idempotency_key WHERE key = ?1 AND create_time > ",
            now!(),
            " - ?2"
        ))?
        .query_row(params![idempotency.key, microseconds(idempotency.life)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((request_hash, id)) = found else { return Ok(None) };
    let id = rules::replayed(idempotency, &request_hash, ExecutionId(id))?;
    let execution = connection
        .prepare_cached(concat!("SELECT ", execution_columns!(), " FROM oxbatch_job_execution WHERE id = ?1"))?
        .query_row([id.0], rows::execution)?;
    Ok(Some(Launched::replayed(execution)))
}

fn keep_key(connection: &Connection, idempotency: &IdempotencyKey, id: ExecutionId) -> Result<(), StoreError> {
    connection
        .prepare_cached(concat!(
            "INSERT INTO oxbatch_idempotency_key (key, request_hash, job_execution_id, create_time)
             VALUES (?1, ?2, ?3, ",
            now!(),
            ")",
            overwrites_key!()
        ))?
        .execute(params![idempotency.key, idempotency.request_hash, id.0])?;
    connection
        .prepare_cached(concat!(
            "DELETE FROM oxbatch_idempotency_key WHERE key IN (
                 SELECT key FROM oxbatch_idempotency_key WHERE create_time < ",
            now!(),
            " - ?1 ORDER BY create_time LIMIT ?2)"
        ))?
        .execute(params![microseconds(idempotency.life), KEYS_CLEARED])?;
    Ok(())
}

/// The instance of a launch, when there is one, and its last execution.
fn before(
    connection: &Connection,
    job_name: &str,
    job_key: &str,
) -> Result<Option<(i64, Option<LastExecution>)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT instance.id, last.id, last.status, coalesce(last.first_execution_id, last.id), last.context,
             last.definition, last.past_definition, last.exit_code
         FROM oxbatch_job_instance AS instance
         LEFT JOIN oxbatch_job_execution AS last ON last.id =
             (SELECT max(id) FROM oxbatch_job_execution WHERE job_instance_id = instance.id)
         WHERE instance.job_name = ?1 AND instance.job_key = ?2",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let is_there = row.get::<_, Option<i64>>(1)?.is_some();
        Ok((row.get(0)?, if is_there { Some(rows::last_execution(row, 1)?) } else { None }))
    };
    Ok(statement.query_row(params![job_name, job_key], read).optional()?)
}

/// Refuses what would wait beyond the queue's limit, or run at once beyond another. Looks at no more rows than the
/// limit.
pub(super) fn admit(connection: &Connection, job_name: &str, admission: &Admission) -> Result<(), StoreError> {
    if admission.claim.is_some() {
        return node::check_limits(connection, job_name, &admission.limits);
    }
    let waiting = connection
        .prepare_cached(
            "SELECT count(*) FROM (SELECT 1 FROM oxbatch_job_execution
                 WHERE status = 'STARTING' AND lease_owner IS NULL LIMIT ?1)",
        )?
        .query_row([admission.queue_limit], |row| row.get(0))?;
    Ok(rules::check_queue(admission, waiting)?)
}

pub(super) fn create_instance(
    connection: &Connection,
    request: &LaunchRequest,
    job_key: &str,
) -> Result<i64, StoreError> {
    let id = connection
        .prepare_cached("INSERT INTO oxbatch_job_instance (job_name, job_key, create_time) VALUES (?1, ?2, ?3)")?
        .insert(params![request.job_name, job_key, request.admission.time.as_microsecond()])?;
    connection
        .prepare_cached(
            "INSERT INTO oxbatch_job_instance_parameter (job_instance_id, key_name, type, string_value, long_value,
                 double_value, date_value, date_only, identifying, secret)
             SELECT ?1, key, type,
                 iif(type = 'STRING', value ->> '$.value', NULL),
                 iif(type = 'INTEGER', value ->> '$.value', NULL),
                 iif(type = 'FLOAT', value ->> '$.value', NULL),
                 iif(type = 'DATETIME', value ->> '$.value', NULL),
                 coalesce(value ->> '$.date_only', 0),
                 coalesce(value ->> '$.identifying', 1),
                 coalesce(value ->> '$.secret', 0)
             FROM (SELECT key, value, value ->> '$.type' AS type FROM json_each(?2))",
        )?
        .execute(params![id, request.parameters.to_json()])?;
    Ok(id)
}

pub(super) fn create_execution(
    connection: &Connection,
    request: &LaunchRequest,
    instance_id: i64,
    origin: &Origin,
) -> Result<JobExecution, StoreError> {
    let begin = rules::begin(&request.admission)?;
    let created = connection
        .prepare_cached(concat!(
            "INSERT INTO oxbatch_job_execution (job_instance_id, job_name, status, create_time, start_time, parameters,
                 context, forced, first_execution_id, rerun_of, node, lease_owner, lease_epoch, priority, restartable,
                 definition, past_definition, lease_deadline, running_since, trace_parent, change_time)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?17, ?18, ",
            now!(),
            " + ?16, iif(?16 IS NULL, NULL, ",
            now!(),
            "), ?19, ",
            now!(),
            ") RETURNING ",
            execution_columns!(),
            ", ",
            newest_before!()
        ))?
        .query_row(
            params![
                instance_id,
                request.job_name,
                begin.status.as_str(),
                request.admission.time.as_microsecond(),
                begin.start_time.map(Timestamp::as_microsecond),
                request.parameters.to_json(),
                origin.context,
                request.force,
                origin.lineage.map(|id| id.0),
                origin.rerun_of.map(|id| id.0),
                begin.node,
                begin.owner,
                begin.epoch,
                request.admission.priority,
                request.restartable,
                begin.lease.map(microseconds),
                request.definition.as_deref().filter(|_| begin.lease.is_some()),
                origin.definition.as_ref().map(|(_, definition)| definition),
                request.trace_parent.map(|parent| parent.to_string()),
            ],
            |row| Ok((rows::execution(row)?, row.get(rows::EXECUTION_COLUMNS)?)),
        );
    match created {
        Err(error) if is_unique_violation(&error) => Err(running(connection, instance_id, error)),
        created => {
            let (execution, newest) = created?;
            note_time_order(connection, execution.create_time, newest)?;
            Ok(execution)
        }
    }
}

/// Notes by how much an execution is created before one with a smaller id: lists by time count on it.
fn note_time_order(connection: &Connection, create_time: Timestamp, newest: Option<i64>) -> Result<(), StoreError> {
    let newest = newest.and_then(|newest| Timestamp::from_microsecond(newest).ok());
    if let Some(backstep) = backstep_to_note(create_time, newest) {
        connection.prepare_cached("UPDATE oxbatch_time_order SET backstep = max(backstep, ?1)")?.execute([backstep])?;
    }
    Ok(())
}

/// The index that allows one running execution has refused another.
fn running(connection: &Connection, instance_id: i64, error: rusqlite::Error) -> StoreError {
    let found = connection.query_row(
        "SELECT id FROM oxbatch_job_execution
         WHERE job_instance_id = ?1 AND status IN ('STARTING', 'STARTED', 'STOPPING')",
        [instance_id],
        |row| row.get(0),
    );
    match found {
        Ok(id) => LaunchError::AlreadyRunning { execution_id: ExecutionId(id) }.into(),
        Err(_) => error.into(),
    }
}

/// A queued execution that goes on by itself where another of the same instance ended: same parameters, lineage,
/// context and running time.
pub(super) fn create_successor(
    connection: &Connection,
    (of, running): (ExecutionId, RunningTime),
    recovery_count: i64,
    time: Timestamp,
) -> Result<ExecutionId, StoreError> {
    let (status, earlier) = (Status::Starting.as_str(), microseconds(running.total()));
    let (id, rerun_of, newest): (i64, Option<i64>, Option<i64>) = connection
        .prepare_cached(concat!(
            "INSERT INTO oxbatch_job_execution (job_instance_id, job_name, status, create_time, parameters, context,
                 forced, first_execution_id, recovery_count, priority, rerun_of, restartable, launch_execution_id,
                 earlier_time, past_definition, trace_parent, change_time)
             SELECT job_instance_id, job_name, ?2, ?3, parameters, context, 0, coalesce(first_execution_id, id), ?4,
                 priority, rerun_of, restartable, coalesce(launch_execution_id, id), ?5,
                 CASE WHEN rerun_of IS NULL THEN coalesce(definition, past_definition) END, trace_parent, ",
            now!(),
            " FROM oxbatch_job_execution WHERE id = ?1 RETURNING id, rerun_of, ",
            newest_before!()
        ))?
        .query_row(params![of.0, status, time.as_microsecond(), recovery_count, earlier], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    note_time_order(connection, time, newest)?;
    if let Some(of) = rerun_of {
        rerun::link(connection, of, ExecutionId(id))?;
    }
    Ok(ExecutionId(id))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use oxbatch_core::execution::StatusEvent;
    use oxbatch_core::job::JobParameters;
    use oxbatch_core::repository::{ExecutionOutcome, NewStep, Node, RunLimits};
    use rusqlite::trace::{TraceEvent, TraceEventCodes};

    use super::*;
    use crate::SqliteRepository;
    use crate::sqlite::{finish, step};

    thread_local! {
        static STATEMENTS: Cell<u32> = const { Cell::new(0) };
    }

    fn count(event: TraceEvent<'_>) {
        if let TraceEvent::Stmt(..) = event {
            STATEMENTS.set(STATEMENTS.get() + 1);
        }
    }

    fn statements<T>(work: impl FnOnce() -> T) -> (u32, T) {
        STATEMENTS.set(0);
        let done = work();
        (STATEMENTS.get(), done)
    }

    #[test]
    fn a_launch_and_a_step_cost_as_many_statements_after_200_executions_as_after_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("oxbatch.db");
        let _repository = SqliteRepository::open(&path).unwrap();
        let mut connection = crate::sqlite::open::writer(&path, crate::sqlite::open::Durability::Later).ok().unwrap();
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(count)).unwrap();
        let request = LaunchRequest {
            job_name: "Job".to_owned(),
            parameters: JobParameters::default().with("a", 1).with("b", 2),
            force: false,
            new_run: false,
            definition: None,
            accept_changes: false,
            restartable: true,
            admission: Admission {
                time: Timestamp::UNIX_EPOCH,
                claim: Some((Node::new("node"), std::time::Duration::from_secs(60))),
                queue_limit: 10,
                priority: 0,
                limits: RunLimits::default(),
            },
            after: None,
            idempotency: None,
            trace_parent: None,
        };
        let mut costs = Vec::new();
        for number in 1..=200_i64 {
            let (launch_cost, launched) = statements(|| launch(&connection, &request).ok().unwrap());
            assert_eq!(launched.execution.id, ExecutionId(number));
            let lease = launched.lease.unwrap();
            let new = NewStep {
                step_name: "Step".to_owned(),
                iteration: 1,
                since: None,
                rerun_if_complete: true,
                start_limit: None,
                time: Timestamp::UNIX_EPOCH,
            };
            let (step_cost, _) = statements(|| step::start(&connection, lease, &new).ok().unwrap());
            let outcome = ExecutionOutcome {
                event: StatusEvent::Fail,
                exit_code: None,
                exit_message: None,
                resume: false,
                time: Timestamp::UNIX_EPOCH,
            };
            let (end_cost, _) = statements(|| finish::execution(&connection, lease, &outcome).ok().unwrap());
            costs.push([launch_cost, step_cost, end_cost]);
        }
        assert!(costs[1..].iter().all(|cost| *cost == costs[1]), "{costs:?}");
        // The first launch creates the instance and its parameters besides.
        assert_eq!(costs[0][0], costs[1][0] + 2);
        // Three of them are the trigger's that numbers the change of the status.
        assert!(costs[0].iter().all(|cost| (1..=7).contains(cost)), "{costs:?}");
    }
}
