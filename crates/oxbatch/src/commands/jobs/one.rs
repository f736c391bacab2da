//! One job in full: its settings, its steps, and all that its parameters are declared with.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::views;
use crate::duration::show_seconds;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::table::{Align, Table};

/// A job as the interface shows it.
#[derive(Debug, Deserialize)]
struct OneJob {
    name: String,
    description: String,
    parameters: Option<Vec<Parameter>>,
    flow: Vec<String>,
    priority: i32,
    max_running: Option<u32>,
    restartable: bool,
    // Not shown by services of earlier versions.
    #[serde(default)]
    process_exit_codes: Vec<ProcessExitCode>,
    #[serde(default)]
    time_limit_seconds: Option<f64>,
    #[serde(default)]
    finally_time_limit_seconds: Option<f64>,
    #[serde(default)]
    steps: Vec<Step>,
}

/// A step as the interface shows it.
#[derive(Debug, Deserialize)]
struct Step {
    name: String,
    #[serde(default)]
    time_limit_seconds: Option<f64>,
}

/// An entry of the table of process exit codes as the interface shows it.
#[derive(Debug, Deserialize)]
struct ProcessExitCode {
    pattern: String,
    code: u8,
}

/// A declared parameter as the interface shows it.
#[derive(Debug, Deserialize)]
struct Parameter {
    name: String,
    r#type: String,
    required: bool,
    default: Option<Value>,
    default_expression: Option<String>,
    identifying: bool,
    secret: bool,
    description: String,
    allowed: Vec<Value>,
    minimum: Option<i64>,
    maximum: Option<i64>,
    pattern: Option<Pattern>,
}

/// A pattern as the interface shows it.
#[derive(Debug, Deserialize)]
struct Pattern {
    expression: String,
    description: String,
}

/// Prints a job of this program, or of a service.
pub(super) async fn run(program: &Program, name: &str, schema: bool) -> Result<Exit, CliError> {
    let shown = match program.service()? {
        Some(service) if schema => service.parameters_schema(name).await?,
        Some(service) => service.job(name).await?,
        None => {
            let job = program.registry.get(name).ok_or_else(|| CliError::unknown_job(name, &program.registry))?;
            match schema {
                true => job.parameters_schema(),
                false => serde_json::to_value(views(program, [job]).await?.pop()).map_err(unreadable)?,
            }
        }
    };
    if schema {
        output::json(&shown)?;
        return Ok(Exit::Completed);
    }
    let job: OneJob = serde_json::from_value(shown).map_err(unreadable)?;
    output::line(heading(&job))?;
    if let Some(declared) = job.parameters.filter(|declared| !declared.is_empty()) {
        output::line("")?;
        table(&declared).print()?;
    }
    Ok(Exit::Completed)
}

fn unreadable(error: serde_json::Error) -> CliError {
    CliError::Output { source: std::io::Error::other(error) }
}

