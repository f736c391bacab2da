//! Schedules as a person or a program sees to them: added, paused, run by hand, listed.

mod apply;
mod backfill;
mod error;
mod files;
mod launch;
mod tick;

use jiff::Timestamp;

pub use backfill::{BackfillPlan, BackfillRequest, DEFAULT_BACKFILL_RUNNING, PlannedFire};
pub use error::SchedulerError;
pub use tick::Ticked;

use super::operator::Operator;
use crate::repository::{
    Agenda, Fire, FireFilter, FireId, FireOutcome, FirePage, FireRequest, Fired, Launched, Missing, NewFire,
    PageRequest, Pause, PauseScope, PutSchedule, ReleaseRequest, ScheduleFilter, ScheduleOrigin, StoredSchedule,
};
use crate::schedule::rules::{Policies, deadlines};
use crate::schedule::{Calendar, ClockChange, Schedule, Trigger};
use apply::Named;
use launch::FireOf;

/// The outcomes of fires that a person may still launch.
const OPEN: &[FireOutcome] = &[
    FireOutcome::Waiting,
    FireOutcome::Missed,
    FireOutcome::Skipped,
    FireOutcome::Refused,
    FireOutcome::AlreadyFailed,
    FireOutcome::Cancelled,
];

/// Sees to the schedules of a store: it takes a registry and a repository, as an [`Operator`] does. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scheduler {
    operator: Operator,
}

/// A schedule, whether it is paused, and what comes next.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleStatus {
    /// The schedule as it is stored.
    pub stored: StoredSchedule,
    /// Its definition; the sentence about it where a newer version has written it.
    pub schedule: Result<Schedule, String>,
    /// The pauses that hold it.
    pub pauses: Vec<Pause>,
    /// The next fires, if nothing holds it.
    pub next: Vec<Timestamp>,
    /// The next changes of the clock in its zone.
    pub clock_changes: Vec<ClockChange>,
}

impl Operator {
    /// The schedules of the store.
    pub fn scheduler(&self) -> Scheduler {
        Scheduler { operator: self.clone() }
    }
}

impl Scheduler {
    /// All schedules, by name, each with so many of its next fires.
    ///
    /// # Errors
    /// When the repository fails.
    pub async fn list(&self, next: usize) -> Result<Vec<ScheduleStatus>, SchedulerError> {
        let repository = self.operator.repository();
        let (now, pauses) = (repository.agenda().await?.now, repository.pauses().await?);
        let stored = repository.schedules(ScheduleFilter::All).await?;
        Ok(stored.into_iter().map(|stored| status(stored, &pauses, now, next)).collect())
    }

    /// The schedule `name`, with so many of its next fires.
    ///
    /// # Errors
    /// When there is none, or the repository fails.
    pub async fn get(&self, name: &str, next: usize) -> Result<ScheduleStatus, SchedulerError> {
        let stored = self.stored(name).await?;
        let repository = self.operator.repository();
        let (now, pauses) = (repository.agenda().await?.now, repository.pauses().await?);
        Ok(status(stored, &pauses, now, next))
    }

    async fn stored(&self, name: &str) -> Result<StoredSchedule, SchedulerError> {
        let found = self.operator.repository().schedules(ScheduleFilter::Named(name.to_owned())).await?;
        found.into_iter().next().ok_or_else(|| SchedulerError::UnknownSchedule { name: name.to_owned() })
    }

    /// Adds a schedule to a job, or changes one that was added. Its past begins now.
    ///
    /// # Errors
    /// When it does not fit its job, or its name is that of another.
    pub async fn add(&self, job_name: &str, schedule: &Schedule) -> Result<ScheduleStatus, SchedulerError> {
        let job = self.operator.registry().get(job_name).ok_or_else(|| unknown_job(job_name))?;
        let repository = self.operator.repository();
        let now = repository.agenda().await?.now;
        schedule.check()?;
        schedule.check_for(job, now)?;
        let name = schedule.name_or_none().unwrap_or(job_name).to_owned();
        let stored = repository.schedules(ScheduleFilter::Named(name.clone())).await?.into_iter().next();
        if let Some(stored) = &stored {
            if stored.origin == ScheduleOrigin::Code {
                return Err(SchedulerError::InCode { name });
            }
            if stored.job_name != job_name {
                return Err(SchedulerError::NameTaken { name, job_name: stored.job_name.clone() });
            }
        }
        let named = Named { name: &name, job_name, schedule, origin: ScheduleOrigin::Added };
        if let Some(put) = apply::put(named, stored.as_ref(), now)? {
            self.put(put).await?;
        }
        self.get(&name, DEFAULT_NEXT).await
    }

