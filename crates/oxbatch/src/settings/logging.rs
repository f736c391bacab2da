//! The log on standard error: `OXBATCH_LOG_LEVEL`, `OXBATCH_LOG_FORMAT`; the logs of executions: `OXBATCH_LOGS_LEVEL`,
//! `OXBATCH_LOGS_MAX_PER_EXECUTION`.

use tracing_subscriber::EnvFilter;

use super::{Setting, SettingError, Sources};
use crate::cli::{GlobalArgs, ServeArgs};

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

/// Which lines of the author's code are kept with their execution.
pub(crate) const KEPT_LEVEL: Setting = Setting {
    flag: "--logs-level",
    variable: "OXBATCH_LOGS_LEVEL",
    key: "logs.level",
    text: "Lines that are kept of what a step logs: error, warn, info, debug, trace, or directives; off for none",
    default: "info",
};

/// Bound of the log of an execution.
pub(crate) const MAX_PER_EXECUTION: Setting = Setting {
    flag: "--logs-max-per-execution",
    variable: "OXBATCH_LOGS_MAX_PER_EXECUTION",
    key: "logs.max_per_execution",
    text: "Most that is kept of the log of an execution, compressed, such as 16MiB, at least 64KiB",
    default: "16MiB",
};

/// All of the sections.
pub(super) const SETTINGS: [Setting; 4] = [LEVEL, FORMAT, KEPT_LEVEL, MAX_PER_EXECUTION];

/// Least bound of the log of an execution: a segment of it.
const LEAST_LOG_BYTES: u64 = 64 * 1024;

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
    /// Which lines are kept with their execution; `None` for none.
    pub(crate) kept: Option<EnvFilter>,
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
    pub(crate) fn resolve(
        arguments: &GlobalArgs,
        serve: Option<&ServeArgs>,
        sources: &Sources,
    ) -> Result<Self, SettingError> {
        let level = sources.read(&LEVEL, arguments.log_level.as_deref(), parse_filter)?;
        let kept = sources.read(&KEPT_LEVEL, serve.and_then(|serve| serve.logs_level.as_deref()), |text| {
            if text.eq_ignore_ascii_case("off") { Ok(None) } else { parse_filter(text).map(Some) }
        })?;
        let kept = kept.unwrap_or_else(|| Some(EnvFilter::new(without_drivers(KEPT_LEVEL.default))));
        let format = sources.read(&FORMAT, arguments.log_format.as_deref(), |text| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("'{text}' is neither text nor json")),
        })?;
        Ok(Self { level, format: format.unwrap_or_default(), kept })
    }
}

/// Most bytes that are kept of the log of an execution; `None` for the engine's default.
pub(super) fn max_per_execution(serve: Option<&ServeArgs>, sources: &Sources) -> Result<Option<u64>, SettingError> {
    let flag = serve.and_then(|serve| serve.logs_max_per_execution.as_deref());
    sources.read(&MAX_PER_EXECUTION, flag, parse_bytes)
}

fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(without_drivers(text))
        .map_err(|error| format!("'{text}' is no log level ({error}); write error, warn, info, debug or trace"))
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim_start() {
        "KiB" => Some(1024),
        "MiB" => Some(1024 * 1024),
        "GiB" => Some(1024 * 1024 * 1024),
        _ => None,
    };
    let bytes = number.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    let bytes = bytes.filter(|bytes| *bytes >= LEAST_LOG_BYTES);
    bytes.ok_or_else(|| format!("'{text}' is no size such as 512KiB, 16MiB or 1GiB of at least 64KiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_and_a_least_value() {
        assert_eq!(parse_bytes(MAX_PER_EXECUTION.default), Ok(oxbatch_core::log::DEFAULT_MAX_LOG_BYTES));
        assert_eq!(parse_bytes("64 KiB"), Ok(LEAST_LOG_BYTES));
        for text in ["", "16", "16MB", "-1MiB", "63KiB", "99999999999GiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
