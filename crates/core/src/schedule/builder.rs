//! The settings of a schedule, one method each.

use std::time::Duration;

use super::FireParameter;
use super::definition::{Schedule, Trigger};
use super::policy::{AfterFailure, Missed, OnExisting, Overlap};

impl Schedule {
    /// The name of the schedule, unique among all; that of its job unless set.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The time zone of the calendar by its IANA name.
    #[must_use]
    pub fn zone(mut self, name: impl Into<String>) -> Self {
        if let Trigger::Calendar { zone, .. } = &mut self.trigger {
            *zone = name.into();
        }
        self
    }

    /// The time for which the size and the time of a file have to stay the same.
    #[must_use]
    pub fn unchanged_for(mut self, time: Duration) -> Self {
        if let Trigger::File { unchanged_for, .. } = &mut self.trigger {
            *unchanged_for = time.as_secs();
        }
        self
    }

    /// Takes a file as written once a second one stands beside it, whose name is that of the file and this end.
    #[must_use]
    pub fn marker(mut self, end: impl Into<String>) -> Self {
        if let Trigger::File { marker, .. } = &mut self.trigger {
            *marker = Some(end.into());
        }
        self
    }

    /// A parameter of its launches.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<FireParameter>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// A parameter of its launches by an expression over the fire, such as `fire date - 1 day`: see
    /// [`DateExpression::of_fire`](crate::job::DateExpression::of_fire).
    #[must_use]
    pub fn expression(self, name: impl Into<String>, expression: impl Into<String>) -> Self {
        self.parameter(name, FireParameter::Expression(expression.into()))
    }

    /// Gives a parameter that the job declares secret as a reference to a named secret.
    #[must_use]
    pub fn secret(self, name: impl Into<String>, secret: impl Into<String>) -> Self {
        self.parameter(name, FireParameter::Secret(secret.into()))
    }

    /// The fires that are made up for after an outage; the latest unless set.
    #[must_use]
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// The time for which a missed fire may still be made up for. [`DEFAULT_WINDOW`](super::DEFAULT_WINDOW)
    #[must_use]
    pub fn window(mut self, time: Duration) -> Self {
        self.window = time.as_secs();
        self
    }

    /// The outcome of a fire while the one before it runs; it waits unless set.
    #[must_use]
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// The outcome of a fire after the one before it has failed; it runs unless set.
    #[must_use]
    pub fn after_failure(mut self, after_failure: AfterFailure) -> Self {
        self.after_failure = after_failure;
        self
    }

    /// The outcome of a fire whose instance exists; it is recorded alone unless set.
    #[must_use]
    pub fn on_existing(mut self, on_existing: OnExisting) -> Self {
        self.on_existing = on_existing;
        self
    }

    /// Makes each fire a new run of its job, with the parameter [`RUN_PARAMETER`](crate::job::RUN_PARAMETER): for a job
    /// whose parameters are the same each time.
    #[must_use]
    pub fn new_run(mut self) -> Self {
        self.new_run = true;
        self
    }

    /// Calls a fire late, with a notice, when its execution has not begun to run so long after its instant.
    #[must_use]
    pub fn started_by(mut self, time: Duration) -> Self {
        self.started_by = Some(time.as_secs());
        self
    }

    /// Calls a fire late, with a notice, when its execution is not complete so long after its instant.
    #[must_use]
    pub fn finished_by(mut self, time: Duration) -> Self {
        self.finished_by = Some(time.as_secs());
        self
    }

    /// Lets the schedule begin as a paused one, for this reason: it is off until it is resumed.
    #[must_use]
    pub fn off(mut self, reason: impl Into<String>) -> Self {
        self.paused = Some(reason.into());
        self
    }
}
