//! The nodes that share the database: their heartbeats, what they run, the request to drain, and limits across them.

use std::time::Duration;

use oxbatch_core::repository::rules::launch::{Running, check_limits};
use oxbatch_core::repository::{
    Admission, Drain, NODE_RETENTION, Node, NodeReport, NodeState, NodeStatus, RepositoryError, RunLimits,
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::claim::seconds;
use super::error::{StoreError, corrupt};
use super::session::Session;
use super::sql::now;
use crate::conditions::renews_heartbeat;
use crate::nodes::{self, MOST_NODES};
use crate::presence::Presence;

/// Writes down that a node lives, in one statement.
pub(super) async fn heartbeat(session: &Session, report: &NodeReport) -> Result<Option<Drain>, StoreError> {
    let row = session
        .one(
            concat!(
                "WITH outdated AS (DELETE FROM oxbatch_node
                     WHERE heartbeat < ",
                now!(),
                " - make_interval(secs => $8) AND boot_id <> $1::text::uuid)
                 INSERT INTO oxbatch_node (boot_id, name, version, jobs, capacity, lease, start_time, heartbeat)
                 VALUES ($1::text::uuid, $2, $3, $4, $5, $6, $7, ",
                now!(),
                ")",
                renews_heartbeat!()
            ),
            &[
                &report.node.boot_id.to_string(),
                &report.node.name,
                &report.version,
                &&report.jobs[..],
                &i64::from(report.capacity),
                &i64::try_from(report.lease.as_micros()).unwrap_or(i64::MAX),
                &report.start_time,
                &seconds(NODE_RETENTION),
            ],
        )
        .await?;
    nodes::drain(&row, 0)
}

/// All nodes. One whose process has certainly ended is gone, however fresh its heartbeat is.
pub(super) async fn nodes(session: &Session, presence: &Presence) -> Result<Vec<NodeStatus>, StoreError> {
    let rows = session
        .query(
            concat!(
                "SELECT boot_id::text, name, version, jobs, capacity, lease, start_time, heartbeat, draining, drain_stop,
                     drain_exit, greatest(extract(epoch FROM ",
                now!(),
                " - heartbeat), 0)::float8
                 FROM (SELECT * FROM oxbatch_node ORDER BY heartbeat DESC LIMIT $1) AS newest
                 ORDER BY start_time, boot_id"
            ),
            &[&MOST_NODES],
        )
        .await?;
    let found = rows.iter().map(node).collect::<Result<_, _>>()?;
    let mut running = nodes::Running::default();
    for row in session.query(nodes::RUNNING, &[]).await? {
        running.add(&row)?;
    }
    Ok(running.of(found, |state, owner| match state {
        NodeState::Gone => state,
        state if presence.is_dead(owner) => state.with_process(false),
        state => state,
    }))
}

/// The nodes whose marks say what their rows do not: they own leases, or died within their lease.
pub(super) async fn marked(session: &Session) -> Result<Vec<String>, StoreError> {
    let sql = concat!(
        "SELECT lease_owner FROM oxbatch_job_execution WHERE lease_owner IS NOT NULL
         UNION
         SELECT name || '/' || boot_id FROM oxbatch_node WHERE extract(epoch FROM ",
        now!(),
        " - heartbeat) < lease / 1000000.0"
    );
    let rows = session.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Asks a node to drain, or to take work again, and returns its state then.
pub(super) async fn drain(
    session: &Session,
    presence: &Presence,
    boot_id: Uuid,
    drain: Option<Drain>,
) -> Result<NodeStatus, StoreError> {
    let changed = session
        .execute(
            "UPDATE oxbatch_node SET draining = $2, drain_stop = $3, drain_exit = $4 WHERE boot_id = $1::text::uuid",
            &[
                &boot_id.to_string(),
                &drain.is_some(),
                &drain.is_some_and(|drain| drain.stop),
                &drain.is_some_and(|drain| drain.exit),
            ],
        )
        .await?;
    if changed == 0 {
        return Err(RepositoryError::NodeNotFound { id: boot_id }.into());
    }
    Ok(nodes::find(nodes(session, presence).await?, boot_id)?)
}

/// Removes a node that ends in order.
pub(super) async fn remove(session: &Session, node: &Node) -> Result<(), StoreError> {
    session.execute("DELETE FROM oxbatch_node WHERE boot_id = $1::text::uuid", &[&node.boot_id.to_string()]).await?;
    Ok(())
}

/// Takes the lock of those who claim within limits, until the end of the transaction. A statement that comes after it
/// sees all claims that were made before: each was committed before its lock was released.
pub(super) async fn lock_queue(session: &Session, limits: &RunLimits) -> Result<(), StoreError> {
    if !limits.is_empty() {
        session.query("SELECT id FROM oxbatch_claim_turn WHERE id = 1 FOR NO KEY UPDATE", &[]).await?;
    }
    Ok(())
}

/// Refuses a launch that would run at once beyond a limit.
pub(super) async fn keep_to_limits(session: &Session, job_name: &str, admission: &Admission) -> Result<(), StoreError> {
    if admission.claim.is_none() || admission.limits.is_empty() {
        return Ok(());
    }
    lock_queue(session, &admission.limits).await?;
    let row = session
        .one(
            "SELECT count(*) FILTER (WHERE job_name = $1), count(*) FROM oxbatch_job_execution
             WHERE lease_owner IS NOT NULL",
            &[&job_name],
        )
        .await?;
    let running = Running { of_job: row.try_get(0)?, in_all: row.try_get(1)? };
    Ok(check_limits(job_name, &admission.limits, running)?)
}

/// Reads a node and the seconds since its heartbeat; what it runs is not among them.
fn node(row: &Row) -> Result<NodeStatus, StoreError> {
    let boot_id = Uuid::parse_str(row.try_get(0)?).map_err(|error| corrupt("id of node", 0, error))?;
    let lease = Duration::from_micros(row.try_get::<_, i64>(5)?.unsigned_abs());
    let report = NodeReport {
        node: Node { name: row.try_get(1)?, boot_id },
        version: row.try_get(2)?,
        jobs: row.try_get::<_, Vec<String>>(3)?.into(),
        capacity: u32::try_from(row.try_get::<_, i64>(4)?).unwrap_or(u32::MAX),
        lease,
        start_time: row.try_get(6)?,
    };
    let drain = nodes::drain(row, 8)?;
    let state = NodeState::of(Duration::from_secs_f64(row.try_get(11)?), lease, drain);
    Ok(NodeStatus { report, heartbeat: row.try_get(7)?, state, drain, running: Vec::new() })
}
