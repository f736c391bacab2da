//! Schedules as their authors set them, and as they are kept.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::policy::{AfterFailure, Missed, OnExisting, Overlap};
use super::{Calendar, CronError, FireParameter};
use crate::job::ExpressionError;
use crate::job::expression::parse::named_zone;

/// The parameter of a launch by a file: its path.
pub const FILE_PARAMETER: &str = "file";
/// The time for which a fire that was missed may still be made up for.
pub const DEFAULT_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Longest time that a file may have to stay as it is before it counts as written.
pub const MAX_UNCHANGED_FOR: Duration = Duration::from_secs(24 * 3600);

/// A schedule of a job: when it is launched by itself, with which parameters, and what becomes of fires that come late,
/// too early or never.
///
/// ```
/// use std::time::Duration;
///
/// use oxbatch::{Job, Schedule, TaskStep};
///
/// let job = Job::builder("Report")
///     .step(TaskStep::builder("Print", |_| Ok(())))
///     .schedule(
///         Schedule::cron("30 2 * * *")
///             .zone("Europe/Berlin")
///             .expression("day", "fire date - 1 day")
///             .finished_by(Duration::from_secs(3 * 3600)),
///     )
///     .build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Its name; `None` for that of its job.
    #[serde(skip)]
    pub(super) name: Option<String>,
    pub(super) trigger: Trigger,
    #[serde(default)]
    pub(super) parameters: Vec<(String, FireParameter)>,
    #[serde(default)]
    pub(super) missed: Missed,
    /// In seconds.
    #[serde(default = "default_window")]
    pub(super) window: u64,
    #[serde(default)]
    pub(super) overlap: Overlap,
    #[serde(default)]
    pub(super) after_failure: AfterFailure,
    #[serde(default)]
    pub(super) on_existing: OnExisting,
    #[serde(default)]
    pub(super) new_run: bool,
    /// In seconds.
    #[serde(default)]
    pub(super) started_by: Option<u64>,
    /// In seconds.
    #[serde(default)]
    pub(super) finished_by: Option<u64>,
    /// The reason for which it is paused when it is first applied.
    #[serde(default)]
    pub(super) paused: Option<String>,
}

fn default_window() -> u64 {
    DEFAULT_WINDOW.as_secs()
}

/// The cause of the fires of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A calendar.
    Calendar {
        /// Its cron text.
        cron: String,
        /// The IANA name of its zone.
        zone: String,
    },
    /// Files that come to a place.
    File {
        /// Their path, with `*` and `?` in its last part.
        pattern: String,
        /// Seconds for which the size and the time of a file stay the same before it counts as written.
        #[serde(alias = "settle")]
        unchanged_for: u64,
        /// End of the name of a file beside it that says that it is written, such as `.done`.
        marker: Option<String>,
    },
}

/// Why a schedule is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Its cron text is none.
    #[error(transparent)]
    Cron(#[from] CronError),
    /// There is no such zone.
    #[error("there is no time zone '{name}': give the IANA name of one, such as Europe/Berlin, or UTC")]
    Zone {
        /// The name.
        name: String,
    },
    /// An expression is none.
    #[error("the expression '{expression}' of parameter '{parameter}': {source}")]
    Expression {
        /// The parameter.
        parameter: String,
        /// The expression as it was written.
        expression: String,
        /// Why.
        source: ExpressionError,
    },
    /// Another setting is out of its range or contradicts another.
    #[error("{problem}")]
    Setting {
        /// A sentence fragment that names the setting.
        problem: String,
    },
}

impl Schedule {
    fn new(trigger: Trigger) -> Self {
        Self {
            name: None,
            trigger,
            parameters: Vec::new(),
            missed: Missed::default(),
            window: default_window(),
            overlap: Overlap::default(),
            after_failure: AfterFailure::default(),
            on_existing: OnExisting::default(),
            new_run: false,
            started_by: None,
            finished_by: None,
            paused: None,
        }
    }

