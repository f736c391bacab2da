//! The HTTP interface: where it listens, whom it believes, and what it shows.

use std::time::Duration;

use oxbatch_server::{DEFAULT_LISTEN, PUBLIC_PATHS, ServerConfig, TrustedProxies};

use super::{Origin, Setting, SettingError, Sources, parse_bool};
use crate::cli::ServeArgs;
use crate::duration::parse_duration;

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
    text: "Serve whoever reaches the service, from other machines too, while there is no token",
    default: "false",
};

/// Proxies that are believed.
pub(crate) const TRUSTED_PROXIES: Setting = Setting {
    flag: "--trusted-proxy",
    variable: "OXBATCH_TRUSTED_PROXIES",
    key: "server.trusted_proxies",
    text: "Address or network of a proxy that is believed who calls, and that it speaks TLS; can be repeated",
    default: "none",
};

/// Paths without a token.
pub(crate) const PUBLIC: Setting = Setting {
    flag: "--public",
    variable: "OXBATCH_PUBLIC",
    key: "server.public",
    text: "Path that is shown without a token: /metrics or /openapi.json; can be repeated",
    default: "none",
};

/// No changes.
pub(crate) const READ_ONLY: Setting = Setting {
    flag: "--read-only",
    variable: "OXBATCH_READ_ONLY",
    key: "server.read_only",
    text: "Refuse every change over HTTP",
    default: "false",
};

/// Columns that are masked.
pub(crate) const MASK: Setting = Setting {
    flag: "--mask",
    variable: "OXBATCH_MASK",
    key: "server.mask",
    text: "Column of skipped and previewed records that is shown as *** to tokens made without --data; can be repeated",
    default: "none",
};

/// The age of the audit log.
pub(crate) const AUDIT_RETENTION: Setting = Setting {
    flag: "--audit-retention",
    variable: "OXBATCH_AUDIT_RETENTION",
    key: "server.audit_retention",
    text: "Time for which entries of the audit log are kept, such as 400d, at least 1d",
    default: "400d",
};
/// The default of [`AUDIT_RETENTION`].
const DEFAULT_AUDIT_RETENTION: Duration = Duration::from_secs(400 * 24 * 3600);

/// All of the section.
pub(super) const SETTINGS: [Setting; 8] =
    [LISTEN, ALLOWED_HOSTS, INSECURE, TRUSTED_PROXIES, PUBLIC, READ_ONLY, MASK, AUDIT_RETENTION];

/// Resolves the time for which the audit log is kept.
pub(crate) fn audit_retention(arguments: &ServeArgs, sources: &Sources) -> Result<Duration, SettingError> {
    let parse = |text: &str| {
        let time = parse_duration(text)?;
        let least = Duration::from_secs(24 * 3600);
        if time >= least { Ok(time) } else { Err(format!("'{text}' is less than a day")) }
    };
    let given = sources.read(&AUDIT_RETENTION, arguments.audit_retention.as_deref(), parse)?;
    Ok(given.unwrap_or(DEFAULT_AUDIT_RETENTION))
}

/// Resolves the section.
pub(crate) fn resolve(arguments: &ServeArgs, sources: &Sources) -> Result<ServerConfig, SettingError> {
    let listen = sources.read(&LISTEN, arguments.listen.as_deref(), |text| Ok(text.to_owned()))?;
    let mut config = listen.map_or_else(ServerConfig::default, ServerConfig::new);
    config.allowed_hosts = sources.read_list(&ALLOWED_HOSTS, &arguments.allowed_hosts)?;
    let insecure = arguments.insecure.then_some("true");
    config.insecure = sources.read(&INSECURE, insecure, parse_bool)?.unwrap_or(false);
    let proxies = sources.read_list(&TRUSTED_PROXIES, &arguments.trusted_proxies)?;
    config.trusted_proxies = TrustedProxies::new(&proxies).map_err(|problem| invalid(&TRUSTED_PROXIES, problem))?;
    config.mask = sources.read_list(&MASK, &arguments.mask)?;
    config.public = sources.read_list(&PUBLIC, &arguments.public)?;
    if let Some(path) = config.public.iter().find(|path| !PUBLIC_PATHS.contains(&path.as_str())) {
        let problem = format!("'{path}' cannot be shown without a token: only {} can", PUBLIC_PATHS.join(" and "));
        return Err(invalid(&PUBLIC, problem));
    }
    let read_only = arguments.read_only.then_some("true");
    config.read_only = sources.read(&READ_ONLY, read_only, parse_bool)?.unwrap_or(false);
    Ok(config)
}

/// The error of a list, which may come from any of its sources.
fn invalid(setting: &Setting, problem: String) -> SettingError {
    SettingError::Invalid { origin: Origin::Setting(*setting), problem }
}
