//! `instances`: the list of job instances, newest first, or their number.

use clap::Args;
use oxbatch_core::engine::Operator;
use oxbatch_core::execution::JobInstance;
use oxbatch_core::repository::{InstanceFilter, PageRequest};
use oxbatch_server::view::{InstanceCountView, InstanceView};

use super::{before, remark_next};
use crate::connection::Connection;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::remote::{InstanceRow, Query, RemoteService};
use crate::table::{Align, Table, shorten};
use crate::view::typed;

/// Longest text of parameters in a row.
const MAX_PARAMETERS: usize = 40;

/// Arguments of `instances`.
#[derive(Debug, Args)]
pub(crate) struct InstancesArgs {
    /// Only of this job
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Most rows
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Continue with the next page; the page before prints this value
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Print the number of instances instead of a list
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    count: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: InstancesArgs) -> Result<Exit, CliError> {
    let connection = program.connection(Access::Read).await?;
    if arguments.count {
        return count(program, &connection, arguments).await;
    }
    match connection {
        Connection::Database(operator) => in_database(program, &operator, arguments).await,
        Connection::Service(service) => at_service(&service, arguments).await,
    }
}

/// Prints the number of instances.
async fn count(program: &Program, connection: &Connection, arguments: InstancesArgs) -> Result<Exit, CliError> {
    let InstancesArgs { job, json, .. } = arguments;
    let count = match connection {
        Connection::Database(operator) => {
            if let Some(name) = &job {
                operator.check_job_name(name).await.map_err(|error| program.explain(error))?;
            }
            operator.repository().instance_count(InstanceFilter { job_name: job }).await?
        }
        Connection::Service(service) => service.instance_count(job.as_deref()).await?,
    };
    match json {
        true => output::json(&InstanceCountView::new(count))?,
        false => output::line(count)?,
    }
    Ok(Exit::Completed)
}

async fn in_database(program: &Program, operator: &Operator, arguments: InstancesArgs) -> Result<Exit, CliError> {
    let InstancesArgs { job, limit, cursor, json, .. } = arguments;
    if let Some(name) = &job {
        operator.check_job_name(name).await.map_err(|error| program.explain(error))?;
    }
    let page = PageRequest { before: before(cursor.as_deref())?, limit };
    let page = operator.repository().instances(InstanceFilter { job_name: job }, page).await?;
    let ids = page.instances.iter().map(|instance| instance.id).collect();
    let last = operator.repository().newest_executions(ids).await?;
    if json {
        output::json(&InstanceView::listed(page.instances, &last))?;
    } else {
        let row = |instance: JobInstance| {
            let last = last.iter().find(|last| last.instance_id == instance.id);
            let status = last.map(|last| last.status.to_string()).unwrap_or_default();
            InstanceRow { instance, status, parameters: last.map(|last| typed(&last.parameters)).unwrap_or_default() }
        };
        table(page.instances.into_iter().map(row)).print()?;
    }
    remark_next(page.next);
    Ok(Exit::Completed)
}

async fn at_service(service: &RemoteService, arguments: InstancesArgs) -> Result<Exit, CliError> {
    let InstancesArgs { job, limit, cursor, json, .. } = arguments;
    let query = Query::default().with("limit", Some(limit)).with("cursor", cursor);
    let page = service.instances(job.as_deref(), query).await?;
    if json {
        output::json(&page.shown)?;
    } else {
        table(page.items).print()?;
    }
    remark_next(page.next);
    Ok(Exit::Completed)
}

fn table(rows: impl IntoIterator<Item = InstanceRow>) -> Table {
    let left = ["JOB", "LAST", "CREATED", "PARAMETERS", "KEY"].map(|name| (name, Align::Left));
    let mut table = Table::new([("ID", Align::Right)].into_iter().chain(left));
    for InstanceRow { instance, status, parameters } in rows {
        table.row([
            instance.id.to_string(),
            instance.job_name,
            status,
            format!("{:.0}", instance.create_time),
            shorten(&parameters, MAX_PARAMETERS),
            instance.job_key,
        ]);
    }
    table
}
