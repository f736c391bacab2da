//! `logs`: what the steps of an execution have logged, to its end where it is followed.

use std::time::Duration;

use clap::Args;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::log::{KeptLine, LogFeed, LogFilter, LogLevel, LogPosition, MAX_TAIL, UnknownLevel, shown_line};
use oxbatch_server::view::LogLineView;

use super::parse_id;
use crate::connection::Connection;
use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;
use crate::remote::{LogLines, Query, RemoteService};

/// Longest time between two polls of a log that is followed.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// Lines that are asked of a service at once.
const PAGE: u32 = 5_000;

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Id of the execution
    #[arg(value_parser = parse_id)]
    id: ExecutionId,
    /// Go on with further lines until the execution has ended
    #[arg(long)]
    follow: bool,
    /// Only lines of this level and more severe ones: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    level: Option<LogLevel>,
    /// Only lines of this step
    #[arg(long, value_name = "NAME")]
    step: Option<String>,
    /// Only the last lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_TAIL)))]
    tail: Option<u32>,
    /// Only lines behind this position, which the lines of --json have
    #[arg(long, value_name = "POSITION")]
    after: Option<LogPosition>,
    /// Print JSON, a line each
    #[arg(long)]
    json: bool,
}

fn parse_level(text: &str) -> Result<LogLevel, UnknownLevel> {
    text.parse()
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: LogsArgs) -> Result<Exit, CliError> {
    let connection = program.connection(Access::Read).await?;
    let LogsArgs { id, follow, tail, json, .. } = arguments;
    // The execution before its lines: those of one that has ended are all there.
    let mut execution = connection.execution(id).await?;
    let mut source = Source::new(&connection, arguments);
    let mut last = tail;
    loop {
        while let Some(lines) = source.next(last.take()).await? {
            print(&lines, json)?;
        }
        if !follow || !execution.status.is_running() {
            return Ok(Exit::Completed);
        }
        connection.wait(id, Some(POLL_EVERY)).await?;
        execution = connection.execution(id).await?;
    }
}

fn print(lines: &[KeptLine], json: bool) -> Result<(), CliError> {
    let mut text = String::new();
    for line in lines {
        match json {
            true => text.push_str(&LogLineView::new(line).to_json()),
            false => text.push_str(&shown_line(&line.line)),
        }
        text.push('\n');
    }
    output::write(text.as_bytes())
}

/// The way to the lines.
enum Source<'a> {
    Database { feed: LogFeed, connection: &'a Connection },
    Service { service: &'a RemoteService, id: ExecutionId, filter: LogFilter, after: Option<LogPosition> },
}

impl<'a> Source<'a> {
    fn new(connection: &'a Connection, arguments: LogsArgs) -> Self {
        let LogsArgs { id, level, step, after, .. } = arguments;
        let filter = LogFilter { level, step };
        match connection {
            Connection::Database(_) => Self::Database { feed: LogFeed::new(id, filter, after), connection },
            Connection::Service(service) => Self::Service { service, id, filter, after },
        }
    }

    /// The next lines, or the last ones; `None` when there are no further ones by now.
    async fn next(&mut self, tail: Option<u32>) -> Result<Option<Vec<KeptLine>>, CliError> {
        let found = match self {
            Self::Database { feed, connection: Connection::Database(operator) } => {
                let repository = operator.repository().as_ref();
                match tail {
                    Some(lines) => return Ok(Some(feed.tail(repository, lines).await?)),
                    None => feed.next(repository).await?,
                }
            }
            Self::Database { .. } => Vec::new(),
            Self::Service { service, id, filter, after } => {
                let query = Query::default().with("level", filter.level).with("step", filter.step.as_deref());
                let query = query.with("after", *after).with("tail", tail);
                let query = query.with("limit", tail.is_none().then_some(PAGE));
                let LogLines { lines, end } = service.log(*id, query).await?;
                *after = end.or(*after);
                if tail.is_some() {
                    return Ok(Some(lines));
                }
                lines
            }
        };
        Ok(Some(found).filter(|found| !found.is_empty()))
    }
}
