//! Schedules, their fires and their pauses.

use std::collections::BTreeMap;

use oxbatch_core::engine::ScheduleStatus;
use oxbatch_core::repository::{Fire, Pause, PauseScope, ScheduleOrigin};
use oxbatch_core::schedule::{ClockChange, FireParameter, Schedule, Trigger};
use serde::Serialize;
use utoipa::ToSchema;

use super::StatusView;
use super::value::time;

/// A schedule: when a job is launched by itself, and what comes next.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub struct ScheduleView {
    /// Its name, unique.
    pub(crate) name: String,
    pub(crate) job_name: String,
    pub(crate) origin: OriginView,
    /// The cron text; null for a schedule of files.
    #[schema(required)]
    pub(crate) cron: Option<String>,
    /// The time zone of the cron text.
    #[schema(required)]
    pub(crate) zone: Option<String>,
    /// The files that it waits for; null for a calendar.
    #[schema(required)]
    pub(crate) file: Option<FileTriggerView>,
    /// The parameters of its launches.
    pub(crate) parameters: BTreeMap<String, FireParameterView>,
    /// The fires that are made up for after an outage: `latest`, `all` or `none`.
    pub(crate) missed: &'static str,
    #[schema(minimum = 1)]
    pub(crate) window_seconds: u64,
    /// The outcome of a fire while the one before it runs: `wait`, `skip` or `allow`.
    pub(crate) overlap: &'static str,
    /// The outcome of a fire after the one before it has failed: `go_on` or `hold`.
    pub(crate) after_failure: &'static str,
    /// The outcome of a fire whose instance exists: `record` or `restart`.
    pub(crate) on_existing: &'static str,
    /// `true` if each fire is a new run of its job.
    pub(crate) new_run: bool,
    #[schema(required, minimum = 1)]
    pub(crate) started_by_seconds: Option<u64>,
    #[schema(required, minimum = 1)]
    pub(crate) finished_by_seconds: Option<u64>,
    /// The pauses that hold it; empty while it fires.
    pub(crate) pauses: Vec<PauseView>,
    /// The next fires, if nothing holds it.
    pub(crate) next_fires: Vec<String>,
    /// The next changes of the clock in its zone.
    pub(crate) clock_changes: Vec<ClockChangeView>,
    /// The number of its fires that wait.
    #[schema(minimum = 0)]
    pub(crate) waiting: i64,
    /// The last execution of the instance that it has launched last.
    #[schema(required, minimum = 1)]
    pub(crate) last_execution_id: Option<i64>,
    #[schema(required)]
    pub(crate) last_status: Option<StatusView>,
    /// Why this version cannot see to it.
    #[schema(required)]
    pub(crate) problem: Option<String>,
}

/// The author of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ScheduleOrigin)]
pub enum OriginView {
    /// The code of its job.
    Code,
    /// A person or a program, at run time.
    Added,
}

/// The files that a schedule waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FileTrigger)]
pub struct FileTriggerView {
    /// Path, with `*` and `?` in its last part.
    pub(crate) pattern: String,
    /// Seconds for which size and time stay the same before a file counts as written.
    #[schema(minimum = 0)]
    pub(crate) unchanged_for_seconds: u64,
    /// End of the name of a file beside it that says that it is written.
    #[schema(required)]
    pub(crate) marker: Option<String>,
}

/// A parameter of the launches of a schedule: one of the three is not null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FireParameter)]
pub struct FireParameterView {
    /// The value as text.
    #[schema(required)]
    pub(crate) value: Option<String>,
    /// An expression over the fire.
    #[schema(required)]
    pub(crate) expression: Option<String>,
    /// The name of a secret.
    #[schema(required)]
    pub(crate) secret: Option<String>,
}

/// A change of the clock, and what it does to a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ClockChange)]
pub struct ClockChangeView {
    #[schema(format = DateTime)]
    pub(crate) instant: String,
    /// A sentence such as `2027-03-28: 02:30 does not exist: runs at 03:00`.
    pub(crate) effect: String,
}

/// A pause: schedules do not fire while it lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Pause)]
pub struct PauseView {
    pub(crate) scope: ScopeView,
    /// Name of the schedule or of the job; empty for all.
    pub(crate) name: String,
    pub(crate) reason: String,
    #[schema(format = DateTime)]
    pub(crate) since: String,
    /// When it ends by itself.
    #[schema(required, format = DateTime)]
    pub(crate) until: Option<String>,
}

/// The range of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PauseScope)]
pub enum ScopeView {
    /// One schedule.
    Schedule,
    /// All schedules of a job.
    Job,
    /// All schedules.
    All,
}

