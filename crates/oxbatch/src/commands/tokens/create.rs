//! `tokens create`: a token is made out of chance and shown once.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use oxbatch_core::access::{Credential, CredentialKind, Grant, LOGIN_CODE_TIME, NewToken, Role, TokenId};
use oxbatch_core::repository::{JobRepository, NewPass};
use serde::Serialize;

use crate::cli::ServeArgs;
use crate::database::Access;
use crate::duration::parse_duration;
use crate::error::CliError;
use crate::exit::Exit;
use crate::program::Program;
use crate::{database, output, settings};

/// Longest name of a token.
const MAX_NAME_CHARS: usize = 100;

/// Arguments of `tokens create`.
#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// Its role: viewer, operator or admin
    #[arg(long)]
    role: Role,
    /// A name for people [default: the user's]
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
    /// The time for which it holds, such as 30d, or never
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = parse_expiry)]
    expires: Expiry,
    /// It sees records of the data, whatever its role
    #[arg(long)]
    data: bool,
}

/// The time for which a token holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Never,
    After(Duration),
}

/// A new token as it is printed.
#[derive(Debug, Serialize)]
struct CreatedView {
    id: i64,
    name: String,
    role: &'static str,
    data: bool,
    expire_time: Option<Timestamp>,
    token: String,
    login_url: String,
}

/// Runs the command.
pub(super) async fn run(program: &Program, arguments: CreateArgs, json: bool) -> Result<Exit, CliError> {
    let CreateArgs { role, name, expires, data } = arguments;
    let repository = database::open_or_create(program.database()?, Access::Write).await?;
    let name = name.unwrap_or_else(crate::user::name);
    program.trail.about("create_token", format!("token '{name}' with the role {role}"));
    program.trail.begin(&repository).await?;
    let credential = Credential::new(CredentialKind::Token).map_err(|source| CliError::Random { source })?;
    let now = Timestamp::now();
    let expire_time = match expires {
        Expiry::Never => None,
        Expiry::After(time) => Some(now.checked_add(time).unwrap_or(Timestamp::MAX)),
    };
    let grant = Grant { role, data };
    let new = NewToken { hash: credential.hash(), name: name.clone(), grant, time: now, expire_time };
    let id = repository.create_token(new).await?;
    let login_url = login_link(program, repository.as_ref(), id, now).await?;
    program.trail.end(format!("token {id}")).await;
    let view = CreatedView {
        id: id.0,
        name,
        role: role.as_str(),
        data,
        expire_time,
        token: credential.text().to_owned(),
        login_url,
    };
    if json {
        output::json(&view)?;
    } else {
        // Alone on standard output, so that a script can take it.
        output::line(&view.token)?;
        let until = match view.expire_time {
            Some(time) => format!("until {time}"),
            None => "for ever".to_owned(),
        };
        let name = output::one_line(&view.name);
        output::remark(format!("token {id} '{name}' with the role {role} holds {until}; it is shown this once"));
        output::remark(format!("log in with a browser, once and within 10 minutes: {}", view.login_url));
    }
    repository.close().await?;
    Ok(Exit::Completed)
}

/// A link that logs a browser in once, at the address on which the service listens by the settings.
async fn login_link(
    program: &Program,
    repository: &dyn JobRepository,
    token_id: TokenId,
    now: Timestamp,
) -> Result<String, CliError> {
    let code = Credential::new(CredentialKind::LoginCode).map_err(|source| CliError::Random { source })?;
    let expire_time = now.checked_add(LOGIN_CODE_TIME).unwrap_or(Timestamp::MAX);
    repository.create_login_code(NewPass { hash: code.hash(), token_id, time: now, expire_time }).await?;
    let listen = settings::server::resolve(&ServeArgs::default(), &program.sources)?.listen;
    // Where it listens on all addresses, this machine reaches it by its own name.
    let own = ["0.0.0.0:", "[::]:", "127.0.0.1:"].into_iter().find_map(|all| listen.strip_prefix(all));
    let host = own.map_or_else(|| listen.clone(), |port| format!("localhost:{port}"));
    Ok(format!("http://{host}/login?code={}", code.text()))
}

fn parse_name(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_NAME_CHARS).contains(&text.chars().count()) && !text.contains(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(format!("a name has 1 to {MAX_NAME_CHARS} characters in one line")) }
}

fn parse_expiry(text: &str) -> Result<Expiry, String> {
    match text {
        "never" => Ok(Expiry::Never),
        text => match parse_duration(text)? {
            Duration::ZERO => Err("a token that holds for no time is of no use".to_owned()),
            time => Ok(Expiry::After(time)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxbatch_core::access::TOKEN_TIME;

    #[test]
    fn the_default_is_what_the_model_says() {
        assert_eq!(parse_expiry("90d"), Ok(Expiry::After(TOKEN_TIME)));
        assert_eq!(parse_expiry("never"), Ok(Expiry::Never));
        assert!(parse_expiry("0s").is_err() && parse_expiry("soon").is_err());
    }
}
