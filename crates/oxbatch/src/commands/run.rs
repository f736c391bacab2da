//! `run`: a job in the foreground.

use clap::Args;
use oxbatch_core::engine::{LaunchOptions, MAX_PREVIEW_ITEMS, OperatorError, PreviewOptions};
use oxbatch_core::job::{MAX_PRIORITY, MIN_PRIORITY};

use super::{foreground, preview};
use crate::database::{self, Access};
use crate::error::CliError;
use crate::exit::Exit;
use crate::parameters::given;
use crate::program::Program;
use crate::trace_parent::trace_parent;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Name of the job
    job: String,
    /// Parameters of the launch; numbers (as JSON writes them) and dates are detected where the job declares no type.
    /// KEY:string=VALUE says the type: string, integer, float or datetime
    #[arg(value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// Run every step from its start, also those that are complete
    #[arg(long)]
    force: bool,
    /// Launch a new run: an instance of its own, with the parameter `run`, one more than the greatest of the job's
    #[arg(long)]
    new: bool,
    /// Go on also where the definition of the job has changed in what the past of the instance depends on
    #[arg(long)]
    accept_changes: bool,
    /// Rank in the queue, from -1000 to 1000, should the process die and a service go on with it
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(i64::from(MIN_PRIORITY)..=i64::from(MAX_PRIORITY)))]
    priority: Option<i32>,
    /// Show what becomes of the first N items of the job, from 1 to 500; write and store nothing
    #[arg(long, value_name = "N", conflicts_with_all = ["force", "new", "accept_changes", "priority"], value_parser = clap::value_parser!(u16).range(1..=MAX_PREVIEW_ITEMS as i64))]
    preview: Option<u16>,
    /// The step to preview; the first chunk step when it is not named
    #[arg(long, value_name = "NAME", requires = "preview")]
    step: Option<String>,
    /// Print the execution and its steps, or the preview, as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: RunArgs) -> Result<Exit, CliError> {
    let RunArgs { job: name, parameters, force, new: new_run, accept_changes, priority, preview, step, json } =
        arguments;
    let given = given(&parameters)?;
    // Both are checked before a database is created for nothing.
    let unknown = || program.explain(OperatorError::UnknownJob { name: name.clone() });
    let job = program.registry.get(&name).ok_or_else(unknown)?;
    let now = jiff::Timestamp::now();
    let resolved = if new_run { job.resolve_new_run(given.clone(), now) } else { job.resolve(given.clone(), now) };
    resolved.map_err(OperatorError::Parameters)?;
    if let Some(items) = preview {
        let options = PreviewOptions { step, items: items.into(), ..PreviewOptions::default() };
        return preview::run(program, job, given, options, json).await;
    }
    let repository = database::open_or_create(program.database()?, Access::Write).await?;
    program.trail.about("run_job", format!("job {name}"));
    program.trail.begin(&repository).await?;
    foreground::run(program, repository, json, async |engine| {
        // Nothing stands in the way of an instance that is yet to be.
        if !new_run {
            engine.clear_the_way(&name, given.clone()).await?;
        }
        let trace_parent = trace_parent();
        let options =
            LaunchOptions { force, new_run, priority, accept_changes, trace_parent, ..LaunchOptions::default() };
        engine.launch_here(&name, given, options).await
    })
    .await
}
