//! Backfills: planned, begun, cancelled, and launched within their limit.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::launch::FireOf;
use super::{Scheduler, SchedulerError, Ticked, unknown_job};
use crate::event::Event;
use crate::repository::{
    Backfill, BackfillId, BackfillWork, FireFilter, FireOutcome, Fired, NewBackfill, PageRequest, ReleaseRequest,
    ScheduleFilter, StoredSchedule,
};
use crate::schedule::rules::{LastRun, Policies};
use crate::schedule::{MAX_BACKFILL, Schedule, Standing, Which, fires_on};

/// Executions of a backfill that run at once unless it says otherwise.
pub const DEFAULT_BACKFILL_RUNNING: u32 = 1;
/// Instances that one question looks up.
const KEYS_AT_ONCE: usize = 500;

/// A backfill as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillRequest {
    /// The job.
    pub job_name: String,
    /// Its schedule; may be left out where it has one.
    pub schedule: Option<String>,
    /// First calendar day, in the zone of the schedule.
    pub first_day: Date,
    /// Last calendar day.
    pub last_day: Date,
    /// The fires that are launched.
    pub which: Which,
    /// Executions that run at once. [`DEFAULT_BACKFILL_RUNNING`]
    pub max_running: u32,
    /// `true` if the newest fire goes first.
    pub newest_first: bool,
}

/// The plan of a backfill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillPlan {
    /// The name of the schedule.
    pub schedule: String,
    /// The fires of the range, how each stands, and whether it would be launched.
    pub fires: Vec<PlannedFire>,
}

/// A fire of the range of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedFire {
    /// Its instant.
    pub instant: Timestamp,
    /// Its standing.
    pub standing: Standing,
    /// `true` if it would be launched.
    pub is_wanted: bool,
}

impl Scheduler {
    /// The plan of a backfill: nothing is written.
    ///
    /// # Errors
    /// When there is no such job or schedule, the range is wrong, or the parameters of a fire do not fit.
    pub async fn plan_backfill(&self, request: &BackfillRequest) -> Result<BackfillPlan, SchedulerError> {
        let (stored, schedule, now) = self.schedule_of(request).await?;
        let fires = self.standings(&stored, &schedule, request, now).await?;
        Ok(BackfillPlan { schedule: stored.name, fires })
    }

    /// Begins a backfill: the nodes launch its fires within its limit. The schedule is not moved.
    ///
    /// # Errors
    /// As [`Self::plan_backfill`], and when nothing is to be done.
    pub async fn start_backfill(&self, request: &BackfillRequest) -> Result<Backfill, SchedulerError> {
        let (stored, schedule, now) = self.schedule_of(request).await?;
        let planned = self.standings(&stored, &schedule, request, now).await?;
        let fires: Vec<Timestamp> = planned.iter().filter(|fire| fire.is_wanted).map(|fire| fire.instant).collect();
        if fires.is_empty() {
            let problem = format!(
                "there is nothing to do: none of the {} fires from {} to {} is {}",
                planned.len(),
                request.first_day,
                request.last_day,
                request.which.as_str()
            );
            return Err(SchedulerError::Refused { problem });
        }
        let new = NewBackfill {
            schedule_id: stored.id,
            first_day: request.first_day,
            last_day: request.last_day,
            which: request.which,
            max_running: request.max_running,
            newest_first: request.newest_first,
            fires,
            time: now,
        };
        let id = self.operator.repository().create_backfill(new).await?;
        self.operator.wake_schedules();
        self.backfill(id).await
    }

