//! Backfills: as they are asked for, planned, and as they stand.

use oxbatch_core::engine::{BackfillPlan, BackfillRequest, DEFAULT_BACKFILL_RUNNING};
use oxbatch_core::repository::Backfill;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::value::time;

/// A backfill as it is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBackfill)]
pub struct BackfillInput {
    /// The job.
    pub job: String,
    /// Its schedule; may be left out where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// First calendar day in the zone of the schedule.
    #[schema(example = "2026-01-01")]
    pub from: String,
    /// Last calendar day.
    #[schema(example = "2026-01-31")]
    pub to: String,
    /// The fires that are launched: `missing`, `failed` or `all`; those that are missing unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub which: Option<String>,
    /// Executions of it that run at once; one unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_running: Option<u32>,
    /// Launches the newest fire first.
    #[serde(default)]
    pub newest_first: bool,
}

impl BackfillInput {
    /// The request.
    ///
    /// # Errors
    /// The sentence that names the field that is wrong.
    pub fn request(&self) -> Result<BackfillRequest, String> {
        let day = |name: &str, text: &str| {
            text.parse().map_err(|_| format!("{name} must be a day such as 2026-01-31, not '{text}'"))
        };
        let which = self
            .which
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|problem: oxbatch_core::repository::UnknownWord| format!("which: {problem}"))?;
        Ok(BackfillRequest {
            job_name: self.job.clone(),
            schedule: self.schedule.clone(),
            first_day: day("from", &self.from)?,
            last_day: day("to", &self.to)?,
            which: which.unwrap_or_default(),
            max_running: self.max_running.unwrap_or(DEFAULT_BACKFILL_RUNNING),
            newest_first: self.newest_first,
        })
    }
}

/// The plan of a backfill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BackfillPlan)]
pub struct BackfillPlanView {
    pub(crate) schedule: String,
    /// The number of fires that would be launched.
    #[schema(minimum = 0)]
    pub(crate) launches: usize,
    pub(crate) fires: Vec<PlannedFireView>,
}

/// A fire of the range of a backfill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PlannedFire)]
pub struct PlannedFireView {
    #[schema(format = DateTime)]
    pub(crate) instant: String,
    /// `missing`, `failed`, `running` or `complete`.
    pub(crate) standing: &'static str,
    /// `true` if it would be launched.
    pub(crate) launches: bool,
}

/// A backfill as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Backfill)]
pub struct BackfillView {
    #[schema(minimum = 1)]
    pub(crate) id: i64,
    pub(crate) job_name: String,
    pub(crate) schedule: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) which: &'static str,
    #[schema(minimum = 1)]
    pub(crate) max_running: u32,
    pub(crate) newest_first: bool,
    /// RUNNING, ENDED or CANCELLED.
    pub(crate) state: &'static str,
    #[schema(format = DateTime)]
    pub(crate) create_time: String,
    #[schema(required, format = DateTime)]
    pub(crate) end_time: Option<String>,
    /// Its fires; each is counted in one of the four below.
    pub(crate) fires: i64,
    /// To be launched yet.
    pub(crate) planned: i64,
    /// Launched, and not ended.
    pub(crate) running: i64,
    pub(crate) complete: i64,
    /// Failed, refused, cancelled, or recorded alone.
    pub(crate) failed: i64,
}

impl From<BackfillPlan> for BackfillPlanView {
    fn from(plan: BackfillPlan) -> Self {
        let fires = plan.fires.iter().map(|fire| PlannedFireView {
            instant: time(fire.instant),
            standing: fire.standing.as_str(),
            launches: fire.is_wanted,
        });
        Self {
            schedule: plan.schedule,
            launches: plan.fires.iter().filter(|fire| fire.is_wanted).count(),
            fires: fires.collect(),
        }
    }
}

impl From<Backfill> for BackfillView {
    fn from(backfill: Backfill) -> Self {
        Self {
            id: backfill.id.0,
            job_name: backfill.job_name,
            schedule: backfill.schedule_name,
            from: backfill.first_day.to_string(),
            to: backfill.last_day.to_string(),
            which: backfill.which.as_str(),
            max_running: backfill.max_running,
            newest_first: backfill.newest_first,
            state: backfill.state.as_str(),
            create_time: time(backfill.create_time),
            end_time: backfill.end_time.map(time),
            fires: backfill.fires,
            planned: backfill.planned,
            running: backfill.running,
            complete: backfill.complete,
            failed: backfill.failed,
        }
    }
}
