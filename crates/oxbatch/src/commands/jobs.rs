//! `jobs`: what can be run.

use clap::Args;
use oxbatch_core::Job;
use oxbatch_core::repository::JobSummary;
use oxbatch_server::view::JobView;

use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::program::Program;
use crate::table::{Align, Table};
use crate::{database, output, view};

/// Arguments of `jobs`.
#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// Print JSON, with the last execution of each job and its counts by status
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: JobsArgs) -> Result<Exit, CliError> {
    if arguments.json {
        output::json(&views(program).await?)?;
        return Ok(Exit::Completed);
    }
    let columns = ["JOB", "STEPS", "PARAMETERS", "DESCRIPTION"];
    let mut table = Table::new(columns.map(|name| (name, Align::Left)));
    for job in program.registry.iter() {
        let steps: Vec<_> = job.steps().iter().map(oxbatch_core::Step::name).collect();
        table.row([job.name().to_owned(), steps.join(", "), parameters(job), job.description().to_owned()]);
    }
    table.print()?;
    Ok(Exit::Completed)
}

/// `name=default` for each, `name (required)` for those that must be given.
fn parameters(job: &Job) -> String {
    let Some(declared) = job.parameters() else { return "any".to_owned() };
    let shown = declared.iter().map(|declaration| match declaration.default_or_none() {
        Some(value) if !declaration.is_secret() => format!("{}={value}", declaration.name()),
        None if declaration.is_required() => format!("{} (required)", declaration.name()),
        _ => declaration.name().to_owned(),
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// How the jobs fared is only told where there is a database: a list creates none.
async fn views(program: &Program) -> Result<Vec<JobView>, CliError> {
    let repository = database::open_if_there(program.database()?, Access::Read).await?;
    let mut jobs = Vec::new();
    for job in program.registry.iter() {
        let (mut summary, mut last) = (JobSummary::default(), None);
        if let Some(repository) = &repository {
            summary = repository.job_summary(job.name()).await?;
            let newest = summary.last_execution.take().into_iter().collect();
            last = view::executions(repository.as_ref(), &program.registry, newest).await?.pop();
        }
        jobs.push(JobView::new(job, summary.counts, last));
    }
    Ok(jobs)
}
