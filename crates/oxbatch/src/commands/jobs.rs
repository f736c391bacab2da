//! `jobs`: the jobs of this program or of a service, or one of them in full.

mod one;

use std::collections::BTreeMap;

use clap::Args;
use oxbatch_core::repository::StatusCounts;
use oxbatch_core::{Job, ParameterDeclaration};
use oxbatch_server::view::JobView;

use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::program::Program;
use crate::remote::{JobRow, ParameterRow};
use crate::table::{Align, Table};
use crate::{database, output, view};

/// Arguments of `jobs`.
#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// Show this job alone, with the defaults, patterns and ranges of its parameters
    name: Option<String>,
    /// Print the flow of the job as a Mermaid flow chart
    #[arg(long, requires = "name", conflicts_with = "json")]
    graph: bool,
    /// Print JSON, with the last execution of each job and its counts by status
    #[arg(long)]
    json: bool,
    /// Print the JSON Schema of the parameters of the job
    #[arg(long, requires = "name", conflicts_with_all = ["graph", "json"])]
    schema: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: JobsArgs) -> Result<Exit, CliError> {
    if let (Some(name), false, false) = (&arguments.name, arguments.json, arguments.graph) {
        return one::run(program, name, arguments.schema).await;
    }
    let only = |name: &str| arguments.name.as_deref().is_none_or(|only| only == name);
    if let Some(service) = program.service()? {
        if let (Some(name), true) = (&arguments.name, arguments.graph) {
            output::line(service.graph(name).await?.trim_end())?;
            return Ok(Exit::Completed);
        }
        let mut jobs = service.jobs().await?;
        if let Some(name) = &arguments.name {
            let kept: Vec<bool> = jobs.items.iter().map(|job| only(&job.name)).collect();
            if !kept.contains(&true) {
                return Err(CliError::UnknownJob {
                    name: name.clone(),
                    known: jobs.items.into_iter().map(|job| job.name).collect(),
                });
            }
            let mut keep = kept.iter();
            jobs.shown.retain(|_| keep.next().is_some_and(|kept| *kept));
            jobs.items.retain(|job| only(&job.name));
        }
        if arguments.json {
            output::json(&jobs.shown)?;
        } else {
            table(jobs.items).print()?;
        }
        return Ok(Exit::Completed);
    }
    if let Some(name) = &arguments.name {
        let job = program.registry.get(name).ok_or_else(|| CliError::unknown_job(name, &program.registry))?;
        if arguments.graph {
            output::line(job.flow().to_mermaid(&BTreeMap::new()).trim_end())?;
            return Ok(Exit::Completed);
        }
    }
    if arguments.json {
        output::json(&views(program, program.registry.iter().filter(|job| only(job.name()))).await?)?;
    } else {
        table(program.registry.iter().filter(|job| only(job.name())).map(row)).print()?;
    }
    Ok(Exit::Completed)
}

fn table(jobs: impl IntoIterator<Item = JobRow>) -> Table {
    let columns = ["JOB", "STEPS", "PARAMETERS", "DESCRIPTION"];
    let mut table = Table::new(columns.map(|name| (name, Align::Left)));
    for JobRow { name, description, steps, parameters } in jobs {
        table.row([name, steps.join(", "), shown(parameters), description]);
    }
    table
}

fn row(job: &Job) -> JobRow {
    let parameter = |declaration: &ParameterDeclaration| ParameterRow {
        name: declaration.name().to_owned(),
        is_required: declaration.is_required(),
        default: match declaration.default_expression_or_none() {
            Some(expression) => Some(format!("({expression})")),
            None => declaration.default_or_none().filter(|_| !declaration.is_secret()).map(ToString::to_string),
        },
    };
    JobRow {
        name: job.name().to_owned(),
        description: job.description().to_owned(),
        steps: job.steps().iter().map(|step| step.name().to_owned()).collect(),
        parameters: job.parameters().map(|declared| declared.iter().map(parameter).collect()),
    }
}

/// `name=default` for each, `name=(expression)` for defaults of the moment, `name (required)` for those that must be
/// given.
fn shown(parameters: Option<Vec<ParameterRow>>) -> String {
    let Some(declared) = parameters else { return "any".to_owned() };
    let shown = declared.into_iter().map(|ParameterRow { name, is_required, default }| match default {
        Some(value) => format!("{name}={value}"),
        None if is_required => format!("{name} (required)"),
        None => name,
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// The jobs with their history, where there is a database: a list creates none.
async fn views<'a>(program: &Program, jobs: impl IntoIterator<Item = &'a Job>) -> Result<Vec<JobView>, CliError> {
    let repository = database::open_if_there(program.database()?, Access::Read).await?;
    let mut views = Vec::new();
    for job in jobs {
        let (mut counts, mut last) = (StatusCounts::default(), None);
        if let Some(repository) = &repository {
            counts = repository.job_counts(job.name()).await?;
            let newest = repository.newest_of_job(job.name()).await?.into_iter().collect();
            last = view::executions(repository.as_ref(), &program.registry, newest).await?.pop();
        }
        views.push(JobView::new(job, counts, last));
    }
    Ok(views)
}
