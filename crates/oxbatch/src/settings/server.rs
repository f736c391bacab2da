//! The HTTP interface: `OXBATCH_LISTEN`, `OXBATCH_ALLOWED_HOSTS`, `OXBATCH_INSECURE`.

use oxbatch_server::{DEFAULT_LISTEN, ServerConfig};

use super::{Setting, SettingError, Sources, parse_bool};
use crate::cli::ServeArgs;

/// Address and port.
pub(crate) const LISTEN: Setting = Setting {
    flag: "--listen",
    variable: "OXBATCH_LISTEN",
    key: "server.listen",
    text: "Address and port to listen on; port 0 takes a free one",
    default: DEFAULT_LISTEN,
};

/// Hosts besides the local ones.
pub(crate) const ALLOWED_HOSTS: Setting = Setting {
    flag: "--allowed-host",
    variable: "OXBATCH_ALLOWED_HOSTS",
    key: "server.allowed_hosts",
    text: "Host by which the service may be called, besides localhost; can be repeated",
    default: "none",
};

/// Addresses that others can reach.
pub(crate) const INSECURE: Setting = Setting {
    flag: "--insecure",
    variable: "OXBATCH_INSECURE",
    key: "server.insecure",
    text: "Listen on an address that other machines can reach, although there is no authentication",
    default: "false",
};

/// All of the section.
pub(super) const SETTINGS: [Setting; 3] = [LISTEN, ALLOWED_HOSTS, INSECURE];

/// Resolves the section.
pub(crate) fn resolve(arguments: &ServeArgs, sources: &Sources) -> Result<ServerConfig, SettingError> {
    let listen = sources.read(&LISTEN, arguments.listen.as_deref(), |text| Ok(text.to_owned()))?;
    let mut config = listen.map_or_else(ServerConfig::default, ServerConfig::new);
    config.allowed_hosts = sources.read_list(&ALLOWED_HOSTS, &arguments.allowed_hosts)?;
    let insecure = arguments.insecure.then_some("true");
    config.insecure = sources.read(&INSECURE, insecure, parse_bool)?.unwrap_or(false);
    Ok(config)
}
