//! Schedules as their authors set them, and as they are kept.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{Calendar, CronError, FireParameter};
use crate::job::ExpressionError;

/// The parameter of a launch by a file: its path.
pub const FILE_PARAMETER: &str = "file";
/// The time for which a fire that was missed may still be made up for.
pub const DEFAULT_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Longest time that a file may have to stay as it is before it counts as written.
pub const MAX_FILE_SETTLE: Duration = Duration::from_secs(24 * 3600);
/// Longest deadline and longest window.
const MAX_TIME: Duration = Duration::from_secs(366 * 24 * 3600);
/// Longest name in characters: as of a job.
const MAX_NAME_CHARS: usize = 100;
/// Most parameters.
const MAX_PARAMETERS: usize = 100;

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
    name: Option<String>,
    trigger: Trigger,
    #[serde(default)]
    parameters: Vec<(String, FireParameter)>,
    #[serde(default)]
    missed: Missed,
    /// In seconds.
    #[serde(default = "default_window")]
    window: u64,
    #[serde(default)]
    overlap: Overlap,
    #[serde(default)]
    after_failure: AfterFailure,
    #[serde(default)]
    on_existing: OnExisting,
    #[serde(default)]
    new_run: bool,
    /// In seconds.
    #[serde(default)]
    started_by: Option<u64>,
    /// In seconds.
    #[serde(default)]
    finished_by: Option<u64>,
    /// The reason for which it is paused when it is first applied.
    #[serde(default)]
    paused: Option<String>,
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
        settle: u64,
        /// End of the name of a file beside it that says that it is written, such as `.done`.
        marker: Option<String>,
    },
}

/// Words that settings are stored and spoken of by.
macro_rules! words {
    ($(#[$docs:meta])* $name:ident { $($(#[$of:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$docs])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$of])* $word,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$word,)*];

            /// Its word in files, commands and answers.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let words = Self::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
                Self::ALL.iter().copied().find(|it| it.as_str() == text)
                    .ok_or_else(|| format!("'{text}' is none of {words}"))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// The fires that are made up for after an outage. What is left out is recorded all the same.
    Missed {
        /// The last one.
        #[default]
        Latest = "latest",
        /// All of them, in their order.
        All = "all",
        /// None of them.
        None = "none",
    }
}

words! {
    /// The outcome of a fire while the execution of the one before it runs.
    Overlap {
        /// It waits, in the order of the fires.
        #[default]
        Wait = "wait",
        /// It is left out.
        Skip = "skip",
        /// It runs beside it.
        Allow = "allow",
    }
}

words! {
    /// The outcome of a fire after the execution of the one before it has failed.
    AfterFailure {
        /// It runs.
        #[default]
        GoOn = "go_on",
        /// It waits until that execution was restarted with success, or was abandoned.
        Hold = "hold",
    }
}

words! {
    /// The outcome of a fire whose job instance exists already.
    OnExisting {
        /// It is recorded, and does nothing.
        #[default]
        Record = "record",
        /// Where the last execution of the instance failed or was stopped, it is restarted.
        Restart = "restart",
    }
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
        Self::new(Trigger::File { pattern: pattern.into(), settle: 60, marker: None })
    }

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
    pub fn settle(mut self, time: Duration) -> Self {
        if let Trigger::File { settle, .. } = &mut self.trigger {
            *settle = time.as_secs();
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

    /// The fires that are made up for after an outage; the latest unless set.
    #[must_use]
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// The time for which a missed fire may still be made up for. [`DEFAULT_WINDOW`]
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
        self.calendar().ok().flatten().map_or(TimeZone::UTC, |calendar| calendar.zone().clone())
    }

    /// Checks everything that can be checked without its job.
    ///
    /// # Errors
    /// The first thing that is wrong, as a sentence.
    pub fn check(&self) -> Result<(), ScheduleError> {
        let problem = |problem: String| Err(ScheduleError::Setting { problem });
        if let Some(name) = &self.name {
            let fits = (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && name.trim() == name;
            if !fits || name.contains(|c: char| c == '/' || c.is_control()) {
                return problem(format!(
                    "the name '{name}' of a schedule must have 1 to {MAX_NAME_CHARS} characters, none of them a slash or a \
                     control character"
                ));
            }
        }
        self.calendar()?;
        if let Trigger::File { pattern, settle, marker } = &self.trigger {
            check_file(pattern, *settle, marker.as_deref())?;
        }
        let times = [("window", Some(self.window)), ("started_by", self.started_by), ("finished_by", self.finished_by)];
        for (name, time) in times {
            if time.is_some_and(|time| time == 0 || time > MAX_TIME.as_secs()) {
                return problem(format!("{name} must be from 1 second to {} days", MAX_TIME.as_secs() / 86_400));
            }
        }
        if self.parameters.len() > MAX_PARAMETERS {
            return problem(format!("a schedule has at most {MAX_PARAMETERS} parameters"));
        }
        let zone = self.expression_zone();
        for (index, (name, parameter)) in self.parameters.iter().enumerate() {
            if self.parameters[..index].iter().any(|(other, _)| other == name) {
                return problem(format!("parameter '{name}' is given twice"));
            }
            parameter.check(name, &zone)?;
        }
        Ok(())
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

fn check_file(pattern: &str, settle: u64, marker: Option<&str>) -> Result<(), ScheduleError> {
    let problem = |problem: String| Err(ScheduleError::Setting { problem });
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    if name.is_empty() || folder.contains(['*', '?']) || pattern.contains('\0') {
        return problem(format!(
            "the pattern '{pattern}' is no path of files: it ends with a name, in which alone * and ? may stand"
        ));
    }
    if settle > MAX_FILE_SETTLE.as_secs() {
        return problem("settle must be at most a day".to_owned());
    }
    match marker {
        Some(end) if end.is_empty() || end.contains(['/', '*', '?', '\0']) => {
            problem(format!("the marker '{end}' is no end of a name, such as .done"))
        }
        _ => Ok(()),
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
        let file = Schedule::file("/in/*.csv").marker(".done").settle(Duration::from_secs(5));
        for schedule in [all, file, Schedule::cron("* * * * *")] {
            assert_eq!(schedule.check(), Ok(()));
            assert_eq!(Schedule::from_json(&schedule.to_json()).unwrap(), schedule);
        }
        let old = r#"{"trigger":{"calendar":{"cron":"* * * * *","zone":"UTC"}}}"#;
        assert_eq!(Schedule::from_json(old).unwrap(), Schedule::cron("* * * * *"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let of = |schedule: Schedule| schedule.check().unwrap_err().to_string();
        let daily = || Schedule::cron("30 2 * * *");
        assert!(of(daily().zone("Europe/Atlantis")).contains("no time zone 'Europe/Atlantis'"));
        assert!(of(daily().zone("../../etc/passwd")).contains("no time zone"));
        assert!(of(Schedule::cron("x")).contains("cron 'x'"));
        assert!(of(daily().named("a/b")).contains("'a/b'"));
        assert!(of(daily().window(Duration::ZERO)).contains("window"));
        assert!(of(daily().started_by(Duration::MAX)).contains("started_by"));
        assert!(of(daily().parameter("a", "1").parameter("a", "2")).contains("'a' is given twice"));
        assert!(of(daily().expression("day", "fire dates")).contains("'fire dates' of parameter 'day'"));
        assert!(of(Schedule::file("/in/*/x.csv")).contains("'/in/*/x.csv'"));
        assert!(of(Schedule::file("/in/")).contains("'/in/'"));
        assert!(of(Schedule::file("/in/x").marker("")).contains("marker"));
    }
}
