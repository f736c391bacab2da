//! `backfill`: the fires of a range of days, launched once more or at last; planned first, watched, cancelled.

use clap::Args;
use oxbatch_core::repository::BackfillId;
use oxbatch_server::view::{BackfillInput, BackfillPlanView, BackfillView};
use serde_json::Value;

use crate::connection::Connection;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::remote::or_missing;
use crate::table::{Align, Table};
use oxbatch_core::repository::Missing;

/// Arguments of `backfill`.
#[derive(Debug, Args)]
pub(crate) struct BackfillArgs {
    /// The job; without one, the backfills are listed
    #[arg(requires = "from", requires = "to")]
    job: Option<String>,
    /// First calendar day in the zone of the schedule, such as 2026-01-01
    #[arg(long, value_name = "DAY", requires = "job")]
    from: Option<String>,
    /// Last calendar day
    #[arg(long, value_name = "DAY", requires = "job")]
    to: Option<String>,
    /// Its schedule, where it has several
    #[arg(long, value_name = "NAME", requires = "job")]
    schedule: Option<String>,
    /// The fires that are launched: missing, failed or all
    #[arg(long, value_name = "WHICH", requires = "job")]
    which: Option<String>,
    /// Executions of it that run at once
    #[arg(long, value_name = "N", requires = "job")]
    max_running: Option<u32>,
    /// Launch the newest fire first
    #[arg(long, requires = "job")]
    newest_first: bool,
    /// Show the plan, and write nothing
    #[arg(long, requires = "job")]
    dry_run: bool,
    /// Show a backfill and its progress
    #[arg(long, value_name = "ID", conflicts_with = "job")]
    show: Option<i64>,
    /// Cancel what a backfill has not launched yet
    #[arg(long, value_name = "ID", conflicts_with_all = ["job", "show"])]
    cancel: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: BackfillArgs) -> Result<Exit, CliError> {
    let json = arguments.json;
    let access = if arguments.dry_run { Access::Read } else { Access::Write };
    match (&arguments.job, arguments.cancel) {
        (Some(job), _) if !arguments.dry_run => program.trail.about("start_backfill", format!("job {job}")),
        (None, Some(id)) => program.trail.about("cancel_backfill", format!("backfill {id}")),
        _ => {}
    }
    let connection = program.connection(access).await?;
    let Some(job) = arguments.job.clone() else {
        let found = match (arguments.show, arguments.cancel) {
            (None, None) => list(&connection).await?,
            (_, Some(id)) => vec![cancel(&connection, id).await?],
            (Some(id), None) => vec![show(&connection, id).await?],
        };
        if json {
            output::json(&found)?
        } else {
            table(&found).print()?
        }
        return Ok(Exit::Completed);
    };
    let input = BackfillInput {
        job,
        schedule: arguments.schedule,
        from: arguments.from.unwrap_or_default(),
        to: arguments.to.unwrap_or_default(),
        which: arguments.which,
        max_running: arguments.max_running,
        newest_first: arguments.newest_first,
    };
    if arguments.dry_run {
        let plan = plan(&connection, &input).await?;
        if json { output::json(&plan)? } else { plan_table(&plan)? }
    } else {
        let begun = start(&connection, &input).await?;
        if json { output::json(&begun)? } else { table(&[begun]).print()? }
    }
    Ok(Exit::Completed)
}

fn value(view: impl serde::Serialize) -> Result<Value, CliError> {
    serde_json::to_value(view).map_err(|error| CliError::Output { source: std::io::Error::other(error) })
}

async fn list(connection: &Connection) -> Result<Vec<Value>, CliError> {
    match connection {
        Connection::Database(operator) => {
            operator.scheduler().backfills().await?.into_iter().map(|it| value(BackfillView::from(it))).collect()
        }
        Connection::Service(service) => Ok(service.read_list("/backfills").await?.0),
    }
}

async fn show(connection: &Connection, id: i64) -> Result<Value, CliError> {
    match connection {
        Connection::Database(operator) => {
            value(BackfillView::from(operator.scheduler().backfill(BackfillId(id)).await?))
        }
        Connection::Service(service) => {
            Ok(service.read_named(&format!("/backfills/{id}"), Missing::Backfill, &id.to_string()).await?)
        }
    }
}

async fn cancel(connection: &Connection, id: i64) -> Result<Value, CliError> {
    match connection {
        Connection::Database(operator) => {
            value(BackfillView::from(operator.scheduler().cancel_backfill(BackfillId(id)).await?))
        }
        Connection::Service(service) => {
            let path = format!("/backfills/{id}/cancel");
            Ok(service.change_named(&path, None, Missing::Backfill, &id.to_string()).await?)
        }
    }
}

async fn plan(connection: &Connection, input: &BackfillInput) -> Result<Value, CliError> {
    match connection {
        Connection::Database(operator) => {
            let request = input.request().map_err(|problem| CliError::Schedule { problem })?;
            value(BackfillPlanView::from(operator.scheduler().plan_backfill(&request).await?))
        }
        Connection::Service(service) => {
            let answer = service.change_named("/backfills/plan", Some(value(input)?), Missing::Job, &input.job).await;
            let schedule = input.schedule.as_deref().unwrap_or_default();
            Ok(or_missing(answer, Missing::Schedule, format_args!("'{schedule}'"))?)
        }
    }
}

async fn start(connection: &Connection, input: &BackfillInput) -> Result<Value, CliError> {
    match connection {
        Connection::Database(operator) => {
            let request = input.request().map_err(|problem| CliError::Schedule { problem })?;
            value(BackfillView::from(operator.scheduler().start_backfill(&request).await?))
        }
        Connection::Service(service) => {
            let answer = service.change_named("/backfills", Some(value(input)?), Missing::Job, &input.job).await;
            let schedule = input.schedule.as_deref().unwrap_or_default();
            Ok(or_missing(answer, Missing::Schedule, format_args!("'{schedule}'"))?)
        }
    }
}

fn text(value: &Value, field: &str) -> String {
    match &value[field] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn table(backfills: &[Value]) -> Table {
    let (left, right) = (|name| (name, Align::Left), |name| (name, Align::Right));
    let mut table = Table::new([
        right("ID"),
        left("JOB"),
        left("FROM"),
        left("TO"),
        left("WHICH"),
        left("STATE"),
        right("FIRES"),
        right("PLANNED"),
        right("RUNNING"),
        right("COMPLETE"),
        right("FAILED"),
    ]);
    for backfill in backfills {
        let fields =
            ["id", "job_name", "from", "to", "which", "state", "fires", "planned", "running", "complete", "failed"];
        table.row(fields.map(|field| text(backfill, field)));
    }
    table
}

fn plan_table(plan: &Value) -> Result<(), CliError> {
    let mut table = Table::new(["INSTANT", "STANDING", "LAUNCHES"].map(|name| (name, Align::Left)));
    for fire in plan["fires"].as_array().into_iter().flatten() {
        let launches = if fire["launches"] == true { "yes" } else { "no" };
        table.row([text(fire, "instant"), text(fire, "standing"), launches.to_owned()]);
    }
    table.print()?;
    let (launches, schedule) = (text(plan, "launches"), text(plan, "schedule"));
    output::line(output::one_line(&format!("{launches} fires of schedule {schedule} would be launched; nothing was")))
}