fn heading(job: &OneJob) -> String {
    let parameters = match job.parameters.as_deref() {
        None => "any",
        Some([]) => "none",
        Some(_) => "as below",
    };
    let lines = [
        ("job", output::one_line(&job.name)),
        ("description", output::one_line(&job.description)),
        ("steps", output::one_line(&job.flow.join(", "))),
        ("restartable", if job.restartable { "yes" } else { "no" }.to_owned()),
        ("priority", job.priority.to_string()),
        ("max running", job.max_running.map_or_else(|| "any".to_owned(), |limit| limit.to_string())),
        ("time limits", time_limits(job)),
        ("exit codes", exit_codes(&job.process_exit_codes)),
        ("parameters", parameters.to_owned()),
    ];
    let line = |(name, value): &(&str, String)| format!("{name:<11}  {value}").trim_end().to_owned();
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The time limits of the job, of its steps, and of those at the end.
fn time_limits(job: &OneJob) -> String {
    let of_steps = job.steps.iter().map(|step| (step.name.as_str(), step.time_limit_seconds));
    let limits = [("job", job.time_limit_seconds)]
        .into_iter()
        .chain(of_steps)
        .chain([("at the end", job.finally_time_limit_seconds)])
        .filter_map(|(name, seconds)| Some((name, Duration::try_from_secs_f64(seconds?).ok()?)))
        .map(|(name, limit)| format!("{name} {}", show_seconds(limit)));
    let limits = limits.collect::<Vec<_>>().join(", ");
    if limits.is_empty() { "none".to_owned() } else { output::one_line(&limits) }
}

/// The table by which an exit code of the job becomes that of a process.
fn exit_codes(table: &[ProcessExitCode]) -> String {
    if table.is_empty() {
        return "by status".to_owned();
    }
    let entries = table.iter().map(|ProcessExitCode { pattern, code }| format!("{pattern} {code}"));
    output::one_line(&entries.chain(["else by status".to_owned()]).collect::<Vec<_>>().join(", "))
}

fn table(declared: &[Parameter]) -> Table {
    let columns = ["PARAMETER", "TYPE", "DEFAULT", "TAKES", "IDENTIFIES", "DESCRIPTION"];
    let mut table = Table::new(columns.map(|name| (name, Align::Left)));
    for parameter in declared {
        table.row([
            parameter.name.clone(),
            parameter.r#type.clone(),
            default(parameter),
            takes(parameter),
            if parameter.identifying { "yes" } else { "no" }.to_owned(),
            parameter.description.clone(),
        ]);
    }
    table
}

/// The value of a launch that does not give one; an expression stands in brackets, as in the list of jobs.
fn default(parameter: &Parameter) -> String {
    match (&parameter.default, &parameter.default_expression) {
        (Some(value), _) => text(value),
        (None, Some(expression)) => format!("({expression})"),
        (None, None) if parameter.required => "(required)".to_owned(),
        (None, None) => String::new(),
    }
}

/// The values that it takes; empty for all of its type.
fn takes(parameter: &Parameter) -> String {
    let mut parts = Vec::new();
    if !parameter.allowed.is_empty() && !parameter.secret {
        parts.push(parameter.allowed.iter().map(text).collect::<Vec<_>>().join(" | "));
    }
    if let (Some(minimum), Some(maximum)) = (parameter.minimum, parameter.maximum) {
        parts.push(format!("{minimum} to {maximum}"));
    }
    if let Some(Pattern { expression, description }) = &parameter.pattern {
        parts.push(format!("{description}: {expression}"));
    }
    parts.join("; ")
}

/// A value as it is shown to people.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxbatch_core::{Job, ParameterDeclaration, TaskStep};
    use oxbatch_server::view::JobView;

    #[test]
    fn a_job_is_shown_with_expressions_patterns_and_no_secrets() {
        let job = Job::builder("Report")
            .restartable(false)
            .process_exit_code("*_WITH_SKIPS", 10)
            .parameter(ParameterDeclaration::date_time("day").default_expression("yesterday in Europe/Berlin"))
            .parameter(ParameterDeclaration::string("region").required().pattern("[A-Z]{2}", "a country code"))
            .parameter(ParameterDeclaration::integer("size").between(1, 500).default_value(100).description("rows"))
            .parameter(ParameterDeclaration::string("mode").allowed(["full", "delta"]).non_identifying())
            .parameter(ParameterDeclaration::string("token").secret().default_value("hush").allowed(["hush"]))
            .step(TaskStep::builder("Load", |_| Ok(())))
            .step(TaskStep::builder("Print", |_| Ok(())).time_limit(Duration::from_secs(90)))
            .time_limit(Duration::from_secs(7_200))
            .finally(TaskStep::builder("Sweep", |_| Ok(())))
            .build()
            .unwrap();
        let shown = serde_json::to_value(JobView::new(&job, Vec::new(), None)).unwrap();
        let job: OneJob = serde_json::from_value(shown).unwrap();
        assert_eq!(
            heading(&job).lines().collect::<Vec<_>>(),
            [
                "job          Report",
                "description",
                "steps        Load, Print",
                "restartable  no",
                "priority     0",
                "max running  any",
                "time limits  job 2 h 00 min, Print 1 min 30 s, at the end 5 min 00 s",
                "exit codes   *_WITH_SKIPS 10, else by status",
                "parameters   as below",
            ]
        );
        assert_eq!(
            table(&job.parameters.unwrap()).lines(),
            [
                "PARAMETER  TYPE      DEFAULT                       TAKES                     IDENTIFIES  DESCRIPTION",
                "day        DATETIME  (yesterday in Europe/Berlin)                            yes",
                "region     STRING    (required)                    a country code: [A-Z]{2}  yes",
                "size       INTEGER   100                           1 to 500                  yes         rows",
                "mode       STRING                                  full | delta              no",
                "token      STRING    ***                                                     no",
            ]
        );
    }
}
