//! The service that commands are sent to, and the token that they show it.

use super::{Origin, Setting, SettingError, Sources};
use crate::cli::GlobalArgs;
use crate::remote::{BearerToken, RemoteService};

/// The variable that holds a token itself. There is no flag: everybody on the machine can read a command line.
const TOKEN_VARIABLE: &str = "OXBATCH_TOKEN";

/// Address of a service.
pub(crate) const SERVER: Setting = Setting {
    flag: "--server",
    variable: "OXBATCH_SERVER",
    key: "client.server",
    text: "Address of a service to which commands are sent, instead of to the database",
    default: "none",
};

/// File of a token.
pub(crate) const TOKEN_FILE: Setting = Setting {
    flag: "--token-file",
    variable: "OXBATCH_TOKEN_FILE",
    key: "client.token_file",
    text: "File whose first line is the token for the service; OXBATCH_TOKEN may hold it instead",
    default: "none",
};

/// All of the section.
pub(super) const SETTINGS: [Setting; 2] = [SERVER, TOKEN_FILE];

/// Resolves the section.
pub(crate) fn resolve(globals: &GlobalArgs, sources: &Sources) -> Result<Option<RemoteService>, SettingError> {
    let Some(service) = sources.read(&SERVER, globals.server.as_deref(), RemoteService::new)? else { return Ok(None) };
    Ok(Some(service.with_token(token(globals, sources)?)))
}

/// The token: of the file that a flag names, else of the variable, else of the file that the settings name.
fn token(globals: &GlobalArgs, sources: &Sources) -> Result<Option<BearerToken>, SettingError> {
    let variable = sources.variable(TOKEN_VARIABLE).filter(|_| globals.token_file.is_none());
    if let Some(value) = variable {
        let token = value.into_string().map_err(|_| "the value is not UTF-8".to_owned());
        let token = token.and_then(|text| BearerToken::new(&text));
        let origin = Origin::Variable(TOKEN_VARIABLE);
        return token.map(Some).map_err(|problem| SettingError::Invalid { origin, problem });
    }
    sources.read(&TOKEN_FILE, globals.token_file.as_deref(), |file| {
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|error| format!("the token file '{file}' cannot be read: {error}"))?;
        BearerToken::new(text.lines().next().unwrap_or_default())
            .map_err(|problem| format!("the token file '{file}': {problem}"))
    })
}
