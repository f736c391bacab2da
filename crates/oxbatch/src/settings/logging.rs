//! The log on standard error: `OXBATCH_LOG_LEVEL`, `OXBATCH_LOG_FORMAT`.

use tracing_subscriber::EnvFilter;

use super::{Setting, SettingError, Sources};
use crate::cli::GlobalArgs;

/// Which lines are logged.
pub(crate) const LEVEL: Setting = Setting {
    flag: "--log-level",
    variable: "OXBATCH_LOG_LEVEL",
    key: "logging.level",
    text: "Log level: error, warn, info, debug, trace, or directives such as info,oxbatch_server=debug",
    default: "info for serve, warn for other commands",
};

/// The format of log lines.
pub(crate) const FORMAT: Setting = Setting {
    flag: "--log-format",
    variable: "OXBATCH_LOG_FORMAT",
    key: "logging.format",
    text: "Format of log lines: text or json",
    default: "text",
};

/// All of the section.
pub(super) const SETTINGS: [Setting; 2] = [LEVEL, FORMAT];

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object per line.
    Json,
}

/// The section `logging`.
#[derive(Debug)]
pub(crate) struct LogSettings {
    /// Which lines; `None` for the command's own default.
    pub(crate) level: Option<EnvFilter>,
    /// The format of the lines.
    pub(crate) format: LogFormat,
}

/// Targets of libraries, whose lines below a warning help nobody who operates the service.
const LIBRARIES: [&str; 7] = ["h2", "hyper", "hyper_util", "mio", "rustls", "tokio_postgres", "tower"];

/// A plain level without the noise of libraries; directives are taken as they are written.
pub(crate) fn without_drivers(text: &str) -> String {
    let is_noisy = ["info", "debug", "trace"].iter().any(|level| level.eq_ignore_ascii_case(text.trim()));
    let quiet = LIBRARIES.iter().filter(|_| is_noisy).map(|target| format!(",{target}=warn"));
    text.to_owned() + &quiet.collect::<String>()
}

impl LogSettings {
    /// Resolves the section.
    pub(crate) fn resolve(arguments: &GlobalArgs, sources: &Sources) -> Result<Self, SettingError> {
        let level = sources.read(&LEVEL, arguments.log_level.as_deref(), |text| {
            EnvFilter::try_new(without_drivers(text))
                .map_err(|error| format!("'{text}' is no log level ({error}); write error, warn, info, debug or trace"))
        })?;
        let format = sources.read(&FORMAT, arguments.log_format.as_deref(), |text| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("'{text}' is neither text nor json")),
        })?;
        Ok(Self { level, format: format.unwrap_or_default() })
    }
}
