//! Files that schedules wait for: each version of a file fires once, when it is written.

use std::time::Duration;

use jiff::Timestamp;

use super::super::seen_files::{Version, versions};
use super::launch::FireOf;
use super::{Scheduler, SchedulerError, Ticked};
use crate::event::Event;
use crate::repository::{FireRequest, NewFire, ScheduleFilter, StoredSchedule};
use crate::schedule::rules::{Policies, deadlines};
use crate::schedule::{Schedule, Trigger};

/// Timeout of reading a folder.
const FOLDER_TIMEOUT: Duration = Duration::from_secs(30);

impl Scheduler {
    /// Polls for files that are written and have not fired.
    pub(super) async fn watch_files(&self, now: Timestamp) -> Result<Ticked, SchedulerError> {
        let mut ticked = Ticked::default();
        for stored in self.operator.repository().schedules(ScheduleFilter::Files).await? {
            let Ok(schedule) = stored.schedule() else { continue };
            if self.operator.registry().get(&stored.job_name).is_none() {
                continue;
            }
            match self.written_files(&stored, &schedule).await {
                Ok(versions) => {
                    for version in versions {
                        ticked.add(self.fire_file(&stored, &schedule, &version, now).await?);
                    }
                }
                Err(problem) => {
                    self.operator.events().emit(&Event::ScheduleTrouble { name: &stored.name, problem: &problem });
                }
            }
        }
        Ok(ticked)
    }

    async fn written_files(&self, stored: &StoredSchedule, schedule: &Schedule) -> Result<Vec<Version>, String> {
        let Trigger::File { pattern, unchanged_for, marker } = schedule.trigger().clone() else {
            return Ok(Vec::new());
        };
        let has_marker = marker.is_some();
        // A folder of another machine may hang: on a thread that holds up nothing else.
        let read = tokio::task::spawn_blocking(move || versions(&pattern, marker.as_deref()));
        let there = match tokio::time::timeout(FOLDER_TIMEOUT, read).await {
            Ok(read) => read.map_err(|error| error.to_string())??,
            Err(_) => return Err(format!("the folder of its files does not answer within {FOLDER_TIMEOUT:?}")),
        };
        let unchanged_for = if has_marker { Duration::ZERO } else { Duration::from_secs(unchanged_for) };
        Ok(self.operator.seen_files().written(stored.id, &there, unchanged_for))
    }

    async fn fire_file(
        &self,
        stored: &StoredSchedule,
        schedule: &Schedule,
        version: &Version,
        now: Timestamp,
    ) -> Result<Ticked, SchedulerError> {
        let repository = self.operator.repository();
        let file = version.file();
        let mut ticked = Ticked::default();
        if !repository.has_fire(stored.id, version.time, &file).await? {
            let policies = Policies::of(schedule);
            let launch = self.operator.fire_launch(
                FireOf { schedule, job_name: &stored.job_name, instant: version.time, file: &file },
                policies,
            );
            let fire = NewFire { instant: version.time, file, launch, deadlines: deadlines(schedule, now) };
            let request = FireRequest {
                schedule_id: stored.id,
                advance: None,
                recorded: Vec::new(),
                fire: Some(fire),
                time: now,
            };
            ticked = self.record(request).await?.unwrap_or_default();
        }
        self.operator.seen_files().set_done(stored.id, version);
        Ok(ticked)
    }
}
