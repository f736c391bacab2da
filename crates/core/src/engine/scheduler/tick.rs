//! The duty of a node: what is due is fired, what waited goes on, what is late is said.

use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;

use super::launch::FireOf;
use super::{Scheduler, SchedulerError};
use crate::event::Event;
use crate::repository::{
    Advance, Agenda, FireOutcome, FireRequest, Fired, NewFire, Pause, PauseScope, RecordedFire, ReleaseRequest,
    RepositoryError, ScheduleFilter, StoredSchedule, WaitingFire,
};
use crate::schedule::Schedule;
use crate::schedule::rules::{self, Policies, deadlines};

/// Schedules that one question brings.
const DUE_AT_ONCE: u32 = 200;
/// Schedules that are seen to at the same moment: their transactions share a wait for the disk.
const SIDE_BY_SIDE: usize = 16;
/// Deadlines that one transaction judges.
const DEADLINES_AT_ONCE: u32 = 100;
/// The time after which any node sees to a schedule whose job it does not know: then no other has.
const UNKNOWN_AFTER: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);
/// Rounds within one waking: more is left to the next, so that nothing else is held up.
const MOST_ROUNDS: usize = 1_000;

/// The work of a node at one waking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Fires that were recorded.
    pub fires: usize,
    /// Executions that were launched.
    pub launched: usize,
    /// Deadlines at which a fire was late.
    pub late: usize,
}

impl Ticked {
    pub(super) fn add(&mut self, other: Self) {
        self.fires += other.fires;
        self.launched += other.launched;
        self.late += other.late;
    }
}

impl Scheduler {
    /// Does everything that is due at `agenda.now`.
    ///
    /// # Errors
    /// When the repository fails; what was done until then is done, and the next waking goes on.
    pub async fn tick(&self, agenda: &Agenda) -> Result<Ticked, SchedulerError> {
        let now = agenda.now;
        let mut ticked = Ticked::default();
        if agenda.next_resume.is_some_and(|until| until <= now) {
            self.end_pauses(now).await?;
        }
        if agenda.next_fire.is_some_and(|next| next <= now) || agenda.next_resume.is_some_and(|until| until <= now) {
            ticked.add(self.fire_due(now).await?);
        }
        if agenda.has_waiting {
            ticked.add(self.go_on(now).await?);
        }
        if agenda.has_backfills {
            ticked.add(self.run_backfills(now).await?);
        }
        if agenda.has_files {
            ticked.add(self.watch_files(now).await?);
        }
        if agenda.next_deadline.is_some_and(|at| at <= now) {
            ticked.late += self.say_late(now).await?;
        }
        Ok(ticked)
    }

    pub(super) async fn end_pauses(&self, now: Timestamp) -> Result<(), SchedulerError> {
        for pause in self.operator.repository().pauses().await? {
            if let Some(until) = pause.until.filter(|until| *until <= now) {
                self.end_pause(&pause, until).await?;
            }
        }
        Ok(())
    }

    /// Ends a pause; `false` where it has ended. What an outage had left out before it began is recorded first; what it
    /// has left out itself is not.
    pub(super) async fn end_pause(&self, pause: &Pause, time: Timestamp) -> Result<bool, SchedulerError> {
        let repository = self.operator.repository();
        let filter = match pause.scope {
            PauseScope::All | PauseScope::Job => ScheduleFilter::All,
            PauseScope::Schedule => ScheduleFilter::Named(pause.name.clone()),
        };
        for stored in repository.schedules(filter).await? {
            let is_held = pause.scope != PauseScope::Job || stored.job_name == pause.name;
            if is_held && stored.next_fire.is_some_and(|next| next <= pause.since) {
                self.record_past(&stored, pause.since).await?;
            }
        }
        Ok(repository.resume(pause.scope, &pause.name, time).await?)
    }

