//! Admission: which launches are refused, and what an accepted one goes on from.

use jiff::Timestamp;

use super::corrupt;
use crate::execution::{ExecutionId, Status, StatusEvent, next};
use crate::repository::{Admission, IdempotencyKey, LaunchError, RepositoryError, RunLimits};

/// Outdated idempotency keys that one launch clears away: more than it adds, so they do not pile up.
pub const KEYS_CLEARED: i64 = 16;

/// The last execution of an instance, as its next launch sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastExecution {
    /// Its id.
    pub id: ExecutionId,
    /// Its status.
    pub status: Status,
    /// The execution from which completed steps count.
    pub lineage: ExecutionId,
    /// The job's context as JSON.
    pub context: Option<String>,
}

/// The past that a new execution goes on from; the default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The job's context as JSON.
    pub context: Option<String>,
    /// The execution from which completed steps count; `None` for the new one itself.
    pub lineage: Option<ExecutionId>,
    /// The execution whose skipped items it runs again.
    pub rerun_of: Option<ExecutionId>,
}

/// The past that a launch of an instance goes on from.
///
/// # Errors
/// The launch is refused while the last execution runs, and unless it is forced after one that was abandoned.
pub fn origin(last: Option<LastExecution>, force: bool) -> Result<Origin, LaunchError> {
    let Some(last) = last else { return Ok(Origin::default()) };
    if last.status.is_running() {
        return Err(LaunchError::AlreadyRunning { execution_id: last.id });
    }
    if force {
        return Ok(Origin::default());
    }
    match last.status {
        Status::Abandoned => Err(LaunchError::Abandoned { execution_id: last.id }),
        _ => Ok(Origin { context: last.context, lineage: Some(last.lineage), rerun_of: None }),
    }
}

/// The execution that a repeated launch is answered with: that of the launch which used its key before.
///
/// # Errors
/// The key was used for another launch.
pub fn replayed(key: &IdempotencyKey, request_hash: &str, id: ExecutionId) -> Result<ExecutionId, LaunchError> {
    match request_hash == key.request_hash {
        true => Ok(id),
        false => Err(LaunchError::KeyReused { key: key.key.clone(), execution_id: id }),
    }
}

/// Refuses a launch that would wait, when as many wait as may.
///
/// # Errors
/// The queue is full.
pub fn check_queue(admission: &Admission, waiting: i64) -> Result<(), LaunchError> {
    let limit = admission.queue_limit;
    match admission.claim.is_none() && waiting >= i64::from(limit) {
        true => Err(LaunchError::QueueFull { limit }),
        false => Ok(()),
    }
}

/// Refuses a launch that would run at once, when as many run as may: of its job, or of all jobs together.
///
/// # Errors
/// The limit is reached.
pub fn check_limits(job_name: &str, limits: &RunLimits, running: Running) -> Result<(), LaunchError> {
    if let Some(limit) = limits.of_job(job_name).filter(|limit| running.of_job >= i64::from(*limit)) {
        return Err(LaunchError::LimitReached { job: Some(job_name.to_owned()), limit });
    }
    match limits.total.filter(|limit| running.in_all >= i64::from(*limit)) {
        Some(limit) => Err(LaunchError::LimitReached { job: None, limit }),
        None => Ok(()),
    }
}

/// The number of running executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Of the job that is launched.
    pub of_job: i64,
    /// Of all jobs.
    pub in_all: i64,
}

/// The begin of an execution: waiting in the queue, or taken by a node at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// Its status.
    pub status: Status,
    /// The time at which it began to run.
    pub start_time: Option<Timestamp>,
    /// Name of the node that runs it.
    pub node: Option<String>,
    /// Owner of its lease.
    pub owner: Option<String>,
    /// Epoch of its lease; 0 before there was one.
    pub epoch: i64,
    /// The time that its lease lasts.
    pub lease: Option<std::time::Duration>,
}

