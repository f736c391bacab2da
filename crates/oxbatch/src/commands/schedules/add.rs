//! The flags of a new schedule.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use clap::Args;
use oxbatch_server::view::{ExpressionInput, ParameterInput, ScheduleInput};

use crate::duration::parse_duration;
use crate::error::CliError;
use crate::parameters;

/// Arguments of `schedules add`.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// The job that it launches
    job: String,
    /// Parameters of its launches: key=value, or key:type=value
    #[arg(value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// Minute, hour, day of the month, month, day of the week; with seconds before them where there are six
    #[arg(long, value_name = "TEXT", required_unless_present = "file", conflicts_with = "file")]
    cron: Option<String>,
    /// Time zone of the cron text, such as Europe/Berlin; UTC unless given
    #[arg(long, value_name = "ZONE", conflicts_with = "file")]
    zone: Option<String>,
    /// Path of files to wait for, with * and ? in its last part
    #[arg(long, value_name = "PATTERN")]
    file: Option<String>,
    /// Time for which a file must not change before it counts as written
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "file")]
    unchanged_for: Option<Duration>,
    /// End of the name of a file beside it that says that it is written, such as .done
    #[arg(long, value_name = "END", requires = "file")]
    marker: Option<String>,
    /// Name of the schedule; that of its job unless given
    #[arg(long)]
    name: Option<String>,
    /// A parameter by an expression over the fire, such as day='fire date - 1 day'
    #[arg(long = "expression", value_name = "KEY=EXPRESSION")]
    expressions: Vec<String>,
    /// Fires that are made up for after an outage: latest, all or none
    #[arg(long, value_name = "WHICH")]
    missed: Option<String>,
    /// Time for which they may be
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    window: Option<Duration>,
    /// While the fire before it runs: wait, skip or allow
    #[arg(long, value_name = "WHAT")]
    overlap: Option<String>,
    /// After the fire before it has failed: go_on or hold
    #[arg(long, value_name = "WHAT")]
    after_failure: Option<String>,
    /// Where its instance exists: record or restart
    #[arg(long, value_name = "WHAT")]
    on_existing: Option<String>,
    /// Make each fire a new run of its job
    #[arg(long)]
    new_run: bool,
    /// Late when its execution has not begun so long after the fire
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    started_by: Option<Duration>,
    /// Late when its execution is not complete so long after the fire
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    finished_by: Option<Duration>,
    /// Begin as a paused one, for this reason
    #[arg(long, value_name = "REASON")]
    off: Option<String>,
}

impl AddArgs {
    /// The schedule, for the audit log.
    pub(super) fn subject(&self) -> String {
        match &self.name {
            Some(name) => format!("schedule {name} of job {}", self.job),
            None => format!("schedule of job {}", self.job),
        }
    }

    /// The schedule as it is asked for.
    pub(super) fn input(self) -> Result<ScheduleInput, CliError> {
        let mut parameters: BTreeMap<String, ParameterInput> = parameters::to_json(&self.parameters, &HashMap::new())?
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        for argument in &self.expressions {
            let (name, text) =
                argument.split_once('=').ok_or_else(|| CliError::NoParameter { argument: argument.clone() })?;
            let expression = ParameterInput::Expression(ExpressionInput { expression: text.to_owned() });
            if parameters.insert(name.to_owned(), expression).is_some() {
                return Err(CliError::Schedule { problem: format!("parameter '{name}' is given twice") });
            }
        }
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        Ok(ScheduleInput {
            job: self.job,
            name: self.name,
            cron: self.cron,
            zone: self.zone,
            file: self.file,
            unchanged_for_seconds: seconds(self.unchanged_for),
            marker: self.marker,
            parameters,
            missed: self.missed,
            window_seconds: seconds(self.window),
            overlap: self.overlap,
            after_failure: self.after_failure,
            on_existing: self.on_existing,
            new_run: self.new_run,
            started_by_seconds: seconds(self.started_by),
            finished_by_seconds: seconds(self.finished_by),
            off: self.off,
        })
    }
}
