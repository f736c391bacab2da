//! `show`: an execution and its steps.

use std::time::Duration;

use clap::Args;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::{JobExecution, StepExecution};
use oxbatch_server::view::ForecastView;

use super::executions::took;
use super::{follow, parse_id};
use crate::colour::{self, paint_word};
use crate::connection::Connection;
use crate::database::Access;
use crate::duration::{show_seconds, show_whole_seconds};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::table::{Align, Table};
use crate::view::{self, ReportView};

/// The shortest step of which a rate is shown.
const RATES_AFTER: Duration = Duration::from_secs(1);

/// Arguments of `show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Id of the execution
    #[arg(value_parser = parse_id)]
    id: ExecutionId,
    /// Print a line at each change until it has ended; its status is the exit code
    #[arg(long, conflicts_with = "json")]
    follow: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: ShowArgs) -> Result<Exit, CliError> {
    let ShowArgs { id, follow, json } = arguments;
    let connection = program.connection(Access::Read).await?;
    if follow {
        let execution = follow::run(&connection, id).await?;
        report(&execution, &connection.steps(id).await?)?;
        return connection.exit_of(&execution).await;
    }
    match (&connection, json) {
        (Connection::Service(service), true) => output::json(&service.report(id).await?)?,
        (Connection::Database(_), true) => {
            let (execution, steps) = (connection.execution(id).await?, connection.steps(id).await?);
            output::json(&ReportView::new(execution, steps, &program.registry))?;
        }
        (_, false) => {
            let execution = connection.execution(id).await?;
            let left = connection.forecast(&execution).await?;
            report(&execution, &connection.steps(id).await?)?;
            if let Some(reason) = connection.held_up_by(&execution).await? {
                output::line(output::one_line(&format!("waits: {reason}")))?;
            }
            if let Some(left) = left {
                output::line("")?;
                output::line(time_left(&left))?;
            }
        }
    }
    Ok(Exit::Completed)
}

/// Prints an execution and its steps.
pub(super) fn report(execution: &JobExecution, steps: &[StepExecution]) -> Result<(), CliError> {
    output::line(heading(execution))?;
    if steps.is_empty() {
        return Ok(());
    }
    output::line("")?;
    table(steps).print()?;
    for line in steps.iter().filter_map(rate) {
        output::line(line)?;
    }
    if steps.iter().any(|step| !step.control_totals.is_empty()) {
        output::line("")?;
        totals(steps).print()?;
    }
    Ok(())
}

fn heading(execution: &JobExecution) -> String {
    let moment = |time: Option<jiff::Timestamp>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.6}"));
    let text = |text: &Option<String>| output::one_line(text.as_deref().unwrap_or("-"));
    let mut lines = vec![
        ("execution", execution.id.to_string()),
        ("instance", execution.instance_id.to_string()),
        ("job", output::one_line(&execution.job_name)),
        ("status", paint_word(execution.status.as_str(), colour::on_stdout())),
        ("parameters", output::one_line(&view::typed(&execution.parameters))),
        ("forced", if execution.forced { "yes" } else { "no" }.to_owned()),
        ("created", moment(Some(execution.create_time))),
        ("started", moment(execution.start_time)),
        ("ended", moment(execution.end_time)),
        ("changed", moment(Some(execution.change_time))),
        ("took", took(execution)),
        ("exit code", text(&execution.exit_code)),
        ("message", text(&execution.exit_message)),
        ("node", text(&execution.node)),
    ];
    let links = [("rerun of", execution.rerun_of), ("rerun by", execution.rerun_by)];
    lines.extend(links.into_iter().filter_map(|(name, id)| Some((name, id?.to_string()))));
    let line = |(name, value): &(&str, String)| format!("{name:<10}  {value}").trim_end().to_owned();
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn table(steps: &[StepExecution]) -> Table {
    let counts = ["READ", "WRITTEN", "FILTERED", "SKIPPED", "COMMITS", "RETRIES", "TOOK"];
    let left = ["STEP", "STATUS"].map(|name| (name, Align::Left));
    let mut table = Table::new(left.into_iter().chain(counts.map(|name| (name, Align::Right))));
    for step in steps {
        let counters = step.counters;
        let end = step.end_time.unwrap_or_else(jiff::Timestamp::now);
        let numbers =
            [counters.read, counters.write, counters.filter, counters.skip(), counters.commit, counters.retry];
        let took = show_seconds(end.duration_since(step.start_time).try_into().unwrap_or_default());
        let names = [step.step_name.clone(), step.status.to_string()];
        table.row(names.into_iter().chain(numbers.map(|number| number.to_string())).chain([took]));
    }
    table
}

/// The rate of a step and the phase that takes most of its time; nothing of a step that was quick, or is a task.
fn rate(step: &StepExecution) -> Option<String> {
    let end = step.end_time.unwrap_or_else(jiff::Timestamp::now);
    let took: Duration = end.duration_since(step.start_time).try_into().ok().filter(|took| *took >= RATES_AFTER)?;
    let shares = step.shares?;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = step.counters.read as f64 / took.as_secs_f64();
    Some(output::one_line(&format!("{}: {rate:.0} items/s, {}", step.step_name, shares.sentence())))
}

/// The time that is left, in words.
fn time_left(left: &ForecastView) -> String {
    let time = |seconds: f64| show_whole_seconds(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    match left.runs {
        None => format!("about {} left, by its input", time(left.high)),
        Some(runs) => {
            format!("{} to {} left, by {runs} recent runs of its job", time(left.low), time(left.high))
        }
    }
}

fn totals(steps: &[StepExecution]) -> Table {
    let left = ["STEP", "CONTROL TOTAL"].map(|name| (name, Align::Left));
    let sides = ["READ", "WRITTEN", "FILTERED", "SKIPPED"].map(|name| (name, Align::Right));
    let mut table = Table::new(left.into_iter().chain(sides));
    for step in steps {
        for total in step.control_totals.iter() {
            let sides = [total.read, total.written, total.filtered, total.skipped];
            let names = [step.step_name.clone(), output::plain(&total.name)];
            let shown = sides.map(|sum| sum.map_or_else(|| "-".to_owned(), |sum| sum.to_string()));
            table.row(names.into_iter().chain(shown));
        }
    }
    table
}
