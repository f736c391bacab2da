//! Recovery: which executions have lost their owner, how they end, and whether a successor resumes them.

use std::collections::HashMap;

use super::corrupt;
use super::finish::{End, running_steps};
use crate::execution::{EXIT_ABORTED, ExecutionId, Status, StatusEvent, next};
use crate::repository::{RecoverPolicy, RecoverRequest, RepositoryError};

/// An execution under a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// Its id.
    pub id: ExecutionId,
    /// The owner of the lease.
    pub owner: String,
    /// The epoch of the lease.
    pub epoch: i64,
    /// `true` if the lease has run out by the store's clock.
    pub is_outdated: bool,
}

/// An execution that may have to be recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate {
    /// Its owner is dead.
    Lost {
        /// The lease that it was found with.
        lease: Leased,
        /// `true` if the owner's process has certainly ended: then its lease need not run out.
        process_ended: bool,
    },
    /// A shutdown stopped it.
    ToResume(ExecutionId),
}

/// Picks those of the leased executions that have lost their owner. `is_dead` tells of an owner whether its process has
/// certainly ended; it is asked once for each.
pub fn lost(leased: Vec<Leased>, request: &RecoverRequest, is_dead: impl Fn(&str) -> bool) -> Vec<Candidate> {
    let own = request.node.to_string();
    let mut ended: HashMap<String, bool> = HashMap::new();
    let mut lost = Vec::new();
    for lease in leased {
        // A node that asks is alive: what has run out in a pause of its own it renews itself, if it knows of it.
        if lease.owner == own && request.held.contains(&lease.id) {
            continue;
        }
        let process_ended =
            lease.owner != own && *ended.entry(lease.owner.clone()).or_insert_with(|| is_dead(&lease.owner));
        if process_ended || lease.is_outdated {
            lost.push(Candidate::Lost { lease, process_ended });
        }
    }
    lost
}

/// Returns whether what a shutdown has stopped is resumed by this recovery.
pub fn resumes(request: &RecoverRequest) -> bool {
    request.policy == RecoverPolicy::Restart && request.only.is_none()
}

/// The progress of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// `true` if it has committed a chunk, or completed a step.
    pub has_progressed: bool,
    /// The number of recoveries in a row that led to it.
    pub recoveries: i64,
    /// `true` if it was launched as one that can be resumed.
    pub restartable: bool,
}

/// The end of an execution that has lost its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    id: ExecutionId,
    status: Status,
    cause: &'static str,
}

impl Loss {
    /// The loss of an execution that was found with a lease, and has a status now.
    pub fn new(lease: &Leased, process_ended: bool, status: Status, request: &RecoverRequest) -> Self {
        let cause = match (process_ended, lease.owner == request.node.to_string()) {
            (true, _) => "the process that ran it died",
            (false, true) => "the node that took it had no answer to that, and never began it",
            (false, false) => "the node that ran it no longer answers",
        };
        Self { id: lease.id, status, cause }
    }

    fn event(&self) -> StatusEvent {
        if self.status == Status::Stopping { StatusEvent::Stop } else { StatusEvent::Fail }
    }

    fn ended(&self) -> Result<(Status, String), RepositoryError> {
        let status = next(self.status, self.event()).map_err(corrupt)?;
        let exit_code = if status == Status::Failed { EXIT_ABORTED } else { status.as_str() };
        Ok((status, exit_code.to_owned()))
    }

    /// The end of its running steps.
    ///
    /// # Errors
    /// A defect of the state machine.
    pub fn steps(&self) -> Result<End, RepositoryError> {
        let (_, exit_code) = self.ended()?;
        running_steps(self.id, self.event(), Some(&exit_code), self.cause)
    }

    /// Its end, and the number of recoveries of the successor that resumes it; `None` when nothing does by itself.
    ///
    /// # Errors
    /// A defect of the state machine.
    pub fn end(&self, progress: Progress, request: &RecoverRequest) -> Result<(End, Option<i64>), RepositoryError> {
        let (status, exit_code) = self.ended()?;
        let recoveries = if progress.has_progressed { 1 } else { progress.recoveries + 1 };
        let may_restart = status == Status::Failed && progress.restartable && resumes(request);
        let is_exhausted = recoveries > request.max_recoveries;
        let Self { cause, .. } = self;
        let message = if status == Status::Stopped {
            format!("{cause} while it was being stopped on request; it is not restarted by itself")
        } else if !progress.restartable {
            format!("{cause}; its job is not restartable, so nothing resumes it")
        } else if may_restart && is_exhausted {
            let before = progress.recoveries;
            format!(
                "{cause}; it is not restarted by itself after {before} automatic recoveries in a row without progress"
            )
        } else {
            (*cause).to_owned()
        };
        let end = End { status, exit_code, exit_message: Some(message) };
        Ok((end, (may_restart && !is_exhausted).then_some(recoveries)))
    }
}