    /// Fires what is due, page after page and from the start again, until nothing is or others do it: what cannot fire
    /// here hides nothing behind it.
    async fn fire_due(&self, now: Timestamp) -> Result<Ticked, SchedulerError> {
        let (mut ticked, mut after, mut done) = (Ticked::default(), None, false);
        for _ in 0..MOST_ROUNDS {
            let filter = ScheduleFilter::Due { until: now, after, limit: DUE_AT_ONCE };
            let due = self.operator.repository().schedules(filter).await?;
            after = next_page(&due, |stored| stored.next_fire.map(|next| (next, stored.id)));
            if let Some(fired) = self.fire_page(&due, now).await? {
                ticked.add(fired);
                done = true;
            }
            if self.operator.is_closing() || (after.is_none() && !std::mem::take(&mut done)) {
                break;
            }
        }
        Ok(ticked)
    }

    /// One step of each schedule that this node sees to; `None` where there was none to take.
    async fn fire_page(&self, due: &[StoredSchedule], now: Timestamp) -> Result<Option<Ticked>, SchedulerError> {
        let mut work = Vec::with_capacity(due.len());
        for stored in due.iter().filter(|stored| self.sees_to(stored, now)) {
            work.push(self.fire_one(stored, now, false).boxed());
        }
        let mut work = futures_util::stream::iter(work).buffer_unordered(SIDE_BY_SIDE);
        let mut ticked: Option<Ticked> = None;
        while let Some(fired) = work.next().await {
            if let Some(fired) = fired? {
                ticked.get_or_insert_default().add(fired);
            }
        }
        Ok(ticked)
    }

    /// `true` for the schedule of a job that this node knows, or that no node has seen to for a while.
    fn sees_to(&self, stored: &StoredSchedule, now: Timestamp) -> bool {
        self.operator.registry().get(&stored.job_name).is_some()
            || stored.next_fire.is_some_and(|next| now.duration_since(next) > UNKNOWN_AFTER)
    }

    /// One step of a schedule's past; `None` where another node was faster, or it cannot be read. `past` launches
    /// nothing: what it finds was missed.
    async fn fire_one(
        &self,
        stored: &StoredSchedule,
        now: Timestamp,
        past: bool,
    ) -> Result<Option<Ticked>, SchedulerError> {
        let read = stored.schedule().and_then(|schedule| Ok((schedule.calendar()?, schedule)));
        let (calendar, schedule) = match read {
            Ok((Some(calendar), schedule)) => (calendar, schedule),
            Ok((None, _)) => return Ok(None),
            Err(error) => {
                let problem = error.to_string();
                self.operator.events().emit(&Event::ScheduleTrouble { name: &stored.name, problem: &problem });
                return Ok(None);
            }
        };
        let due = rules::due(&schedule, &calendar, stored.recorded_until, now);
        let missed = due.missed.into_iter();
        let record = |(instant, message)| RecordedFire { instant, outcome: FireOutcome::Missed, message };
        let mut recorded: Vec<RecordedFire> = missed.map(record).collect();
        let mut fire = due.fire;
        if let (true, Some(instant)) = (past, fire) {
            recorded.push(record((instant, "its schedule was changed or removed before it came to run".to_owned())));
            fire = None;
        }
        let recorded_until =
            if fire.is_none() && recorded.is_empty() { now.max(stored.recorded_until) } else { due.recorded_until };
        let request = FireRequest {
            schedule_id: stored.id,
            advance: Some(Advance { revision: stored.revision, recorded_until, next_fire: due.next }),
            fire: fire.map(|instant| self.new_fire(&schedule, stored, instant)),
            recorded,
            time: now,
        };
        self.record(request).await
    }

    fn new_fire(&self, schedule: &Schedule, stored: &StoredSchedule, instant: Timestamp) -> NewFire {
        let policies = Policies::of(schedule);
        let launch =
            self.operator.fire_launch(FireOf { schedule, job_name: &stored.job_name, instant, file: "" }, policies);
        NewFire { instant, file: String::new(), launch, deadlines: deadlines(schedule, instant) }
    }

