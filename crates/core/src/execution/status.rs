//! The one status enum, and the one function that owns its transitions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where an execution or a step execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Accepted, waits for a node with capacity.
    Starting,
    /// A node runs it.
    Started,
    /// A stop was requested; the work has not yet ended.
    Stopping,
    /// Ended by a request; can be restarted.
    Stopped,
    /// Ended by an error; can be restarted.
    Failed,
    /// Ended with all its work done.
    Completed,
    /// Given up by a person; its instance can then only be forced.
    Abandoned,
}

/// An event in the life of an execution or a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusEvent {
    /// A node takes it.
    Start,
    /// Somebody asks it to stop.
    RequestStop,
    /// Its work has ended because of a request.
    Stop,
    /// Its work has ended by an error, or its owner is dead.
    Fail,
    /// Its work is done.
    Complete,
    /// A person gives it up.
    Abandon,
}

/// A transition that the state machine does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an execution that is {from} cannot take the event {event:?}")]
pub struct IllegalTransition {
    /// Status before.
    pub from: Status,
    /// Event that does not fit.
    pub event: StatusEvent,
}

/// A text that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no status; the statuses are STARTING, STARTED, STOPPING, STOPPED, FAILED, COMPLETED, ABANDONED")]
pub struct UnknownStatus {
    /// The text.
    pub text: String,
}

impl Status {
    /// Every status, in the order of a life.
    pub const ALL: [Self; 7] =
        [Self::Starting, Self::Started, Self::Stopping, Self::Stopped, Self::Failed, Self::Completed, Self::Abandoned];

    /// The status as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "STARTING",
            Self::Started => "STARTED",
            Self::Stopping => "STOPPING",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
            Self::Completed => "COMPLETED",
            Self::Abandoned => "ABANDONED",
        }
    }

    /// Returns whether it is queued or at work: at most one such execution exists per instance.
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Starting | Self::Started | Self::Stopping)
    }

    /// Returns whether a plain launch of the instance resumes after it.
    pub const fn is_restartable(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus { text: text.to_owned() })
    }
}

/// The status after `event`: every change of a status, of jobs and of steps, goes through here.
///
/// The edges are drawn in `docs/STATE-MACHINE.md`; a test holds the two together.
pub const fn next(status: Status, event: StatusEvent) -> Result<Status, IllegalTransition> {
    use Status as S;
    use StatusEvent as E;
    match (status, event) {
        (S::Starting, E::Start) => Ok(S::Started),
        (S::Starting | S::Started | S::Stopping, E::RequestStop) => Ok(S::Stopping),
        (S::Starting | S::Started | S::Stopping, E::Stop) => Ok(S::Stopped),
        (S::Starting | S::Started | S::Stopping, E::Fail) => Ok(S::Failed),
        // A stop that comes after the last chunk finds nothing left to stop.
        (S::Started | S::Stopping, E::Complete) => Ok(S::Completed),
        (S::Stopped | S::Failed | S::Completed, E::Abandon) => Ok(S::Abandoned),
        (from, event) => Err(IllegalTransition { from, event }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [StatusEvent; 6] = [
        StatusEvent::Start,
        StatusEvent::RequestStop,
        StatusEvent::Stop,
        StatusEvent::Fail,
        StatusEvent::Complete,
        StatusEvent::Abandon,
    ];

    #[test]
    fn every_status_reads_back_from_its_text() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert!("UNKNOWN".parse::<Status>().is_err());
        assert!("started".parse::<Status>().is_err());
    }

    #[test]
    fn every_running_status_can_end_and_no_ended_one_runs_again() {
        for status in Status::ALL {
            for event in EVENTS {
                if let Ok(after) = next(status, event) {
                    assert!(status.is_running() || !after.is_running(), "{status} {event:?}");
                }
            }
            assert_eq!(status.is_running(), next(status, StatusEvent::Fail).is_ok());
            assert_eq!(status.is_running(), next(status, StatusEvent::Stop).is_ok());
        }
    }

    #[test]
    fn the_diagram_in_the_docs_shows_exactly_these_edges() {
        let docs = include_str!("../../../../docs/STATE-MACHINE.md");
        let mut drawn: Vec<String> = docs
            .lines()
            .map(str::trim)
            .filter(|line| line.contains(" --> ") && line.contains(" : ") && !line.contains("[*]"))
            .flat_map(|line| {
                let (edge, events) = line.split_once(" : ").unwrap();
                events.split(',').map(move |event| format!("{edge} : {}", event.trim())).collect::<Vec<_>>()
            })
            .collect();
        let mut coded = Vec::new();
        for status in Status::ALL {
            for event in EVENTS {
                if let Ok(after) = next(status, event) {
                    coded.push(format!("{status} --> {after} : {event:?}"));
                }
            }
        }
        drawn.sort();
        coded.sort();
        assert_eq!(drawn, coded);
    }
}
