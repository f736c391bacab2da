//! The nodes that share the database: their heartbeats, what they run, and the request to drain.

use std::time::Duration;

use jiff::Timestamp;
use oxbatch_core::repository::rules::launch::{self, Running};
use oxbatch_core::repository::{
    Drain, NODE_RETENTION, Node, NodeReport, NodeState, NodeStatus, RepositoryError, RunLimits,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::error::{StoreError, unreadable};
use super::launch::microseconds;
use super::sql::now;
use crate::conditions::renews_heartbeat;
use crate::nodes::{self, MOST_NODES};
use crate::presence::Presence;

macro_rules! node_columns {
    () => {
        "boot_id, name, version, jobs, capacity, lease, start_time, heartbeat, draining, drain_stop, drain_exit"
    };
}

/// Writes down that a node lives.
pub(super) fn heartbeat(connection: &Connection, report: &NodeReport) -> Result<Option<Drain>, StoreError> {
    let jobs = serde_json::Value::from(report.jobs.to_vec()).to_string();
    let drain = connection
        .prepare_cached(concat!(
            "INSERT INTO oxbatch_node (boot_id, name, version, jobs, capacity, lease, start_time, heartbeat)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ",
            now!(),
            ")",
            renews_heartbeat!()
        ))?
        .query_row(
            params![
                report.node.boot_id.to_string(),
                report.node.name,
                report.version,
                jobs,
                report.capacity,
                microseconds(report.lease),
                report.start_time.as_microsecond(),
            ],
            |row| nodes::drain(row, 0),
        )?;
    connection
        .prepare_cached(concat!("DELETE FROM oxbatch_node WHERE heartbeat < ", now!(), " - ?1"))?
        .execute([microseconds(NODE_RETENTION)])?;
    Ok(drain)
}

/// All nodes. One whose process has ended is gone, however fresh its heartbeat is; one that lives is not: it may wait
/// for the write lock behind another that is frozen.
pub(super) fn nodes(connection: &Connection, presence: &Presence) -> Result<Vec<NodeStatus>, StoreError> {
    let now: i64 = connection.prepare_cached(concat!("SELECT ", now!()))?.query_row([], |row| row.get(0))?;
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        node_columns!(),
        " FROM (SELECT * FROM oxbatch_node ORDER BY heartbeat DESC LIMIT ?1) ORDER BY start_time, boot_id"
    ))?;
    let found = statement.query_map([MOST_NODES], |row| node(row, now))?.collect::<Result<_, _>>()?;
    let mut running = nodes::Running::default();
    let mut statement = connection.prepare_cached(nodes::RUNNING)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        running.add(row)?;
    }
    // All nodes of a file are on this machine, and each holds its mark as long as it lives.
    Ok(running.of(found, |state, owner| state.with_process(!presence.is_dead(owner))))
}

/// Asks a node to drain, or to take work again.
pub(super) fn drain(connection: &Connection, boot_id: Uuid, drain: Option<Drain>) -> Result<(), StoreError> {
    let changed = connection
        .prepare_cached("UPDATE oxbatch_node SET draining = ?2, drain_stop = ?3, drain_exit = ?4 WHERE boot_id = ?1")?
        .execute(params![
            boot_id.to_string(),
            drain.is_some(),
            drain.is_some_and(|drain| drain.stop),
            drain.is_some_and(|drain| drain.exit),
        ])?;
    if changed == 0 { Err(RepositoryError::NodeNotFound { id: boot_id }.into()) } else { Ok(()) }
}

/// Removes a node that ends in order.
pub(super) fn remove(connection: &Connection, node: &Node) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM oxbatch_node WHERE boot_id = ?1")?.execute([node.boot_id.to_string()])?;
    Ok(())
}

/// Refuses a launch that would run at once beyond a limit.
pub(super) fn check_limits(connection: &Connection, job_name: &str, limits: &RunLimits) -> Result<(), StoreError> {
    if limits.is_empty() {
        return Ok(());
    }
    let running = connection
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE job_name = ?1), count(*) FROM oxbatch_job_execution
             WHERE lease_owner IS NOT NULL",
        )?
        .query_row([job_name], |row| Ok(Running { of_job: row.get(0)?, in_all: row.get(1)? }))?;
    Ok(launch::check_limits(job_name, limits, running)?)
}