    /// A schedule by a cron text: minute, hour, day of the month, month, day of the week, with seconds before them
    /// where there are six. In UTC unless a zone is set.
    pub fn cron(text: impl Into<String>) -> Self {
        Self::new(Trigger::Calendar { cron: text.into(), zone: "UTC".to_owned() })
    }

    /// A schedule that fires once for each version of a file whose path fits a pattern: `*` and `?` may stand in its
    /// last part. A file counts as written when its size and time have stayed the same for a minute. The parameter
    /// `file` is its path.
    pub fn file(pattern: impl Into<String>) -> Self {
        Self::new(Trigger::File { pattern: pattern.into(), unchanged_for: 60, marker: None })
    }

    /// Its name, when it has one of its own.
    pub fn name_or_none(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The cause of its fires.
    pub fn trigger(&self) -> &Trigger {
        &self.trigger
    }

    /// The parameters of its launches.
    pub fn parameters(&self) -> &[(String, FireParameter)] {
        &self.parameters
    }

    /// The fires that are made up for.
    pub fn missed_or_default(&self) -> Missed {
        self.missed
    }

    /// The time for which they are.
    pub fn window_or_default(&self) -> Duration {
        Duration::from_secs(self.window)
    }

    /// The outcome of a fire while another runs.
    pub fn overlap_or_default(&self) -> Overlap {
        self.overlap
    }

    /// The outcome of a fire after a failure.
    pub fn after_failure_or_default(&self) -> AfterFailure {
        self.after_failure
    }

    /// The outcome of a fire whose instance exists.
    pub fn on_existing_or_default(&self) -> OnExisting {
        self.on_existing
    }

    /// `true` if each fire is a new run of its job.
    pub fn is_new_run(&self) -> bool {
        self.new_run
    }

    /// The deadline of the begin.
    pub fn started_by_or_none(&self) -> Option<Duration> {
        self.started_by.map(Duration::from_secs)
    }

    /// The deadline of the end.
    pub fn finished_by_or_none(&self) -> Option<Duration> {
        self.finished_by.map(Duration::from_secs)
    }

    /// The reason for which it begins as a paused one.
    pub fn off_or_none(&self) -> Option<&str> {
        self.paused.as_deref()
    }

    /// The calendar; `None` for a schedule of files.
    ///
    /// # Errors
    /// A sentence that names what is wrong with it.
    pub fn calendar(&self) -> Result<Option<Calendar>, ScheduleError> {
        match &self.trigger {
            Trigger::Calendar { cron, zone } => Calendar::new(cron, zone).map(Some),
            Trigger::File { .. } => Ok(None),
        }
    }

    /// The zone in which its expressions speak.
    pub(crate) fn expression_zone(&self) -> TimeZone {
        match &self.trigger {
            Trigger::Calendar { zone, .. } => named_zone(zone).unwrap_or(TimeZone::UTC),
            Trigger::File { .. } => TimeZone::UTC,
        }
    }

    /// The definition as it is stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A definition as it was stored.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_read_as_it_was_stored_and_an_old_one_with_the_defaults() {
        let all = Schedule::cron("0 30 2 * * *")
            .zone("Europe/Berlin")
            .parameter("region", "EU")
            .expression("day", "fire date - 1 day")
            .missed(Missed::All)
            .window(Duration::from_secs(60))
            .overlap(Overlap::Skip)
            .after_failure(AfterFailure::Hold)
            .on_existing(OnExisting::Restart)
            .started_by(Duration::from_secs(1))
            .finished_by(Duration::from_secs(2))
            .off("not yet");
        let file = Schedule::file("/in/*.csv").marker(".done").unchanged_for(Duration::from_secs(5));
        for schedule in [all, file, Schedule::cron("* * * * *")] {
            assert_eq!(schedule.check(), Ok(()));
            assert_eq!(Schedule::from_json(&schedule.to_json()).unwrap(), schedule);
        }
        let old = r#"{"trigger":{"calendar":{"cron":"* * * * *","zone":"UTC"}}}"#;
        assert_eq!(Schedule::from_json(old).unwrap(), Schedule::cron("* * * * *"));
    }
}
