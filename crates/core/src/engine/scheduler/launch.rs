//! The launch of a fire: its parameters, checked against its job.

use jiff::Timestamp;

use super::super::operator::{LaunchOptions, Operator};
use crate::job::{GivenValue, Job};
use crate::repository::FireLaunch;
use crate::schedule::rules::Policies;
use crate::schedule::{FILE_PARAMETER, FireParameter, Schedule, ScheduleError, Trigger};

/// A fire that is to be launched.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct FireOf<'a> {
    /// The definition of its schedule.
    pub(super) schedule: &'a Schedule,
    /// Its job.
    pub(super) job_name: &'a str,
    /// Its instant.
    pub(super) instant: Timestamp,
    /// Path and size of its file; empty for a calendar.
    pub(super) file: &'a str,
}

impl Operator {
    /// The launch of a fire, or the sentence for which there is none. Defaults of the job are those of the fire's
    /// instant, whenever it is launched.
    pub(in crate::engine) fn fire_launch(&self, fire: FireOf<'_>, policies: Policies) -> Result<FireLaunch, String> {
        let FireOf { schedule, job_name, instant, file } = fire;
        let job = self.registry().get(job_name).ok_or_else(|| format!("no node knows the job '{job_name}'"))?;
        let resolved = resolve(schedule, job, instant, file)?;
        // Another version of a file is other work, also where its path has launched an execution before.
        let force = matches!(schedule.trigger(), Trigger::File { .. });
        let options = LaunchOptions { force, new_run: schedule.is_new_run(), ..LaunchOptions::default() };
        let request = self.request_of(job, resolved, options, None).map_err(|error| error.to_string())?;
        Ok(FireLaunch { request, policies })
    }
}

fn resolve(schedule: &Schedule, job: &Job, instant: Timestamp, file: &str) -> Result<crate::job::Resolved, String> {
    check_secrets(schedule, job)?;
    let mut given = schedule.parameters_at(instant).map_err(|error| error.to_string())?;
    if let Trigger::File { .. } = schedule.trigger() {
        // The identity of a file is its path and its size.
        let path = file.rsplit_once(' ').map_or(file, |(path, _)| path);
        given.entries.push((FILE_PARAMETER.to_owned(), GivenValue::JsonString(path.to_owned())));
    }
    job.resolve_launch(given, instant, schedule.is_new_run())
        .map_err(|error| format!("the parameters of the fire do not fit the job '{}': {error}", job.name()))
}

/// Refuses a schedule that would hold the text of a secret.
fn check_secrets(schedule: &Schedule, job: &Job) -> Result<(), String> {
    for declared in job.parameters().unwrap_or_default().iter().filter(|declared| declared.is_secret()) {
        let given = schedule.parameters().iter().find(|(name, _)| name == declared.name());
        if !matches!(given, None | Some((_, FireParameter::Secret(_)))) {
            return Err(format!(
                "parameter '{}' of the job '{}' is secret: a schedule gives it as a reference to a named secret, \
                 {{\"secret\": \"NAME\"}} (on the command line {}:secret=NAME)",
                declared.name(),
                job.name(),
                declared.name()
            ));
        }
    }
    Ok(())
}

impl Schedule {
    /// Checks the schedule against its job: the parameters of its next fires fit it, and differ.
    ///
    /// # Errors
    /// The sentence that says what does not fit.
    pub fn check_for(&self, job: &Job, now: Timestamp) -> Result<(), ScheduleError> {
        let problem = |problem: String| ScheduleError::Setting { problem };
        let instants: Vec<Timestamp> = match self.calendar()? {
            Some(calendar) => calendar.after(now).take(2).collect(),
            None => vec![now],
        };
        let mut keys = Vec::new();
        for instant in &instants {
            keys.push(resolve(self, job, *instant, "/file 0").map_err(problem)?.parameters.job_key());
        }
        let is_the_same = keys.len() == 2 && keys[0] == keys[1] && !self.is_new_run();
        // Two fires on one day may share a day: the first of a day far off does not.
        let far = instants
            .last()
            .and_then(|last| self.calendar().ok()??.next_after(*last + jiff::SignedDuration::from_hours(24 * 400)));
        if let (true, Some(far)) = (is_the_same, far)
            && resolve(self, job, far, "").map_err(problem)?.parameters.job_key() == keys[0]
        {
            return Err(problem(format!(
                "all fires would launch the same instance of job '{}', and after the first none would do anything: give it a \
                 parameter by an expression such as 'fire date', or let each fire be a new run",
                job.name()
            )));
        }
        Ok(())
    }
}