/// Reads `node_columns!()`; what it runs is not among them.
fn node(row: &Row<'_>, now: i64) -> rusqlite::Result<NodeStatus> {
    let time = |column| {
        let microseconds = row.get(column)?;
        Timestamp::from_microsecond(microseconds).map_err(|error| unreadable("time of a node", 0, error))
    };
    let boot_id = Uuid::parse_str(row.get_ref(0)?.as_str()?).map_err(|error| unreadable("id of a node", 0, error))?;
    let jobs: Vec<String> =
        serde_json::from_str(row.get_ref(3)?.as_str()?).map_err(|error| unreadable("jobs of a node", 0, error))?;
    let lease = Duration::from_micros(row.get::<_, i64>(5)?.unsigned_abs());
    let report = NodeReport {
        node: Node { name: row.get(1)?, boot_id },
        version: row.get(2)?,
        jobs: jobs.into(),
        capacity: row.get(4)?,
        lease,
        start_time: time(6)?,
    };
    let drain = nodes::drain(row, 8)?;
    let heartbeat: i64 = row.get(7)?;
    let age = Duration::from_micros(u64::try_from(now.saturating_sub(heartbeat)).unwrap_or(0));
    let state = NodeState::of(age, lease, drain);
    Ok(NodeStatus { report, heartbeat: time(7)?, state, drain, running: Vec::new() })
}

/// Returns whether a node may be given work.
pub(super) fn is_draining(connection: &Connection, node: &Node) -> Result<bool, StoreError> {
    let draining = connection
        .prepare_cached("SELECT draining FROM oxbatch_node WHERE boot_id = ?1")?
        .query_row([node.boot_id.to_string()], |row| row.get(0))
        .optional()?;
    Ok(draining.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteRepository;

    #[test]
    fn rows_of_nodes_that_were_silent_for_a_day_go_with_anybody_s_heartbeat() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("oxbatch.db");
        let _repository = SqliteRepository::open(&path).unwrap();
        let connection = crate::sqlite::open::writer(&path, crate::sqlite::open::Durability::Later).ok().unwrap();
        let beat = |name: &str| {
            let report = NodeReport {
                node: Node::new(name),
                version: String::new(),
                jobs: [].into(),
                capacity: 1,
                lease: Duration::from_secs(30),
                start_time: Timestamp::UNIX_EPOCH,
            };
            assert_eq!(heartbeat(&connection, &report).ok().unwrap(), None);
        };
        let names = || {
            let mut statement = connection.prepare("SELECT name FROM oxbatch_node ORDER BY name").unwrap();
            let names = statement.query_map([], |row| row.get(0)).unwrap();
            names.collect::<Result<Vec<String>, _>>().unwrap()
        };
        beat("a day ago");
        beat("an hour ago");
        let age = "UPDATE oxbatch_node SET heartbeat = heartbeat - ?2 * 3600000000 WHERE name = ?1";
        connection.execute(age, params!["a day ago", 25]).unwrap();
        connection.execute(age, params!["an hour ago", 1]).unwrap();
        beat("now");
        assert_eq!(names(), ["an hour ago", "now"]);
    }

    #[test]
    fn a_node_whose_process_lives_is_silent_and_not_gone_when_its_heartbeats_are_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("oxbatch.db");
        let _repository = SqliteRepository::open(&path).unwrap();
        let connection = crate::sqlite::open::writer(&path, crate::sqlite::open::Durability::Later).ok().unwrap();
        let marks = || Presence::new(path.clone(), crate::presence::Absent::Dead);
        let (own, other, node) = (marks(), marks(), Node::new("waits"));
        own.announce(&node).unwrap();
        let report = NodeReport {
            node,
            version: String::new(),
            jobs: [].into(),
            capacity: 1,
            lease: Duration::from_secs(30),
            start_time: Timestamp::UNIX_EPOCH,
        };
        heartbeat(&connection, &report).ok().unwrap();
        connection.execute("UPDATE oxbatch_node SET heartbeat = heartbeat - 60000000", []).unwrap();
        let state = || nodes(&connection, &other).ok().unwrap()[0].state;
        assert_eq!(state(), NodeState::Silent);
        drop(own);
        assert_eq!(state(), NodeState::Gone);
    }
}