    /// The backfill `id`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn backfill(&self, id: BackfillId) -> Result<Backfill, SchedulerError> {
        let found = self.operator.repository().backfills(Some(id)).await?.into_iter().next();
        found.ok_or(SchedulerError::UnknownBackfill { id })
    }

    /// All backfills, newest first.
    ///
    /// # Errors
    /// When the repository fails.
    pub async fn backfills(&self) -> Result<Vec<Backfill>, SchedulerError> {
        Ok(self.operator.repository().backfills(None).await?)
    }

    /// Cancels what a backfill has not launched yet.
    ///
    /// # Errors
    /// When there is none, or it has ended.
    pub async fn cancel_backfill(&self, id: BackfillId) -> Result<Backfill, SchedulerError> {
        let repository = self.operator.repository();
        let now = repository.agenda().await?.now;
        let is_cancelled = repository.cancel_backfill(id, now).await?;
        let backfill = self.backfill(id).await?;
        if is_cancelled {
            return Ok(backfill);
        }
        let problem = format!("backfill {id} is {} and cannot be cancelled", backfill.state);
        Err(SchedulerError::Refused { problem })
    }

    /// The schedule of a request, and the present of the store.
    async fn schedule_of(
        &self,
        request: &BackfillRequest,
    ) -> Result<(StoredSchedule, Schedule, Timestamp), SchedulerError> {
        let refuse = |problem: String| SchedulerError::Refused { problem };
        if request.last_day < request.first_day {
            return Err(refuse(format!(
                "the last day, {}, lies before the first, {}",
                request.last_day, request.first_day
            )));
        }
        if request.max_running == 0 {
            return Err(refuse("a backfill with room for no execution would never end".to_owned()));
        }
        let repository = self.operator.repository();
        let job = self.operator.registry().get(&request.job_name).ok_or_else(|| unknown_job(&request.job_name))?;
        let mut all = repository.schedules(ScheduleFilter::All).await?;
        all.retain(|stored| stored.job_name == job.name());
        if let Some(name) = &request.schedule {
            all.retain(|stored| stored.name == *name);
            if all.is_empty() {
                return Err(SchedulerError::UnknownSchedule { name: name.clone() });
            }
        }
        let names: Vec<_> = all.iter().map(|stored| stored.name.clone()).collect();
        let [stored] = <[StoredSchedule; 1]>::try_from(all).map_err(|_| match names.len() {
            0 => refuse(format!("job '{}' has no schedule, whose fires could be launched", request.job_name)),
            _ => refuse(format!("job '{}' has several schedules: name one of {}", request.job_name, names.join(", "))),
        })?;
        let schedule = stored.schedule()?;
        Ok((stored, schedule, repository.agenda().await?.now))
    }

    async fn standings(
        &self,
        stored: &StoredSchedule,
        schedule: &Schedule,
        request: &BackfillRequest,
        now: Timestamp,
    ) -> Result<Vec<PlannedFire>, SchedulerError> {
        let refuse = |problem: String| SchedulerError::Refused { problem };
        let calendar = schedule.calendar()?.ok_or_else(|| SchedulerError::OfFiles { name: stored.name.clone() })?;
        let fires = fires_on(&calendar, request.first_day, request.last_day, now)
            .ok_or_else(|| refuse(format!("the range has more than {MAX_BACKFILL} fires")))?;
        let standings = if schedule.is_new_run() {
            self.by_fires(stored, &fires).await?
        } else {
            self.by_instances(stored, schedule, &fires).await?
        };
        let planned = fires.into_iter().zip(standings).map(|(instant, standing)| PlannedFire {
            instant,
            standing,
            is_wanted: standing.is_wanted(request.which),
        });
        Ok(planned.collect())
    }

    /// By the instances that the parameters of the fires lead to.
    async fn by_instances(
        &self,
        stored: &StoredSchedule,
        schedule: &Schedule,
        fires: &[Timestamp],
    ) -> Result<Vec<Standing>, SchedulerError> {
        let mut standings = Vec::with_capacity(fires.len());
        for some in fires.chunks(KEYS_AT_ONCE) {
            let key = |instant: &Timestamp| {
                let launch = self.operator.fire_launch(
                    FireOf { schedule, job_name: &stored.job_name, instant: *instant, file: "" },
                    Policies::asked_for(),
                );
                Ok(launch.map_err(|problem| SchedulerError::Refused { problem })?.request.parameters.job_key())
            };
            let keys = some.iter().map(key).collect::<Result<Vec<_>, SchedulerError>>()?;
            let last = self.operator.repository().last_runs(&stored.job_name, keys).await?;
            standings.extend(last.into_iter().map(Standing::of));
        }
        Ok(standings)
    }

    /// By the rows of the fires: each of them has an instance of its own, which no parameters lead to.
    async fn by_fires(&self, stored: &StoredSchedule, fires: &[Timestamp]) -> Result<Vec<Standing>, SchedulerError> {
        let (mut by_instant, mut before) = (HashMap::new(), None);
        loop {
            let filter = FireFilter { schedule_id: Some(stored.id), ..FireFilter::default() };
            let page = self.operator.repository().fires(filter, PageRequest { before, limit: 500 }).await?;
            for fire in page.fires.into_iter().filter(|fire| fire.outcome == FireOutcome::Launched) {
                let last = fire.execution_id.zip(fire.status);
                by_instant.insert(fire.instant, last.map(|(id, status)| LastRun { id, status, resumes: false }));
            }
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        Ok(fires.iter().map(|instant| Standing::of(by_instant.get(instant).copied().flatten())).collect())
    }

    /// Launches what backfills have room for, and ends those that are through.
    pub(super) async fn run_backfills(&self, now: Timestamp) -> Result<Ticked, SchedulerError> {
        let mut ticked = Ticked::default();
        for work in self.operator.repository().backfill_work(now).await? {
            if self.operator.registry().get(&work.backfill.job_name).is_some() {
                ticked.add(self.run_backfill(work, now).await?);
            }
        }
        Ok(ticked)
    }

    async fn run_backfill(&self, work: BackfillWork, now: Timestamp) -> Result<Ticked, SchedulerError> {
        let BackfillWork { backfill, schedule: stored, next } = work;
        let mut ticked = Ticked::default();
        let Ok(schedule) = stored.schedule() else { return Ok(ticked) };
        for fire in next {
            let policies = Policies::asked_for();
            let mut launch = self.operator.fire_launch(
                FireOf { schedule: &schedule, job_name: &stored.job_name, instant: fire.instant, file: &fire.file },
                policies,
            );
            if let (Ok(launch), Which::All) = (&mut launch, backfill.which) {
                launch.request.force = true;
            }
            let from = &[FireOutcome::Planned, FireOutcome::Waiting];
            let request = ReleaseRequest { fire_id: fire.id, from, launch, time: now };
            let Fired::Recorded { fire: Some(fire), launched } = self.operator.repository().release(request).await?
            else {
                continue;
            };
            if fire.outcome != FireOutcome::Waiting {
                self.operator.events().emit(&Event::FireRecorded { fire: &fire, missed: 0 });
                ticked.fires += 1;
            }
            if let Some(launched) = launched {
                ticked.launched += 1;
                self.announce(&launched);
            }
        }
        Ok(ticked)
    }
}