/// The number of recoveries of the execution that resumes what a shutdown stopped: a shutdown is none.
pub fn recoveries_after_shutdown(progress: Progress) -> i64 {
    if progress.has_progressed { 0 } else { progress.recoveries }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::repository::Node;

    fn request(policy: RecoverPolicy) -> RecoverRequest {
        RecoverRequest {
            node: Node::new("own"),
            held: vec![ExecutionId(1)],
            policy,
            max_recoveries: 3,
            time: Timestamp::UNIX_EPOCH,
            only: None,
        }
    }

    fn leased(id: i64, owner: &str, is_outdated: bool) -> Leased {
        Leased { id: ExecutionId(id), owner: owner.to_owned(), epoch: 1, is_outdated }
    }

    #[test]
    fn what_is_dead_or_outdated_is_lost_but_nothing_that_the_asking_node_holds() {
        let request = request(RecoverPolicy::Restart);
        let own = request.node.to_string();
        let all = vec![
            leased(1, &own, true),
            leased(2, &own, true),
            leased(3, &own, false),
            leased(4, "dead", false),
            leased(5, "alive", false),
            leased(6, "alive", true),
            leased(7, "dead", true),
        ];
        let asked = std::cell::Cell::new(0);
        let lost = lost(all, &request, |owner| {
            asked.set(asked.get() + 1);
            owner == "dead"
        });
        let found: Vec<_> = lost
            .into_iter()
            .map(|one| match one {
                Candidate::Lost { lease, process_ended } => (lease.id.0, process_ended),
                Candidate::ToResume(_) => unreachable!(),
            })
            .collect();
        assert_eq!(found, [(2, false), (4, true), (6, false), (7, true)]);
        assert_eq!(asked.get(), 2);
    }

    #[test]
    fn a_lost_execution_is_restarted_until_recoveries_without_progress_are_too_many() {
        let restart = request(RecoverPolicy::Restart);
        let loss = Loss::new(&leased(4, "dead", false), true, Status::Started, &restart);
        let successor = |has_progressed, recoveries, request: &RecoverRequest| {
            let (end, successor) =
                loss.end(Progress { has_progressed, recoveries, restartable: true }, request).unwrap();
            assert_eq!((end.status, end.exit_code.as_str()), (Status::Failed, EXIT_ABORTED));
            (successor, end.exit_message.unwrap().contains("not restarted by itself after"))
        };
        assert_eq!(successor(false, 0, &restart), (Some(1), false));
        assert_eq!(successor(false, 2, &restart), (Some(3), false));
        assert_eq!(successor(false, 3, &restart), (None, true));
        assert_eq!(successor(true, 9, &restart), (Some(1), false));
        assert_eq!(successor(false, 0, &request(RecoverPolicy::Fail)), (None, false));
        let only = RecoverRequest { only: Some(("Job".to_owned(), "key".to_owned())), ..restart.clone() };
        assert_eq!(successor(false, 0, &only), (None, false));
        assert_eq!(loss.steps().unwrap().exit_code, EXIT_ABORTED);
    }

    #[test]
    fn what_a_person_was_stopping_is_stopped_and_stays_so() {
        let request = request(RecoverPolicy::Restart);
        let loss = Loss::new(&leased(4, "gone", true), false, Status::Stopping, &request);
        let (end, successor) =
            loss.end(Progress { has_progressed: true, recoveries: 0, restartable: true }, &request).unwrap();
        assert_eq!((end.status, end.exit_code.as_str(), successor), (Status::Stopped, "STOPPED", None));
        assert!(end.exit_message.unwrap().starts_with("the node that ran it no longer answers while"));
        assert_eq!(loss.steps().unwrap().status, Status::Stopped);
    }

    #[test]
    fn what_is_not_restartable_stays_failed_under_every_policy() {
        for policy in [RecoverPolicy::Restart, RecoverPolicy::Fail] {
            let request = request(policy);
            let loss = Loss::new(&leased(4, "dead", false), true, Status::Started, &request);
            let progress = Progress { has_progressed: true, recoveries: 0, restartable: false };
            let (end, successor) = loss.end(progress, &request).unwrap();
            assert_eq!((end.status, end.exit_code.as_str(), successor), (Status::Failed, EXIT_ABORTED, None));
            assert_eq!(
                end.exit_message.as_deref(),
                Some("the process that ran it died; its job is not restartable, so nothing resumes it")
            );
        }
    }

    #[test]
    fn a_shutdown_is_no_recovery() {
        let after =
            |has_progressed| recoveries_after_shutdown(Progress { has_progressed, recoveries: 2, restartable: true });
        assert_eq!([after(false), after(true)], [2, 0]);
    }
}
