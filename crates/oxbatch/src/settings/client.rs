//! The service that commands are sent to: `OXBATCH_SERVER`.

use super::{Setting, SettingError, Sources};
use crate::cli::GlobalArgs;
use crate::remote::RemoteService;

/// Address of a service.
pub(crate) const SERVER: Setting = Setting {
    flag: "--server",
    variable: "OXBATCH_SERVER",
    key: "client.server",
    text: "Address of a service to which commands are sent, instead of to the database",
    default: "none",
};

/// All of the section.
pub(super) const SETTINGS: [Setting; 1] = [SERVER];

/// Resolves the section.
pub(crate) fn resolve(globals: &GlobalArgs, sources: &Sources) -> Result<Option<RemoteService>, SettingError> {
    sources.read(&SERVER, globals.server.as_deref(), RemoteService::new)
}