    /// The clock of the store, and when there is something to do.
    ///
    /// # Errors
    /// When the repository fails.
    pub async fn agenda(&self) -> Result<Agenda, SchedulerError> {
        Ok(self.operator.repository().agenda().await?)
    }

    async fn put(&self, put: PutSchedule) -> Result<(), SchedulerError> {
        let name = put.name.clone();
        match self.operator.repository().put_schedule(put).await? {
            true => {
                self.operator.wake_schedules();
                Ok(())
            }
            false => Err(SchedulerError::Changed { name }),
        }
    }

    /// Removes a schedule that was added; its fires stay.
    ///
    /// # Errors
    /// When there is none, or it stands in the code of its job.
    pub async fn remove(&self, name: &str) -> Result<(), SchedulerError> {
        if self.stored(name).await?.origin == ScheduleOrigin::Code {
            return Err(SchedulerError::InCode { name: name.to_owned() });
        }
        let repository = self.operator.repository();
        let now = repository.agenda().await?.now;
        match repository.remove_schedule(name, now).await? {
            true => Ok(()),
            false => Err(SchedulerError::UnknownSchedule { name: name.to_owned() }),
        }
    }

    /// Pauses a schedule, those of a job, or all: what they leave out until it ends is no outage.
    ///
    /// # Errors
    /// When there is no such schedule or job, the reason is empty, or the end has passed.
    pub async fn pause(
        &self,
        scope: PauseScope,
        name: &str,
        reason: &str,
        until: Option<Timestamp>,
    ) -> Result<Pause, SchedulerError> {
        let repository = self.operator.repository();
        let since = repository.agenda().await?.now;
        self.check_range(scope, name).await?;
        if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
            return Err(SchedulerError::Reason);
        }
        if let Some(until) = until.filter(|until| *until <= since) {
            return Err(SchedulerError::Until { until });
        }
        // One of the same range that has run out without a node to see it is another pause.
        self.end_pauses(since).await?;
        let name = if scope == PauseScope::All { "" } else { name };
        let pause = Pause { scope, name: name.to_owned(), reason: reason.trim().to_owned(), since, until };
        repository.pause(pause.clone()).await?;
        Ok(pause)
    }

    /// Ends a pause: its schedules go on from now.
    ///
    /// # Errors
    /// When there is none, or no such schedule or job.
    pub async fn resume(&self, scope: PauseScope, name: &str) -> Result<(), SchedulerError> {
        let now = self.operator.repository().agenda().await?.now;
        let name = if scope == PauseScope::All { "" } else { name };
        let pauses = self.operator.repository().pauses().await?;
        if let Some(pause) = pauses.iter().find(|pause| pause.scope == scope && pause.name == name)
            && self.end_pause(pause, now).await?
        {
            self.operator.wake_schedules();
            return Ok(());
        }
        self.check_range(scope, name).await?;
        Err(SchedulerError::NotPaused { scope, name: name.to_owned() })
    }

    /// Refuses a range of pauses that names nothing that there is.
    async fn check_range(&self, scope: PauseScope, name: &str) -> Result<(), SchedulerError> {
        match scope {
            PauseScope::Schedule => self.stored(name).await.map(drop),
            PauseScope::Job => self.check_job(name).await,
            PauseScope::All => Ok(()),
        }
    }

    async fn check_job(&self, name: &str) -> Result<(), SchedulerError> {
        let is_known = self.operator.registry().get(name).is_some()
            || self.operator.repository().schedules(ScheduleFilter::All).await?.iter().any(|it| it.job_name == name);
        if is_known { Ok(()) } else { Err(unknown_job(name)) }
    }

    /// All pauses.
    ///
    /// # Errors
    /// When the repository fails.
    pub async fn pauses(&self) -> Result<Vec<Pause>, SchedulerError> {
        Ok(self.operator.repository().pauses().await?)
    }

    /// Launches the job of a schedule now, paused or not: a fire of its own, beside the others.
    ///
    /// # Errors
    /// When there is no such schedule, it waits for files, or the parameters of the fire do not fit.
    pub async fn run_now(&self, name: &str) -> Result<Fire, SchedulerError> {
        let stored = self.stored(name).await?;
        let schedule = stored.schedule()?;
        if let Trigger::File { .. } = schedule.trigger() {
            return Err(SchedulerError::OfFiles { name: name.to_owned() });
        }
        let now = self.operator.repository().agenda().await?.now;
        let launch = self.operator.fire_launch(
            FireOf { schedule: &schedule, job_name: &stored.job_name, instant: now, file: "" },
            Policies::asked_for(),
        );
        let launch = launch.map_err(|problem| SchedulerError::Refused { problem })?;
        let fire =
            NewFire { instant: now, file: String::new(), launch: Ok(launch), deadlines: deadlines(&schedule, now) };
        let (schedule_id, time) = (stored.id, now);
        let request = FireRequest { schedule_id, advance: None, recorded: Vec::new(), fire: Some(fire), time };
        let fired = self.operator.repository().fire(request).await?;
        self.answered(fired).ok_or_else(|| SchedulerError::Changed { name: name.to_owned() })
    }

    /// Launches a fire that was missed, left out or refused, or that waits.
    ///
    /// # Errors
    /// When there is no such fire, or it has launched already.
    pub async fn run_fire(&self, id: FireId) -> Result<Fire, SchedulerError> {
        let repository = self.operator.repository();
        let fire = repository.fire_of(id).await?.ok_or(SchedulerError::UnknownFire { id })?;
        if !OPEN.contains(&fire.outcome) {
            return Err(SchedulerError::NotOpen { id, outcome: fire.outcome });
        }
        let stored = self.stored(&fire.schedule_name).await?;
        let schedule = stored.schedule()?;
        let policies = Policies::asked_for();
        let launch = self.operator.fire_launch(
            FireOf { schedule: &schedule, job_name: &stored.job_name, instant: fire.instant, file: &fire.file },
            policies,
        );
        let launch = launch.map_err(|problem| SchedulerError::Refused { problem })?;
        let now = repository.agenda().await?.now;
        let fired =
            repository.release(ReleaseRequest { fire_id: id, from: OPEN, launch: Ok(launch), time: now }).await?;
        self.answered(fired).ok_or(SchedulerError::NotOpen { id, outcome: FireOutcome::Launched })
    }

    /// The fires of a schedule, or of all, one page, those that were recorded last first.
    ///
    /// # Errors
    /// When there is no such schedule, or the repository fails.
    pub async fn fires(
        &self,
        name: Option<&str>,
        outcome: Option<FireOutcome>,
        page: PageRequest,
    ) -> Result<FirePage, SchedulerError> {
        let schedule_id = match name {
            Some(name) => Some(self.stored(name).await?.id),
            None => None,
        };
        let filter = FireFilter { schedule_id, outcome, backfill_id: None };
        Ok(self.operator.repository().fires(filter, page).await?)
    }

    /// The fire of an answer; what it has launched is announced.
    fn answered(&self, fired: Fired) -> Option<Fire> {
        let Fired::Recorded { fire, launched } = fired else { return None };
        if let Some(launched) = launched {
            self.announce(&launched);
        }
        fire
    }

    fn announce(&self, launched: &Launched) {
        self.operator.announce(launched);
    }
}

