//! The check of a schedule by itself, without its job.

use std::time::Duration;

use super::definition::{MAX_UNCHANGED_FOR, Schedule, ScheduleError, Trigger};

/// Longest deadline and longest window.
const MAX_TIME: Duration = Duration::from_secs(366 * 24 * 3600);
/// Longest name in characters: as of a job.
const MAX_NAME_CHARS: usize = 100;
/// Most parameters.
const MAX_PARAMETERS: usize = 100;

impl Schedule {
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
        if let Trigger::File { pattern, unchanged_for, marker } = &self.trigger {
            check_file(pattern, *unchanged_for, marker.as_deref())?;
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
}

fn check_file(pattern: &str, unchanged_for: u64, marker: Option<&str>) -> Result<(), ScheduleError> {
    let problem = |problem: String| Err(ScheduleError::Setting { problem });
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    if name.is_empty() || folder.contains(['*', '?']) || pattern.contains('\0') {
        return problem(format!(
            "the pattern '{pattern}' is no path of files: it ends with a name, in which alone * and ? may stand"
        ));
    }
    if unchanged_for > MAX_UNCHANGED_FOR.as_secs() {
        return problem("unchanged_for must be at most a day".to_owned());
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
    use std::time::Duration;

    use super::*;

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
