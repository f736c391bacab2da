//! `executions`: the list of executions, newest first.

use clap::Args;
use oxbatch_core::engine::Operator;
use oxbatch_core::execution::{InstanceId, UnknownStatus};
use oxbatch_core::repository::{ExecutionFilter, PageRequest, ParameterMatch};
use oxbatch_core::{DateTime, JobExecution, Status};

use super::{before, remark_next};
use crate::connection::Connection;
use crate::database::Access;
use crate::duration::show_seconds;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::remote::{Query, RemoteService};
use crate::table::{Align, Table, shorten};
use crate::view;

/// Longest list of parameters in a row.
const MAX_PARAMETERS: usize = 60;

/// Arguments of `executions`.
#[derive(Debug, Args)]
pub(crate) struct ExecutionsArgs {
    /// Only of this job
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Only with this status; can be repeated
    #[arg(long, value_parser = parse_status)]
    status: Vec<Status>,
    /// Only created at or after this date or time
    #[arg(long, value_name = "TIME", value_parser = DateTime::parse)]
    from: Option<DateTime>,
    /// Only created before this date or time
    #[arg(long, value_name = "TIME", value_parser = DateTime::parse)]
    to: Option<DateTime>,
    /// Only of this instance
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(i64).range(1..))]
    instance: Option<i64>,
    /// Only of instances with this parameter; can be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    parameter: Vec<ParameterMatch>,
    /// Only with this text in the name of the job or in the exit message
    #[arg(long)]
    text: Option<String>,
    /// Most rows
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Continue with the next page; the page before prints this value
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Reads a status in any case.
pub(super) fn parse_status(text: &str) -> Result<Status, UnknownStatus> {
    text.to_ascii_uppercase().parse().map_err(|_: UnknownStatus| UnknownStatus { text: text.to_owned() })
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: ExecutionsArgs) -> Result<Exit, CliError> {
    match program.connection(Access::Read).await? {
        Connection::Database(operator) => in_database(program, &operator, arguments).await,
        Connection::Service(service) => at_service(&service, arguments).await,
    }
}

async fn in_database(program: &Program, operator: &Operator, arguments: ExecutionsArgs) -> Result<Exit, CliError> {
    let ExecutionsArgs { job, status, from, to, instance, parameter, text, limit, cursor, json } = arguments;
    let repository = operator.repository();
    if let Some(name) = &job {
        operator.check_job_name(name).await.map_err(|error| program.explain(error))?;
    }
    let filter = ExecutionFilter {
        job_name: job,
        statuses: status,
        from: from.map(DateTime::saturating_instant),
        to: to.map(DateTime::saturating_instant),
        instance_id: instance.map(InstanceId),
        ids: Vec::new(),
        parameters: parameter,
        text,
    };
    let mut at = PageRequest { before: before(cursor.as_deref())?, limit };
    let mut page = repository.executions(filter.clone(), at).await?;
    // A page of a search may be empty although there are more.
    while page.executions.is_empty() && page.next.is_some() {
        at.before = page.next;
        page = repository.executions(filter.clone(), at).await?;
    }
    if json {
        output::json(&view::executions(repository.as_ref(), &program.registry, page.executions).await?)?;
    } else {
        table(&page.executions).print()?;
    }
    remark_next(page.next);
    Ok(Exit::Completed)
}

async fn at_service(service: &RemoteService, arguments: ExecutionsArgs) -> Result<Exit, CliError> {
    let ExecutionsArgs { job, status, from, to, instance, parameter, text, limit, mut cursor, json } = arguments;
    let query = || {
        let query = Query::default().with("from", from).with("to", to).with("instance", instance);
        let query = status.iter().fold(query, |query, status| query.with("status", Some(status)));
        let pair = |it: &ParameterMatch| format!("{}={}", it.name, it.value);
        let query = parameter.iter().fold(query, |query, it| query.with("parameter", Some(pair(it))));
        query.with("text", text.as_deref()).with("limit", Some(limit))
    };
    let page = loop {
        let page = service.executions(job.as_deref(), query().with("cursor", cursor)).await?;
        // A page of a search may be empty although there are more.
        if !page.items.is_empty() || page.next.is_none() {
            break page;
        }
        cursor = page.next;
    };
    if json {
        output::json(&page.shown)?;
    } else {
        table(&page.items).print()?;
    }
    remark_next(page.next);
    Ok(Exit::Completed)
}

fn table(executions: &[JobExecution]) -> Table {
    let left = ["JOB", "STATUS", "CREATED"].map(|name| (name, Align::Left));
    let mut table = Table::new(
        [("ID", Align::Right)].into_iter().chain(left).chain([("TOOK", Align::Right), ("PARAMETERS", Align::Left)]),
    );
    for execution in executions {
        table.row([
            execution.id.to_string(),
            execution.job_name.clone(),
            execution.status.to_string(),
            format!("{:.0}", execution.create_time),
            took(execution),
            shorten(&view::typed(&execution.parameters), MAX_PARAMETERS),
        ]);
    }
    table
}

/// The time that it ran, or has been running.
pub(super) fn took(execution: &JobExecution) -> String {
    let Some(start) = execution.start_time else { return "-".to_owned() };
    let end = execution.end_time.unwrap_or_else(jiff::Timestamp::now);
    show_seconds(end.duration_since(start).try_into().unwrap_or_default())
}
