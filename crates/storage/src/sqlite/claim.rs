//! Leases: the owner of an execution, and the time until which it is.

use oxbatch_core::repository::rules::joined::first_step;
use oxbatch_core::repository::rules::launch::claimed;
use oxbatch_core::repository::{ClaimRequest, Claimed, LeaseKey, Node, RenewedLease, StepStart, leased_executions};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::launch::microseconds;
use super::sql::{execution_columns, now, started_columns};
use super::{node, rows, step};
use crate::conditions::no_launch_pause;

/// Gives the foremost waiting execution to a node, and begins its first step where the rule says so. The one writer at
/// a time makes the limits exact.
pub(super) fn claim(connection: &Connection, request: &ClaimRequest) -> Result<Option<Claimed>, StoreError> {
    if node::is_draining(connection, &request.node)? {
        return Ok(None);
    }
    let status = claimed()?;
    let limits: serde_json::Map<_, _> =
        request.limits.of_jobs.iter().map(|(job, limit)| (job.clone(), (*limit).into())).collect();
    let mut statement = connection.prepare_cached(concat!(
        "UPDATE oxbatch_job_execution
         SET status = ?1, start_time = ?2, node = ?3, lease_owner = ?4, lease_epoch = lease_epoch + 1,
             definition = (SELECT value FROM json_each(?6) AS known WHERE known.key = job_name), running_since = ",
        now!(),
        ", change_time = ",
        now!(),
        ", lease_deadline = ",
        now!(),
        " + ?5
         WHERE id = (SELECT id FROM oxbatch_job_execution
             WHERE status = 'STARTING' AND lease_owner IS NULL AND (?7 IS NULL OR id = ?7)
                 AND job_name IN (SELECT key FROM json_each(?6))",
        no_launch_pause!(),
        "
                 AND job_name NOT IN (SELECT key FROM json_each(?8) AS of_job
                     WHERE of_job.value <= (SELECT count(*) FROM oxbatch_job_execution AS running
                         WHERE running.lease_owner IS NOT NULL AND running.job_name = of_job.key))
                 AND (?9 IS NULL OR ?9 > (SELECT count(*) FROM oxbatch_job_execution WHERE lease_owner IS NOT NULL))
             ORDER BY priority DESC, id LIMIT 1)
         RETURNING ",
        execution_columns!(),
        ", lease_epoch, earlier_time, past_definition, ",
        started_columns!()
    ))?;
    let values = params![
        status.as_str(),
        request.time.as_microsecond(),
        request.node.name,
        request.node.to_string(),
        microseconds(request.lease),
        request.jobs.as_json(),
        request.only.map(|id| id.0),
        serde_json::Value::from(limits).to_string(),
        request.limits.total,
    ];
    let Some((mut claimed, running)) = statement.query_row(values, rows::claimed).optional()? else { return Ok(None) };
    if let Some(first) = first_step(&claimed, &running, request)
        && let StepStart::Run(started) = step::begin(connection, claimed.lease, running, &first)?
    {
        claimed.begun = Some(started);
    }
    Ok(Some(claimed))
}

/// Extends the leases of a node on what it holds.
pub(super) fn renew(
    connection: &Connection,
    node: &Node,
    held: &[LeaseKey],
    lease: i64,
) -> Result<Vec<RenewedLease>, StoreError> {
    let held: serde_json::Value = leased_executions(held).map(|id| id.0).collect();
    let mut statement = connection.prepare_cached(concat!(
        "UPDATE oxbatch_job_execution SET lease_deadline = ",
        now!(),
        " + ?2 WHERE lease_owner = ?1 AND id IN (SELECT value FROM json_each(?3))
         RETURNING id, lease_epoch, status, earlier_time, running_since, ",
        now!()
    ))?;
    let renewed = statement.query_map(params![node.to_string(), lease, held.to_string()], rows::renewed)?;
    Ok(renewed.collect::<Result<_, _>>()?)
}
