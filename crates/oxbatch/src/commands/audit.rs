//! `audit`: every change that was asked for, over HTTP and by commands, and what came of it.

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use oxbatch_core::DateTime;
use oxbatch_core::repository::PageRequest;
use oxbatch_server::view::AuditView;
use serde_json::Value;

use crate::connection::Connection;
use crate::database::Access;
use crate::duration::parse_duration;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::remote::Query;
use crate::table::{Align, Table, shorten};

/// Longest text in a row.
const MAX_TEXT: usize = 60;

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Only from then on: a time such as 24h ago, or a moment
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Option<Timestamp>,
    /// Most rows
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// The next page of an earlier list
    #[arg(long)]
    cursor: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: AuditArgs) -> Result<Exit, CliError> {
    let (entries, next) = list(program, &arguments).await?;
    if arguments.json {
        output::json(&entries)?
    } else {
        table(&entries).print()?
    }
    super::remark_next(next);
    Ok(Exit::Completed)
}

async fn list(program: &Program, arguments: &AuditArgs) -> Result<(Vec<Value>, Option<String>), CliError> {
    let cursor = arguments.cursor.as_deref();
    match program.connection(Access::Read).await? {
        Connection::Database(operator) => {
            let page = PageRequest { before: super::before(cursor)?, limit: arguments.limit };
            let page = operator.repository().audit(arguments.since, page).await?;
            let views = page.entries.into_iter().map(|entry| serde_json::to_value(AuditView::from(entry)));
            let views = views.collect::<Result<_, _>>();
            let views = views.map_err(|error| CliError::Output { source: std::io::Error::other(error) })?;
            Ok((views, page.next.map(|next| next.to_string())))
        }
        Connection::Service(service) => {
            let query = Query::default().with("since", arguments.since).with("limit", Some(arguments.limit));
            Ok(service.read_list(&query.with("cursor", cursor).on("/audit")).await?)
        }
    }
}

fn parse_since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = parse_duration(text) {
        let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        return Ok(Timestamp::now().checked_sub(time).unwrap_or(Timestamp::MIN));
    }
    let moment = DateTime::parse(text).map(DateTime::saturating_instant);
    moment.map_err(|_| format!("'{text}' is no time such as 24h, and no moment such as 2026-01-31T08:00:00Z"))
}

fn table(entries: &[Value]) -> Table {
    let left = |name| (name, Align::Left);
    let names = ["TIME", "WHO", "FROM", "ACTION", "OBJECT", "OUTCOME"];
    let mut table = Table::new([("ID", Align::Right)].into_iter().chain(names.map(left)).collect::<Vec<_>>());
    for entry in entries {
        let text = |field: &str| match &entry[field] {
            Value::String(text) => shorten(text, MAX_TEXT),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let who = match &entry["token_id"] {
            Value::Null => text("who"),
            id => format!("{} (token {id})", text("who")),
        };
        let rest = ["address", "action", "object"].map(text);
        let outcome = if entry["outcome"].is_null() { "unknown".to_owned() } else { text("outcome") };
        table.row([text("id"), text("time"), who].into_iter().chain(rest).chain([outcome]));
    }
    table
}
