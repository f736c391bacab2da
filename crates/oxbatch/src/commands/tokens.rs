//! `tokens`: those who may use the service over the network: made, listed, revoked, on the database itself.

mod create;
mod shown;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use oxbatch_core::access::TokenId;

use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;

/// Arguments of `tokens`.
#[derive(Debug, Args)]
pub(crate) struct TokensArgs {
    #[command(subcommand)]
    command: TokensCommand,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

/// The work on tokens.
#[derive(Debug, Subcommand)]
enum TokensCommand {
    /// Make a token and print it; it is shown this once
    Create(create::CreateArgs),
    /// List tokens, newest first, also those that hold no more
    List,
    /// Revoke a token: it, its sessions and its streams end at once
    Revoke {
        /// Id of the token
        id: i64,
    },
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: TokensArgs) -> Result<Exit, CliError> {
    match arguments.command {
        TokensCommand::Create(create) => create::run(program, create, arguments.json).await,
        TokensCommand::List => list(program, arguments.json).await,
        TokensCommand::Revoke { id } => revoke(program, TokenId(id)).await,
    }
}

async fn list(program: &Program, json: bool) -> Result<Exit, CliError> {
    let operator = program.operator(Access::Read).await?;
    let tokens = operator.repository().tokens().await?;
    let views: Vec<_> = tokens.iter().map(|token| shown::TokenView::new(token, Timestamp::now())).collect();
    if json {
        output::json(&views)?
    } else {
        shown::table(&views).print()?
    }
    Ok(Exit::Completed)
}

async fn revoke(program: &Program, id: TokenId) -> Result<Exit, CliError> {
    program.trail.about("revoke_token", format!("token {id}"));
    let operator = program.operator(Access::Write).await?;
    let Some(token) = operator.repository().token(id).await? else { return Err(CliError::UnknownToken { id }) };
    if operator.repository().revoke_token(id, Timestamp::now()).await? {
        output::line(format!("token {id} '{}' is revoked", output::one_line(&token.name)))?;
    } else {
        output::line(format!("token {id} '{}' was revoked before", output::one_line(&token.name)))?;
    }
    Ok(Exit::Completed)
}
