//! Schedules and fires for people: times in the zone of the schedule, with UTC where there is none.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use oxbatch_core::repository::PauseScope;
use serde_json::Value;

use crate::error::CliError;
use crate::output;
use crate::table::{Align, Table, shorten};

/// Longest reason in a row.
const MAX_REASON: usize = 60;

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// A time of the answer as the clock of the schedule's zone shows it.
fn local(time: &Value, zone: &str) -> String {
    let Some(instant) = time.as_str().and_then(|text| text.parse::<Timestamp>().ok()) else { return String::new() };
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    instant.to_zoned(zone).strftime("%a %Y-%m-%d %H:%M:%S %:z").to_string()
}

fn zone_of(schedule: &Value) -> &str {
    schedule["zone"].as_str().unwrap_or("UTC")
}

fn trigger(schedule: &Value) -> String {
    match schedule["cron"].as_str() {
        Some(cron) => format!("{cron} in {}", zone_of(schedule)),
        None => format!("files {}", text(&schedule["file"], "pattern")),
    }
}

fn paused(schedule: &Value) -> Option<String> {
    let pauses = schedule["pauses"].as_array()?;
    let words = pauses.iter().map(|pause| format!("paused: {}", text(pause, "reason")));
    Some(words.collect::<Vec<_>>().join("; ")).filter(|words| !words.is_empty())
}

/// The table of schedules.
pub(super) fn schedules(schedules: &[Value]) -> Result<Table, CliError> {
    let left = |name| (name, Align::Left);
    let mut table = Table::new([
        left("NAME"),
        left("JOB"),
        left("WHEN"),
        left("NEXT"),
        left("LAST"),
        ("WAITING", Align::Right),
        left("NOTE"),
    ]);
    for schedule in schedules {
        let held = paused(schedule);
        let next = if held.is_some() { String::new() } else { local(&schedule["next_fires"][0], zone_of(schedule)) };
        let note = held.or_else(|| schedule["problem"].as_str().map(str::to_owned)).unwrap_or_default();
        table.row([
            text(schedule, "name").to_owned(),
            text(schedule, "job_name").to_owned(),
            trigger(schedule),
            next,
            text(schedule, "last_status").to_owned(),
            schedule["waiting"].to_string(),
            shorten(&note, MAX_REASON),
        ]);
    }
    Ok(table)
}

/// A schedule, what comes next, and what the next changes of the clock do to it.
pub(super) fn schedule(schedule: &Value) -> Result<(), CliError> {
    let line = |text: String| output::line(output::one_line(&text));
    line(format!(
        "schedule {} launches {}: {}",
        text(schedule, "name"),
        text(schedule, "job_name"),
        trigger(schedule)
    ))?;
    if let Some(problem) = schedule["problem"].as_str() {
        line(problem.to_owned())?;
    }
    if let Some(paused) = paused(schedule) {
        line(paused)?;
    }
    for next in schedule["next_fires"].as_array().into_iter().flatten() {
        line(format!("  {}", local(next, zone_of(schedule))))?;
    }
    for change in schedule["clock_changes"].as_array().into_iter().flatten() {
        line(format!("  {}", text(change, "effect")))?;
    }
    Ok(())
}

/// The table of fires.
pub(super) fn fires(fires: &[Value]) -> Result<Table, CliError> {
    let left = |name| (name, Align::Left);
    let mut table = Table::new([
        ("ID", Align::Right),
        left("SCHEDULE"),
        left("INSTANT"),
        left("OUTCOME"),
        ("EXECUTION", Align::Right),
        left("STATUS"),
        left("REASON"),
    ]);
    for fire in fires {
        table.row([
            fire["id"].to_string(),
            text(fire, "schedule").to_owned(),
            local(&fire["instant"], "UTC"),
            text(fire, "outcome").to_owned(),
            fire["execution_id"].as_i64().map(|id| id.to_string()).unwrap_or_default(),
            text(fire, "status").to_owned(),
            shorten(text(fire, "message"), MAX_REASON),
        ]);
    }
    Ok(table)
}

/// The line about a pause.
pub(super) fn pause(pause: &Value) -> Result<(), CliError> {
    let whose = match text(pause, "scope") {
        "schedule" => format!("schedule {} is", text(pause, "name")),
        "job" => format!("the schedules of {} are", text(pause, "name")),
        _ => "all schedules are".to_owned(),
    };
    let until = pause["until"].as_str().map_or_else(|| "until resumed".to_owned(), |until| format!("until {until}"));
    output::line(output::one_line(&format!("{whose} paused {until}: {}", text(pause, "reason"))))
}

/// The begin of the line about what goes on.
pub(super) fn goes_on(scope: PauseScope, name: &str) -> String {
    match scope {
        PauseScope::Schedule => format!("schedule {name} goes on"),
        PauseScope::Job => format!("the schedules of {name} go on"),
        PauseScope::All => "all schedules go on".to_owned(),
    }
}
