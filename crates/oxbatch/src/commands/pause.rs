//! `pause` and `resume`: launches of a job, or all, wait until they are let go on.

use clap::Args;
use oxbatch_core::engine::OperatorError;
use oxbatch_core::repository::Missing;
use oxbatch_server::view::LaunchPauseView;
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::remote::encode;
use crate::table::{Align, Table};

/// Arguments of `pause`.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// The job; without it and --all, the pauses are listed
    #[arg(conflicts_with = "all", requires = "reason")]
    job: Option<String>,
    /// Pause the launches of all jobs
    #[arg(long, requires = "reason")]
    all: bool,
    /// The reason, for those who find it paused
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Arguments of `resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The job
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    job: Option<String>,
    /// End the pause of all jobs
    #[arg(long)]
    all: bool,
}

/// Runs `pause`.
pub(crate) async fn pause(program: &Program, arguments: PauseArgs) -> Result<Exit, CliError> {
    let PauseArgs { job, all, reason } = arguments;
    let Some(reason) = reason.filter(|_| all || job.is_some()) else { return list(program).await };
    program.trail.about("pause_launches", what(job.as_deref()));
    let pause = match program.connection(Access::Write).await? {
        Connection::Database(operator) => {
            let pause = operator.pause_launches(job.as_deref(), &reason).await;
            LaunchPauseView::from(pause.map_err(|error| program.explain(error))?)
        }
        Connection::Service(service) => {
            let (path, name) = (path(job.as_deref(), "pause"), job.as_deref().unwrap_or_default());
            read(service.change_named(&path, Some(json!({ "reason": reason })), Missing::Job, name).await?)?
        }
    };
    let what = what(pause.job.as_deref());
    output::line(output::one_line(&format!("{what} are accepted, and wait until 'resume': {}", pause.reason)))?;
    Ok(Exit::Completed)
}

/// Runs `resume`.
pub(crate) async fn resume(program: &Program, arguments: ResumeArgs) -> Result<Exit, CliError> {
    let ResumeArgs { job, .. } = arguments;
    program.trail.about("resume_launches", what(job.as_deref()));
    match program.connection(Access::Write).await? {
        Connection::Database(operator) => operator.resume_launches(job.as_deref()).await?,
        Connection::Service(service) => {
            let (path, name) = (path(job.as_deref(), "resume"), job.as_deref().unwrap_or_default());
            service.change_named(&path, None, Missing::Job, name).await?;
        }
    }
    output::line(output::one_line(&format!("{} go on", what(job.as_deref()))))?;
    Ok(Exit::Completed)
}

async fn list(program: &Program) -> Result<Exit, CliError> {
    let pauses: Vec<LaunchPauseView> = match program.connection(Access::Read).await? {
        Connection::Database(operator) => {
            let pauses = operator.repository().launch_pauses().await.map_err(OperatorError::from)?;
            pauses.into_iter().map(Into::into).collect()
        }
        Connection::Service(service) => {
            let (shown, _) = service.read_list("/launches/pauses").await?;
            shown.into_iter().map(read).collect::<Result<_, _>>()?
        }
    };
    let mut table = Table::new(["JOB", "SINCE", "REASON"].map(|name| (name, Align::Left)));
    for pause in pauses {
        table.row([pause.job.unwrap_or_else(|| "(all)".to_owned()), pause.since, pause.reason]);
    }
    table.print()?;
    Ok(Exit::Completed)
}

fn what(job: Option<&str>) -> String {
    job.map_or_else(|| "all launches".to_owned(), |job| format!("launches of job '{job}'"))
}

fn path(job: Option<&str>, action: &str) -> String {
    match job {
        Some(job) => format!("/jobs/{}/launches/{action}", encode(job)),
        None => format!("/launches/{action}"),
    }
}

fn read(value: Value) -> Result<LaunchPauseView, CliError> {
    serde_json::from_value(value).map_err(|error| CliError::Output { source: std::io::Error::other(error) })
}