/// The next fires of a schedule that are shown unless more are asked for.
pub const DEFAULT_NEXT: usize = 5;
/// The next changes of the clock that are shown.
const CLOCK_CHANGES: usize = 2;
/// Longest reason of a pause.
const MAX_REASON_BYTES: usize = 1_000;

fn unknown_job(name: &str) -> SchedulerError {
    SchedulerError::UnknownJob { what: Missing::Job, name: name.to_owned() }
}

fn status(stored: StoredSchedule, pauses: &[Pause], now: Timestamp, next: usize) -> ScheduleStatus {
    let schedule = stored.schedule().map_err(|error| error.to_string());
    let calendar: Option<Calendar> = schedule.as_ref().ok().and_then(|schedule| schedule.calendar().ok()).flatten();
    let holds = |pause: &&Pause| match pause.scope {
        PauseScope::All => true,
        PauseScope::Job => pause.name == stored.job_name,
        PauseScope::Schedule => pause.name == stored.name,
    };
    let from = now.max(stored.recorded_until);
    ScheduleStatus {
        pauses: pauses.iter().filter(holds).cloned().collect(),
        next: calendar.iter().flat_map(|calendar| calendar.after(from).take(next)).collect(),
        clock_changes: calendar.iter().flat_map(|calendar| calendar.clock_changes(now).take(CLOCK_CHANGES)).collect(),
        schedule,
        stored,
    }
}
