//! `restart`: a failed or stopped execution is resumed, in the foreground or at a service.

use std::sync::Arc;

use clap::Args;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::BulkAction;
use oxbatch_server::view::{CourseView, RestartPlanView};

use super::bulk::{self, WhereArgs};
use super::wait::SentArgs;
use super::{foreground, parse_id};
use crate::connection::Connection;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;

/// Arguments of `restart`.
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    /// Id of the execution
    #[arg(value_parser = parse_id, required_unless_present = "filter")]
    id: Option<ExecutionId>,
    #[command(flatten)]
    many: WhereArgs,
    /// Go on also where the definition of the job has changed in what the past of the instance depends on
    #[arg(long, conflicts_with = "filter")]
    accept_changes: bool,
    #[command(flatten)]
    sent: SentArgs,
    /// Only say what would be done: which steps are not run again, where the others go on, what a launch with --force
    /// would do
    #[arg(long, conflicts_with_all = ["wait", "plan", "accept_changes"])]
    dry_run: bool,
    /// Restart only if what a dry run with this tag has said still holds
    #[arg(long, value_name = "TAG", conflicts_with = "filter")]
    plan: Option<String>,
    /// Print the execution and its steps, or with --dry-run the plan, as JSON
    #[arg(long, conflicts_with = "wait")]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: RestartArgs) -> Result<Exit, CliError> {
    let RestartArgs { id, many, accept_changes, sent, dry_run, plan, json } = arguments;
    if let Some((filter, yes)) = many.taken() {
        return bulk::run(program, BulkAction::Restart, filter, (yes, dry_run)).await;
    }
    // The command line is refused without one of them.
    let Some(id) = id else { return Ok(Exit::Usage) };
    if dry_run {
        return plan_of(program, id, json).await;
    }
    program.trail.about("restart_execution", format!("execution {id}"));
    let operator = match program.connection(Access::Write).await? {
        Connection::Database(operator) => operator,
        Connection::Service(service) => {
            let id = service.restart(id, plan.as_deref(), accept_changes).await?;
            return sent.attend(Connection::Service(service), id, json).await;
        }
    };
    operator.end_if_dead(id).await?;
    let repository = Arc::clone(operator.repository());
    foreground::run(program, repository, json, async |engine| {
        engine.restart_here(id, plan.as_deref(), accept_changes).await
    })
    .await
}

/// Says what a restart would do.
async fn plan_of(program: &Program, id: ExecutionId, json: bool) -> Result<Exit, CliError> {
    let plan: RestartPlanView = match program.connection(Access::Read).await? {
        Connection::Database(operator) => operator.restart_plan(id).await?.into(),
        Connection::Service(service) => service.restart_plan(id).await?,
    };
    if json {
        output::json(&plan)?;
        return Ok(Exit::Completed);
    }
    output::line(format!("a restart of execution {id} of {}:", output::one_line(&plan.job_name)))?;
    course(&plan.restart)?;
    if let Some(change) = &plan.definition_change {
        let refused =
            format!("  is refused without --accept-changes, since the definition of the job has changed: {change}");
        output::line(output::one_line(&refused))?;
    }
    output::line("a launch with force:")?;
    course(&plan.force)?;
    output::line(format!("tag {}", plan.tag))?;
    Ok(Exit::Completed)
}

/// Prints the elements of a course, one in a line. What is reached only as the plan assumes begins with a word for it.
fn course(course: &CourseView) -> Result<(), CliError> {
    if let Some(reason) = &course.refusal {
        return output::line(format!("  is refused: {}", output::one_line(reason)));
    }
    for element in &course.elements {
        let round = if element.iteration > 1 { format!(" (round {})", element.iteration) } else { String::new() };
        let at_end = if element.is_final { "at the end, " } else { "" };
        let then = if element.is_certain { "" } else { "then " };
        let text = format!("  {then}{at_end}{}{round}: {}", element.name, element.summary);
        output::line(output::one_line(&text))?;
    }
    let Some(end) = &course.end else { return Ok(()) };
    let end = match (&end.decider, &end.message) {
        (Some(decider), _) => format!("  what follows is for decider '{decider}' to say"),
        (None, Some(message)) => format!("  {message}"),
        (None, None) => return Ok(()),
    };
    output::line(output::one_line(&end))
}