    pub(super) async fn record(&self, request: FireRequest) -> Result<Option<Ticked>, SchedulerError> {
        let missed = request.recorded.len();
        let Fired::Recorded { fire, launched } = self.operator.repository().fire(request).await? else {
            return Ok(None);
        };
        let ticked =
            Ticked { fires: missed + usize::from(fire.is_some()), launched: usize::from(launched.is_some()), late: 0 };
        if let Some(fire) = &fire {
            self.operator.events().emit(&Event::FireRecorded { fire, missed });
        }
        if let Some(launched) = launched {
            self.announce(&launched);
        }
        Ok(Some(ticked))
    }

    /// Records as missed what a schedule has left open until a moment: before it is changed, removed or resumed.
    pub(super) async fn record_past(&self, stored: &StoredSchedule, now: Timestamp) -> Result<(), SchedulerError> {
        let mut stored = stored.clone();
        while stored.next_fire.is_some_and(|next| next <= now) {
            if self.fire_one(&stored, now, true).await?.is_none() {
                break;
            }
            let read = self.operator.repository().schedules(ScheduleFilter::Named(stored.name.clone())).await?;
            match read.into_iter().next() {
                Some(read) => stored = read,
                None => break,
            }
        }
        Ok(())
    }

    /// Launches the first waiting fire of each schedule that nothing holds up any more, and then the one behind it: a
    /// fire that has to wait on hides nothing behind it.
    async fn go_on(&self, now: Timestamp) -> Result<Ticked, SchedulerError> {
        let (mut ticked, mut after, mut done) = (Ticked::default(), None, false);
        for _ in 0..MOST_ROUNDS {
            let waiting = self.operator.repository().waiting_fires(after, DUE_AT_ONCE).await?;
            after = next_page(&waiting, |waiting| Some((waiting.fire.instant, waiting.fire.id)));
            for waiting in waiting {
                if let Some(fired) = self.release(waiting, now).await? {
                    ticked.add(fired);
                    done = true;
                }
            }
            if self.operator.is_closing() || (after.is_none() && !std::mem::take(&mut done)) {
                break;
            }
        }
        Ok(ticked)
    }

    async fn release(&self, waiting: WaitingFire, now: Timestamp) -> Result<Option<Ticked>, SchedulerError> {
        let WaitingFire { fire, schedule: stored } = waiting;
        let Ok(schedule) = stored.schedule() else { return Ok(None) };
        let policies = Policies::of(&schedule);
        let is_known = self.operator.registry().get(&stored.job_name).is_some();
        let is_forgotten = now.duration_since(fire.record_time) > UNKNOWN_AFTER;
        if !rules::may_go_on(policies, stored.last) || !(is_known || is_forgotten) {
            return Ok(None);
        }
        let launch = self.operator.fire_launch(
            FireOf { schedule: &schedule, job_name: &stored.job_name, instant: fire.instant, file: &fire.file },
            policies,
        );
        let request = ReleaseRequest { fire_id: fire.id, from: &[FireOutcome::Waiting], launch, time: now };
        match self.operator.repository().release(request).await? {
            Fired::Recorded { fire: Some(fire), launched } if fire.outcome != FireOutcome::Waiting => {
                self.operator.events().emit(&Event::FireRecorded { fire: &fire, missed: 0 });
                let ticked = Ticked { fires: 1, launched: usize::from(launched.is_some()), late: 0 };
                if let Some(launched) = launched {
                    self.announce(&launched);
                }
                Ok(Some(ticked))
            }
            _ => Ok(None),
        }
    }

    async fn say_late(&self, now: Timestamp) -> Result<usize, RepositoryError> {
        let mut count = 0;
        loop {
            let (late, judged) = self.operator.repository().check_deadlines(now, DEADLINES_AT_ONCE).await?;
            for late in &late {
                self.operator.events().emit(&Event::FireLate { late });
            }
            count += late.len();
            if judged < DEADLINES_AT_ONCE {
                return Ok(count);
            }
        }
    }
}

/// The key behind which the next page begins; `None` behind the last one.
fn next_page<Row, Key>(page: &[Row], key: impl Fn(&Row) -> Option<Key>) -> Option<Key> {
    let is_full = page.len() >= DUE_AT_ONCE as usize;
    page.last().filter(|_| is_full).and_then(key)
}