/// The begin of a new execution.
///
/// # Errors
/// A defect of the state machine.
pub fn begin(admission: &Admission) -> Result<Begin, RepositoryError> {
    Ok(match &admission.claim {
        None => Begin { status: Status::Starting, start_time: None, node: None, owner: None, epoch: 0, lease: None },
        Some((node, lease)) => Begin {
            status: claimed()?,
            start_time: Some(admission.time),
            node: Some(node.name.clone()),
            owner: Some(node.to_string()),
            epoch: 1,
            lease: Some(*lease),
        },
    })
}

/// The status of an execution that a node has taken.
///
/// # Errors
/// A defect of the state machine.
pub fn claimed() -> Result<Status, RepositoryError> {
    next(Status::Starting, StatusEvent::Start).map_err(corrupt)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::repository::Node;

    fn admission(queue_limit: u32, claim: bool) -> Admission {
        let claim = claim.then(|| (Node::new("node"), Duration::from_secs(30)));
        Admission { time: Timestamp::UNIX_EPOCH, claim, priority: 0, limits: RunLimits::default(), queue_limit }
    }

    #[test]
    fn a_launch_goes_on_from_the_last_execution_unless_it_is_forced_or_refused() {
        let of = |status, force| {
            let (id, lineage) = (ExecutionId(7), ExecutionId(3));
            origin(Some(LastExecution { id, status, lineage, context: Some("{}".to_owned()) }), force)
                .map(|origin| origin.lineage)
                .map_err(|error| error.to_string())
        };
        for status in Status::ALL {
            let [plain, forced] = [false, true].map(|force| of(status, force));
            match status {
                Status::Starting | Status::Started | Status::Stopping => {
                    assert!(plain.unwrap_err().contains("already running") && forced.is_err(), "{status}");
                }
                Status::Abandoned => {
                    assert!(plain.unwrap_err().contains("was abandoned"));
                    assert_eq!(forced, Ok(None));
                }
                Status::Stopped | Status::Failed | Status::Completed => {
                    assert_eq!((plain, forced), (Ok(Some(ExecutionId(3))), Ok(None)), "{status}");
                }
            }
        }
        assert_eq!(origin(None, false).unwrap(), Origin::default());
    }

    #[test]
    fn a_full_queue_refuses_what_would_wait() {
        for (claim, waiting, refused) in [(false, 1, false), (false, 2, true), (false, 9, true), (true, 9, false)] {
            assert_eq!(check_queue(&admission(2, claim), waiting).is_err(), refused, "{claim} {waiting}");
        }
        assert!(check_queue(&admission(0, false), 0).is_err());
    }

    #[test]
    fn limits_of_the_job_and_of_all_jobs_refuse_what_would_run_at_once() {
        let limits = RunLimits { of_jobs: [("Job".to_owned(), 2)].into(), total: Some(5) };
        let refused = |job, of_job, in_all| match check_limits(job, &limits, Running { of_job, in_all }) {
            Ok(()) => None,
            Err(LaunchError::LimitReached { job, limit }) => Some((job, limit)),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(refused("Job", 1, 4), None);
        assert_eq!(refused("Job", 2, 2), Some((Some("Job".to_owned()), 2)));
        assert_eq!(refused("Other", 4, 5), Some((None, 5)));
        assert_eq!(refused("Other", 4, 4), None);
    }

    #[test]
    fn a_key_answers_the_same_launch_and_no_other() {
        let key = IdempotencyKey { key: "k".to_owned(), request_hash: "h".to_owned(), life: Duration::from_secs(1) };
        assert_eq!(replayed(&key, "h", ExecutionId(1)).unwrap(), ExecutionId(1));
        assert!(replayed(&key, "other", ExecutionId(1)).is_err());
    }

    #[test]
    fn what_is_claimed_at_once_has_an_owner_and_what_waits_has_none() {
        let (waits, runs) = (begin(&admission(1, false)).unwrap(), begin(&admission(1, true)).unwrap());
        assert_eq!((waits.status, waits.epoch, waits.owner), (Status::Starting, 0, None));
        assert_eq!((runs.status, runs.epoch, runs.node.as_deref()), (Status::Started, 1, Some("node")));
    }
}
