//! The schedules of the code, brought into the store when a node starts.

use jiff::Timestamp;

use super::{Scheduler, SchedulerError};
use crate::event::Event;
use crate::repository::{PutSchedule, ScheduleFilter, ScheduleOrigin, StoredSchedule};
use crate::schedule::{Schedule, ScheduleError};

/// A schedule that is to be stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its job.
    pub(super) job_name: &'a str,
    /// Its definition.
    pub(super) schedule: &'a Schedule,
    /// Its author.
    pub(super) origin: ScheduleOrigin,
}

/// The row of a schedule; `None` where it is as it should be.
pub(super) fn put(
    named: Named<'_>,
    stored: Option<&StoredSchedule>,
    now: Timestamp,
) -> Result<Option<PutSchedule>, ScheduleError> {
    let Named { name, job_name, schedule, origin } = named;
    let definition = schedule.to_json();
    if stored.is_some_and(|stored| stored.definition == definition && stored.origin == origin) {
        return Ok(None);
    }
    let is_same_trigger =
        |stored: &&StoredSchedule| stored.schedule().is_ok_and(|before| before.trigger() == schedule.trigger());
    let (recorded_until, next_fire) = match stored.filter(is_same_trigger) {
        Some(stored) => (stored.recorded_until, stored.next_fire),
        // The past of a calendar begins when it is first applied.
        None => (now, schedule.calendar()?.and_then(|calendar| calendar.next_after(now))),
    };
    Ok(Some(PutSchedule {
        name: name.to_owned(),
        job_name: job_name.to_owned(),
        definition,
        origin,
        recorded_until,
        next_fire,
        revision: stored.map(|stored| stored.revision),
        time: now,
        paused: schedule.off_or_none().map(str::to_owned),
    }))
}

impl Scheduler {
    /// Brings the schedules of the registered jobs into the store: new ones are added, others changed, and those of
    /// these jobs that the code does not have any more are removed. The past of what changes its calendar is recorded
    /// first.
    ///
    /// # Errors
    /// When the repository fails.
    pub async fn apply(&self) -> Result<(), SchedulerError> {
        let repository = self.operator.repository();
        let registry = self.operator.registry();
        let mut stored = repository.schedules(ScheduleFilter::All).await?;
        let now = repository.agenda().await?.now;
        for job in registry.iter() {
            for schedule in job.schedules() {
                let name = schedule.name_or_none().unwrap_or(job.name());
                let at = stored.iter().position(|stored| stored.name == name);
                let before = at.map(|at| stored.swap_remove(at));
                if before.as_ref().is_some_and(|before| before.origin == ScheduleOrigin::Added) {
                    let problem = "was added at run time; the one of the same name in the code is not applied";
                    self.operator.events().emit(&Event::ScheduleTrouble { name, problem });
                    continue;
                }
                let named = Named { name, job_name: job.name(), schedule, origin: ScheduleOrigin::Code };
                self.apply_one(named, before, now).await?;
            }
        }
        for left in stored {
            if left.origin == ScheduleOrigin::Code && registry.get(&left.job_name).is_some() {
                self.record_past(&left, now).await?;
                repository.remove_schedule(&left.name, now).await?;
            }
        }
        Ok(())
    }

    async fn apply_one(
        &self,
        named: Named<'_>,
        mut before: Option<StoredSchedule>,
        now: Timestamp,
    ) -> Result<(), SchedulerError> {
        let Named { name, schedule, .. } = named;
        let repository = self.operator.repository();
        let is_changed = |stored: &StoredSchedule| stored.definition != schedule.to_json();
        if let Some(stored) = before.as_ref().filter(|stored| is_changed(stored)) {
            self.record_past(stored, now).await?;
            before = repository.schedules(ScheduleFilter::Named(name.to_owned())).await?.into_iter().next();
        }
        if let Some(put) = put(named, before.as_ref(), now)? {
            // Another node of the same version was faster: it has written the same.
            repository.put_schedule(put).await?;
        }
        Ok(())
    }
}
