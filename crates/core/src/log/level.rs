//! The levels of log lines.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The level of a log line, most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogLevel {
    /// An error.
    Error,
    /// A warning.
    Warn,
    /// News.
    Info,
    /// Details for whoever searches for a cause.
    Debug,
    /// Everything.
    Trace,
}

/// A text that is no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is none of ERROR, WARN, INFO, DEBUG, TRACE")]
pub struct UnknownLevel {
    /// The text.
    pub text: String,
}

impl LogLevel {
    /// All of them, most severe first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The word of the level.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }

    /// The number under which it is stored: the smaller, the more severe.
    pub const fn number(self) -> i64 {
        match self {
            Self::Error => 1,
            Self::Warn => 2,
            Self::Info => 3,
            Self::Debug => 4,
            Self::Trace => 5,
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for LogLevel {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        let found = Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| UnknownLevel { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_read_in_any_case_and_ordered_by_severity() {
        for level in LogLevel::ALL {
            assert_eq!(level.as_str().to_lowercase().parse(), Ok(level));
        }
        assert!(LogLevel::Error < LogLevel::Trace);
        assert!("loud".parse::<LogLevel>().unwrap_err().to_string().starts_with("'loud' is none of ERROR"));
    }
}
