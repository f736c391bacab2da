//! `schedules`: jobs that are launched by themselves, their fires, their pauses; in the database or over HTTP.

mod add;
mod ask;
mod shown;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use oxbatch_core::repository::{FireOutcome, PauseScope};

use self::ask::Asked;
use crate::connection::Connection;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;

/// Arguments of `schedules`.
#[derive(Debug, Args)]
pub(crate) struct SchedulesArgs {
    #[command(subcommand)]
    command: Option<SchedulesCommand>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

/// The work on schedules; without a word they are listed.
#[derive(Debug, Subcommand)]
enum SchedulesCommand {
    /// List the schedules (the default)
    List,
    /// Show a schedule, what comes next, and the next changes of the clock
    Next {
        /// Name of the schedule
        name: String,
        /// Number of next fires
        #[arg(default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=500))]
        count: u16,
    },
    /// Add a schedule to a job, or change one that was added
    Add(Box<add::AddArgs>),
    /// Remove a schedule that was added; its fires stay
    Remove {
        /// Name of the schedule
        name: String,
    },
    /// Pause a schedule, those of a job, or all: what they leave out is no outage
    Pause {
        #[command(flatten)]
        range: Range,
        /// The reason, for those who find it paused
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// End of the pause, such as 2026-12-24T08:00:00Z; without it, until it is resumed
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
    },
    /// Let what is paused go on from now
    Resume {
        #[command(flatten)]
        range: Range,
    },
    /// Launch the job of a schedule now, or a fire that was left out by its id
    Run {
        /// Name of the schedule
        #[arg(required_unless_present = "fire", conflicts_with = "fire")]
        name: Option<String>,
        /// Id of a fire that was missed, left out or refused, or that waits
        #[arg(long, value_name = "ID")]
        fire: Option<i64>,
    },
    /// List fires, those that were recorded last first
    Fires {
        /// Name of the schedule; without it, of all
        name: Option<String>,
        /// Only with this outcome, such as MISSED
        #[arg(long)]
        outcome: Option<FireOutcome>,
        #[command(flatten)]
        page: Page,
    },
    /// List the fires that were missed and not made up for
    Missed {
        /// Name of the schedule; without it, of all
        name: Option<String>,
        #[command(flatten)]
        page: Page,
    },
}

/// The range of a pause.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Range {
    /// Name of the schedule
    name: Option<String>,
    /// All schedules of this job
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// All schedules
    #[arg(long)]
    all: bool,
}

impl Range {
    fn scope(self) -> (PauseScope, String) {
        match (self.name, self.job) {
            (Some(name), _) => (PauseScope::Schedule, name),
            (None, Some(job)) => (PauseScope::Job, job),
            (None, None) => (PauseScope::All, String::new()),
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, Args)]
struct Page {
    /// Most rows
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// The next page of an earlier list
    #[arg(long)]
    cursor: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: SchedulesArgs) -> Result<Exit, CliError> {
    let SchedulesArgs { command, json } = arguments;
    match command.unwrap_or(SchedulesCommand::List) {
        SchedulesCommand::List => {
            let schedules = asked(program, Access::Read).await?.list().await?;
            if json { output::json(&schedules)? } else { shown::schedules(&schedules)?.print()? }
        }
        SchedulesCommand::Next { name, count } => {
            let schedule = asked(program, Access::Read).await?.get(&name, count).await?;
            if json { output::json(&schedule)? } else { shown::schedule(&schedule)? }
        }
        SchedulesCommand::Add(arguments) => {
            program.trail.about("add_schedule", arguments.subject());
            let input = arguments.input()?;
            let schedule = asked(program, Access::Write).await?.add(&input).await?;
            if json { output::json(&schedule)? } else { shown::schedule(&schedule)? }
        }
        SchedulesCommand::Remove { name } => {
            program.trail.about("remove_schedule", format!("schedule {name}"));
            asked(program, Access::Write).await?.remove(&name).await?;
            output::line(format!("schedule {name} is removed"))?;
        }
        SchedulesCommand::Pause { range, reason, until } => {
            let (scope, name) = range.scope();
            program.trail.about("pause_schedules", format!("{} {name}", scope.as_str()));
            let pause = asked(program, Access::Write).await?.pause(scope, &name, &reason, until).await?;
            if json { output::json(&pause)? } else { shown::pause(&pause)? }
        }
        SchedulesCommand::Resume { range } => {
            let (scope, name) = range.scope();
            program.trail.about("resume_schedules", format!("{} {name}", scope.as_str()));
            asked(program, Access::Write).await?.resume(scope, &name).await?;
            output::line(format!("{} from now", shown::goes_on(scope, &name)))?;
        }
        SchedulesCommand::Run { name, fire } => {
            let object = match (&name, fire) {
                (Some(name), _) => format!("schedule {name}"),
                (None, id) => format!("fire {}", id.unwrap_or_default()),
            };
            program.trail.about("run_schedule", object);
            let asked = asked(program, Access::Write).await?;
            let fire = match (name, fire) {
                (Some(name), _) => asked.run_now(&name).await?,
                (None, id) => asked.run_fire(id.unwrap_or_default()).await?,
            };
            if json {
                output::json(&fire)?
            } else {
                shown::fires(std::slice::from_ref(&fire))?.print()?
            }
            return Ok(if fire["outcome"] == "LAUNCHED" { Exit::Completed } else { Exit::Refused });
        }
        SchedulesCommand::Fires { name, outcome, page } => fires(program, name, outcome, page, json).await?,
        SchedulesCommand::Missed { name, page } => {
            fires(program, name, Some(FireOutcome::Missed), page, json).await?;
        }
    }
    Ok(Exit::Completed)
}

async fn fires(
    program: &Program,
    name: Option<String>,
    outcome: Option<FireOutcome>,
    page: Page,
    json: bool,
) -> Result<(), CliError> {
    let asked = asked(program, Access::Read).await?;
    let (fires, next) = asked.fires(name.as_deref(), outcome, page.limit, page.cursor.as_deref()).await?;
    if json {
        output::json(&fires)?
    } else {
        shown::fires(&fires)?.print()?
    }
    super::remark_next(next);
    Ok(())
}

async fn asked(program: &Program, access: Access) -> Result<Asked, CliError> {
    Ok(match program.connection(access).await? {
        Connection::Database(operator) => Asked::Database(operator.scheduler()),
        Connection::Service(service) => Asked::Service(service),
    })
}
