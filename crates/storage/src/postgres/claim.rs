//! Leases: the owner of an execution, and the time until which it is.

use std::time::Duration;

use oxbatch_core::repository::rules::joined::first_step;
use oxbatch_core::repository::rules::launch::claimed;
use oxbatch_core::repository::rules::step::RunningExecution;
use oxbatch_core::repository::{ClaimRequest, Claimed, LeaseKey, Node, RenewedLease, StepStart, leased_executions};

use super::error::StoreError;
use super::node::lock_queue;
use super::session::Session;
use super::sql::{execution_columns, now, started_columns};
use super::{rows, step};
use crate::conditions::no_launch_pause;

/// The longest lease: a hundred years.
const LONGEST_SECONDS: f64 = 100.0 * 365.25 * 86_400.0;

/// A time span as the database counts it.
pub(super) fn seconds(span: Duration) -> f64 {
    span.as_secs_f64().min(LONGEST_SECONDS)
}

/// Gives the foremost waiting execution to a node, and begins its first step where the rule says so. Rows that another
/// node is about to take are passed over.
pub(super) async fn claim(session: &Session, request: &ClaimRequest) -> Result<Option<Claimed>, StoreError> {
    let Some((mut claimed, running)) = take(session, request).await? else { return Ok(None) };
    if let Some(first) = first_step(&claimed, &running, request)
        && let StepStart::Run(started) = step::begin(session, claimed.lease, running, &first).await?
    {
        claimed.begun = Some(started);
    }
    Ok(Some(claimed))
}

/// Gives the foremost waiting execution to a node; its row is locked from here on.
async fn take(session: &Session, request: &ClaimRequest) -> Result<Option<(Claimed, RunningExecution)>, StoreError> {
    let status = claimed()?;
    lock_queue(session, &request.limits).await?;
    let (limited, limits): (Vec<&str>, Vec<i64>) =
        request.limits.of_jobs.iter().map(|(job, limit)| (job.as_str(), i64::from(*limit))).unzip();
    let row = session
        .optional(
            concat!(
                "WITH foremost AS MATERIALIZED (
                     SELECT id AS foremost_id FROM oxbatch_job_execution
                     WHERE status = 'STARTING' AND lease_owner IS NULL AND ($7::bigint IS NULL OR id = $7)
                         AND job_name = ANY ($6)",
                no_launch_pause!(),
                "
                         AND job_name <> ALL (ARRAY(
                             SELECT job FROM unnest($8::text[], $9::bigint[]) AS limited (job, most)
                             WHERE most <= (SELECT count(*) FROM oxbatch_job_execution AS running
                                 WHERE running.lease_owner IS NOT NULL AND running.job_name = job)))
                         AND ($10::bigint IS NULL OR $10 >
                             (SELECT count(*) FROM oxbatch_job_execution WHERE lease_owner IS NOT NULL))
                         AND NOT EXISTS (SELECT 1 FROM oxbatch_node WHERE boot_id = $11::text::uuid AND draining)
                     ORDER BY priority DESC, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
                 UPDATE oxbatch_job_execution
                 SET status = $1, start_time = $2, node = $3, lease_owner = $4, lease_epoch = lease_epoch + 1,
                     definition = (SELECT definition FROM unnest($6::text[], $12::text[]) AS known (job, definition)
                         WHERE job = job_name),
                     running_since = ",
                now!(),
                ", change_time = ",
                now!(),
                ", lease_deadline = ",
                now!(),
                " + make_interval(secs => $5)
                 FROM foremost WHERE id = foremost_id RETURNING ",
                execution_columns!(),
                ", lease_epoch, earlier_time, past_definition, ",
                started_columns!()
            ),
            &[
                &status.as_str(),
                &request.time,
                &request.node.name,
                &request.node.to_string(),
                &seconds(request.lease),
                &request.jobs.names(),
                &request.only.map(|id| id.0),
                &limited,
                &limits,
                &request.limits.total.map(i64::from),
                &request.node.boot_id.to_string(),
                &request.jobs.fingerprints(),
            ],
        )
        .await?;
    row.as_ref().map(rows::claimed).transpose()
}

/// Extends the leases of a node on what it holds.
pub(super) async fn renew(
    session: &Session,
    node: &Node,
    held: &[LeaseKey],
    lease: Duration,
) -> Result<Vec<RenewedLease>, StoreError> {
    let held: Vec<i64> = leased_executions(held).map(|id| id.0).collect();
    let renewed = session
        .query(
            concat!(
                "UPDATE oxbatch_job_execution SET lease_deadline = ",
                now!(),
                " + make_interval(secs => $2) WHERE lease_owner = $1 AND id = ANY ($3)
                 RETURNING id, lease_epoch, status, earlier_time, running_since, ",
                now!()
            ),
            &[&node.to_string(), &seconds(lease), &held],
        )
        .await?;
    renewed.iter().map(rows::renewed).collect()
}
