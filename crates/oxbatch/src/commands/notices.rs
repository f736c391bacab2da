//! `notices`: those that were written, how their delivery stands, and a trial of a channel.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use oxbatch_core::notice::{Notice, NoticeId, NoticeSender, NoticeState};
use oxbatch_core::repository::PageRequest;
use oxbatch_server::view::{NoticeAttemptView, NoticeTrialView, NoticeView};
use serde_json::Value;

use crate::connection::Connection;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::remote::Query;
use crate::settings;
use crate::table::{Align, Table, shorten};

/// Longest message in a row.
const MAX_MESSAGE: usize = 80;

/// Arguments of `notices`.
#[derive(Debug, Args)]
pub(crate) struct NoticesArgs {
    #[command(subcommand)]
    command: Option<NoticesCommand>,
    /// Only in this state: PENDING, DELIVERED or UNDELIVERED
    #[arg(long)]
    state: Option<NoticeState>,
    /// Most rows
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// The next page of an earlier list
    #[arg(long)]
    cursor: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

/// The work on notices; without a word they are listed.
#[derive(Debug, Subcommand)]
enum NoticesCommand {
    /// Send a trial to a channel of the settings, from here or from the service that is named
    Test {
        /// Name of the channel
        name: String,
    },
    /// List the attempts to deliver a notice
    Attempts {
        /// Id of the notice
        id: i64,
    },
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: NoticesArgs) -> Result<Exit, CliError> {
    match &arguments.command {
        Some(NoticesCommand::Test { name }) => return test(program, name, arguments.json).await,
        Some(NoticesCommand::Attempts { id }) => {
            let attempts = attempts(program, NoticeId(*id)).await?;
            if arguments.json { output::json(&attempts)? } else { attempts_table(&attempts).print()? }
        }
        None => {
            let (notices, next) = list(program, &arguments).await?;
            if arguments.json {
                output::json(&notices)?
            } else {
                table(&notices).print()?
            }
            super::remark_next(next);
        }
    }
    Ok(Exit::Completed)
}

fn value(view: impl serde::Serialize) -> Result<Value, CliError> {
    serde_json::to_value(view).map_err(|error| CliError::Output { source: std::io::Error::other(error) })
}

async fn list(program: &Program, arguments: &NoticesArgs) -> Result<(Vec<Value>, Option<String>), CliError> {
    let cursor = arguments.cursor.as_deref();
    match program.connection(Access::Read).await? {
        Connection::Database(operator) => {
            let page = PageRequest { before: super::before(cursor)?, limit: arguments.limit };
            let page = operator.repository().notices(arguments.state, page).await?;
            let notices = page.notices.into_iter().map(|it| value(NoticeView::from(it))).collect::<Result<_, _>>()?;
            Ok((notices, page.next.map(|next| next.to_string())))
        }
        Connection::Service(service) => {
            let state = arguments.state.map(NoticeState::as_str);
            let query = Query::default().with("state", state).with("limit", Some(arguments.limit));
            Ok(service.read_list(&query.with("cursor", cursor).on("/notices")).await?)
        }
    }
}

async fn attempts(program: &Program, id: NoticeId) -> Result<Vec<Value>, CliError> {
    match program.connection(Access::Read).await? {
        Connection::Database(operator) => {
            let attempts = operator.repository().notice_attempts(id).await?;
            attempts.into_iter().map(|it| value(NoticeAttemptView::from(it))).collect()
        }
        Connection::Service(service) => Ok(service.notice_attempts(id).await?),
    }
}

/// Sends a trial: from the service that is named, or else from this process, with the settings, the secret and the
/// network of this machine.
async fn test(program: &Program, name: &str, json: bool) -> Result<Exit, CliError> {
    let trial = match program.service()? {
        Some(service) => service.test_channel(name).await?,
        None => value(test_here(program, name).await?)?,
    };
    let taken = trial["taken"] == true;
    if json {
        output::json(&trial)?;
    } else if taken {
        output::line(format!("channel {name} has taken a trial"))?;
    } else {
        let problem = text(&trial, "problem");
        output::remark(output::one_line(&format!("channel {name} has not taken a trial: {problem}")));
    }
    Ok(if taken { Exit::Completed } else { Exit::Refused })
}

async fn test_here(program: &Program, name: &str) -> Result<NoticeTrialView, CliError> {
    let channels = settings::notices::resolve(&program.sources)?;
    let known = channels.as_ref().map(|channels| channels.names().join(", ")).unwrap_or_default();
    let Some(channels) = channels.filter(|channels| channels.names().contains(&name)) else {
        let problem = match known.as_str() {
            "" => format!("there is no channel '{name}': the settings have no section [notices.{name}]"),
            known => format!("there is no channel '{name}'; the channels are {known}"),
        };
        return Err(CliError::Schedule { problem });
    };
    let problem = channels.deliver(&Notice::trial(name, Timestamp::now())).await.err();
    Ok(NoticeTrialView { channel: name.to_owned(), taken: problem.is_none(), problem })
}

fn text(value: &Value, field: &str) -> String {
    match &value[field] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn table(notices: &[Value]) -> Table {
    let left = |name| (name, Align::Left);
    let mut table = Table::new([
        ("ID", Align::Right),
        left("TIME"),
        left("CHANNEL"),
        left("KIND"),
        left("STATE"),
        ("ATTEMPTS", Align::Right),
        left("MESSAGE"),
    ]);
    for notice in notices {
        let fields = ["id", "create_time", "channel", "kind", "state", "attempts"].map(|field| text(notice, field));
        table.row(fields.into_iter().chain([shorten(&text(notice, "message"), MAX_MESSAGE)]));
    }
    table
}

fn attempts_table(attempts: &[Value]) -> Table {
    let mut table = Table::new(["TIME", "NODE", "ERROR"].map(|name| (name, Align::Left)));
    for attempt in attempts {
        table.row(["time", "node", "error"].map(|field| text(attempt, field)));
    }
    table
}