/// A fire: an instant of a schedule, and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Fire)]
pub struct FireView {
    #[schema(minimum = 1)]
    pub(crate) id: i64,
    pub(crate) schedule: String,
    pub(crate) job_name: String,
    #[schema(format = DateTime)]
    pub(crate) instant: String,
    /// Path and size of its file; null for a calendar.
    #[schema(required)]
    pub(crate) file: Option<String>,
    /// WAITING, PLANNED, LAUNCHED, ALREADY_COMPLETE, _RUNNING or _FAILED, SKIPPED, MISSED, REFUSED, CANCELLED.
    pub(crate) outcome: &'static str,
    /// The reason, where it launched nothing.
    #[schema(required)]
    pub(crate) message: Option<String>,
    /// The execution that it has launched, or that is the reason.
    #[schema(required, minimum = 1)]
    pub(crate) execution_id: Option<i64>,
    /// The status of the last execution of the instance that it has launched.
    #[schema(required)]
    pub(crate) status: Option<StatusView>,
    #[schema(required, minimum = 1)]
    pub(crate) backfill_id: Option<i64>,
    #[schema(format = DateTime)]
    pub(crate) record_time: String,
}

impl From<&FireParameter> for FireParameterView {
    fn from(parameter: &FireParameter) -> Self {
        let (mut value, mut expression, mut secret) = (None, None, None);
        match parameter {
            FireParameter::Text(text) | FireParameter::Number(text) => value = Some(text.clone()),
            FireParameter::Expression(text) => expression = Some(text.clone()),
            FireParameter::Secret(name) => secret = Some(name.clone()),
        }
        Self { value, expression, secret }
    }
}

impl From<&ClockChange> for ClockChangeView {
    fn from(change: &ClockChange) -> Self {
        Self { instant: time(change.instant), effect: change.to_string() }
    }
}

impl From<Pause> for PauseView {
    fn from(pause: Pause) -> Self {
        let scope = match pause.scope {
            PauseScope::Schedule => ScopeView::Schedule,
            PauseScope::Job => ScopeView::Job,
            PauseScope::All => ScopeView::All,
        };
        let (since, until) = (time(pause.since), pause.until.map(time));
        Self { scope, name: pause.name, reason: pause.reason, since, until }
    }
}

impl From<Fire> for FireView {
    fn from(fire: Fire) -> Self {
        Self {
            id: fire.id.0,
            schedule: fire.schedule_name,
            job_name: fire.job_name,
            instant: time(fire.instant),
            file: Some(fire.file).filter(|file| !file.is_empty()),
            outcome: fire.outcome.as_str(),
            message: fire.message,
            execution_id: fire.execution_id.map(|id| id.0),
            status: fire.status.map(Into::into),
            backfill_id: fire.backfill_id,
            record_time: time(fire.record_time),
        }
    }
}

impl From<ScheduleStatus> for ScheduleView {
    fn from(status: ScheduleStatus) -> Self {
        let ScheduleStatus { stored, schedule, pauses, next, clock_changes } = status;
        let (schedule, problem) = match schedule {
            Ok(schedule) => (schedule, None),
            // What cannot be read is shown with the defaults, and says so.
            Err(problem) => (Schedule::cron(""), Some(problem)),
        };
        let (cron, zone, file) = match schedule.trigger().clone() {
            Trigger::Calendar { cron, zone } => (Some(cron), Some(zone), None),
            Trigger::File { pattern, unchanged_for, marker } => {
                (None, None, Some(FileTriggerView { pattern, unchanged_for_seconds: unchanged_for, marker }))
            }
        };
        Self {
            name: stored.name,
            job_name: stored.job_name,
            origin: match stored.origin {
                ScheduleOrigin::Code => OriginView::Code,
                ScheduleOrigin::Added => OriginView::Added,
            },
            cron,
            zone,
            file,
            parameters: schedule.parameters().iter().map(|(name, value)| (name.clone(), value.into())).collect(),
            missed: schedule.missed_or_default().as_str(),
            window_seconds: schedule.window_or_default().as_secs(),
            overlap: schedule.overlap_or_default().as_str(),
            after_failure: schedule.after_failure_or_default().as_str(),
            on_existing: schedule.on_existing_or_default().as_str(),
            new_run: schedule.is_new_run(),
            started_by_seconds: schedule.started_by_or_none().map(|time| time.as_secs()),
            finished_by_seconds: schedule.finished_by_or_none().map(|time| time.as_secs()),
            pauses: pauses.into_iter().map(Into::into).collect(),
            next_fires: next.into_iter().map(time).collect(),
            clock_changes: clock_changes.iter().map(Into::into).collect(),
            waiting: stored.waiting,
            last_execution_id: stored.last.map(|last| last.id.0),
            last_status: stored.last.map(|last| last.status.into()),
            problem,
        }
    }
}
