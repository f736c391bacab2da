//! `restart`, `stop` and `abandon` with `--where`: one action on all executions that a filter finds.

use std::time::Duration;

use clap::Args;
use oxbatch_core::engine::Operator;
use oxbatch_core::repository::{BulkAction, BulkId, BulkState, Missing};
use oxbatch_server::view::{BulkFilterView, BulkInput, BulkPlanView, BulkView};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::connection::Connection;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::remote::RemoteService;

/// Time between two looks at bulk work that a service does.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Arguments of an action on many executions.
#[derive(Debug, Args)]
pub(super) struct WhereArgs {
    /// All executions that fit, instead of one: status=FAILED,job=NAME,from=TIME,to=TIME,instance=ID,id=ID,
    /// parameter=NAME=VALUE,text=TEXT; status, id and parameter can be repeated. Without --yes they are only counted
    #[arg(long = "where", value_name = "FILTER", value_parser = parse_where, conflicts_with = "id")]
    pub(super) filter: Option<BulkFilterView>,
    /// With --where: do it
    #[arg(long, requires = "filter")]
    yes: bool,
}

fn parse_where(text: &str) -> Result<BulkFilterView, String> {
    let mut filter = BulkFilterView::default();
    for part in text.split(',') {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("'{part}' is no condition such as job=NAME"))?;
        let (name, value) = (name.trim(), value.trim().to_owned());
        let is_new = match name {
            "status" => {
                filter.status.push(value);
                true
            }
            "job" => filter.job.replace(value).is_none(),
            "from" => filter.from.replace(value).is_none(),
            "to" => filter.to.replace(value).is_none(),
            "instance" => {
                let id = value.parse::<i64>().ok().filter(|id| *id >= 1);
                filter.instance.replace(id.ok_or_else(|| format!("'{value}' is no id of an instance"))?).is_none()
            }
            "id" => {
                let id = value.parse::<i64>().ok().filter(|id| *id >= 1);
                filter.ids.push(id.ok_or_else(|| format!("'{value}' is no id of an execution"))?);
                true
            }
            "parameter" => {
                filter.parameter.push(value);
                true
            }
            "text" => filter.text.replace(value).is_none(),
            _ => return Err(format!("'{name}' is none of status, job, from, to, instance, id, parameter, text")),
        };
        if !is_new {
            return Err(format!("'{name}' is given twice"));
        }
    }
    filter.filter()?;
    Ok(filter)
}

/// Counts the executions, and with `--yes` acts on them, to the end.
pub(super) async fn run(
    program: &Program,
    action: BulkAction,
    filter: BulkFilterView,
    arguments: (bool, bool),
) -> Result<Exit, CliError> {
    let (yes, dry_run) = arguments;
    let input = BulkInput { action: action.as_str().to_owned(), filter, dry_run: true };
    let access = if yes && !dry_run { Access::Write } else { Access::Read };
    if access == Access::Write {
        program.trail.about("start_bulk", format!("{action} of many executions"));
    }
    let connection = program.connection(access).await?;
    let plan = plan(&connection, &input).await?;
    print_plan(action, &plan)?;
    if dry_run || plan.acted_on == 0 {
        return Ok(Exit::Completed);
    }
    if !yes {
        output::remark("nothing was done: repeat it with --yes");
        return Ok(Exit::Usage);
    }
    let bulk = match &connection {
        Connection::Database(operator) => in_database(operator, &input).await?,
        Connection::Service(service) => at_service(service, input).await?,
    };
    let (id, done, left_out) = (bulk.id, bulk.done, bulk.left_out);
    output::line(format!("bulk {id} is {}: {done} done, {left_out} left out", bulk.status))?;
    Ok(Exit::Completed)
}

fn print_plan(action: BulkAction, plan: &BulkPlanView) -> Result<(), CliError> {
    let verb = match action {
        BulkAction::Restart => "restarted",
        BulkAction::Stop => "asked to stop",
        BulkAction::Abandon => "abandoned",
    };
    let more = if plan.has_more { " of the newest ones; there are more" } else { "" };
    output::line(format!("{} of {} executions are to be {verb}{more}", plan.acted_on, plan.found))?;
    for (reason, count) in &plan.left_out {
        output::line(output::one_line(&format!("  {count} left out: {reason}")))?;
    }
    Ok(())
}

fn request(input: &BulkInput) -> Result<(BulkAction, oxbatch_core::repository::ExecutionFilter), CliError> {
    input.request().map_err(|problem| CliError::Schedule { problem })
}

async fn plan(connection: &Connection, input: &BulkInput) -> Result<BulkPlanView, CliError> {
    match connection {
        Connection::Database(operator) => {
            let (action, filter) = request(input)?;
            Ok(operator.plan_bulk(action, &filter).await?.into())
        }
        Connection::Service(service) => {
            read(service.change_named("/bulk", Some(value(input)?), Missing::Bulk, "").await?)
        }
    }
}

/// Begins the bulk and does it in this process, beside the nodes that there may be.
async fn in_database(operator: &Operator, input: &BulkInput) -> Result<BulkView, CliError> {
    let (action, filter) = request(input)?;
    let id = operator.start_bulk(action, filter).await?.id;
    loop {
        let worked = operator.work_bulk().await?;
        let bulk = operator.bulk(id).await?;
        if bulk.state != BulkState::Running {
            return Ok(bulk.into());
        }
        if !worked {
            tokio::time::sleep(POLL_EVERY).await;
        }
    }
}

/// Asks a service for it, and waits until it has ended.
async fn at_service(service: &RemoteService, input: BulkInput) -> Result<BulkView, CliError> {
    let input = BulkInput { dry_run: false, ..input };
    let begun = service.change_named("/bulk", Some(value(&input)?), Missing::Bulk, "").await?;
    let mut bulk: BulkView = read(begun)?;
    while bulk.status == BulkState::Running.as_str() {
        tokio::time::sleep(POLL_EVERY).await;
        let id = BulkId(bulk.id);
        bulk = read(service.read_named(&format!("/bulk/{id}"), Missing::Bulk, &id.to_string()).await?)?;
    }
    Ok(bulk)
}

fn value(input: &BulkInput) -> Result<Value, CliError> {
    serde_json::to_value(input).map_err(|error| CliError::Output { source: std::io::Error::other(error) })
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, CliError> {
    serde_json::from_value(value).map_err(|error| CliError::Output { source: std::io::Error::other(error) })
}

impl WhereArgs {
    /// The filter, where there is one, and whether it is to be done.
    pub(super) fn taken(self) -> Option<(BulkFilterView, bool)> {
        let yes = self.yes;
        self.filter.map(|filter| (filter, yes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_list_of_conditions() {
        let filter = parse_where("status=failed, status=STOPPED,job=A b").unwrap();
        assert_eq!((filter.status.len(), filter.job.as_deref()), (2, Some("A b")));
        assert_eq!(parse_where("id=7,id=9").unwrap().ids, [7, 9]);
        assert!(parse_where(&vec!["id=1"; 501].join(",")).unwrap_err().contains("at most 500"));
        for wrong in
            ["", "job", "id=0", "id=x", "colour=red", "job=a,job=b", "status=bad", "from=yesterday", "instance=0"]
        {
            assert!(parse_where(wrong).is_err(), "{wrong}");
        }
    }
}
