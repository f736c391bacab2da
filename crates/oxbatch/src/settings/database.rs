//! Where the database is: `OXBATCH_DATABASE`.

use std::path::PathBuf;

use super::{Setting, SettingError, Sources};

/// The database when nobody names one.
pub(crate) const DEFAULT_DATABASE: &str = "oxbatch.db";

/// Path or URL of the database.
pub(crate) const DATABASE: Setting = Setting {
    flag: "--database",
    variable: "OXBATCH_DATABASE",
    key: "database.path",
    text: "Database file, or its URL (sqlite:FILE)",
    default: DEFAULT_DATABASE,
};

/// All of the section.
pub(super) const SETTINGS: [Setting; 1] = [DATABASE];

/// The section `database`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatabaseSettings {
    /// File of the SQLite database.
    pub(crate) path: PathBuf,
}

impl DatabaseSettings {
    /// Resolves the section.
    pub(crate) fn resolve(flag: Option<&str>, sources: &Sources) -> Result<Self, SettingError> {
        let path = sources.read(&DATABASE, flag, parse_database)?;
        Ok(Self { path: path.unwrap_or_else(|| PathBuf::from(DEFAULT_DATABASE)) })
    }
}

/// A path, `sqlite:path`, `sqlite://path` or `sqlite:///absolute/path`. A URL of another kind is never shown whole: it
/// may hold a password.
fn parse_database(text: &str) -> Result<PathBuf, String> {
    let path = match text.split_once(':') {
        Some(("postgres" | "postgresql", _)) => {
            return Err(
                "PostgreSQL is not in this version: give the path of a SQLite file, such as oxbatch.db".to_owned()
            );
        }
        Some(("sqlite", rest)) => rest.strip_prefix("//").unwrap_or(rest),
        Some((scheme, rest)) if rest.starts_with("//") => {
            return Err(format!(
                "databases of kind '{scheme}' are unknown: give the path of a SQLite file, such as oxbatch.db"
            ));
        }
        _ => text,
    };
    if path == ":memory:" {
        return Err("a database in memory keeps nothing: give the path of a file, such as oxbatch.db".to_owned());
    }
    if path.is_empty() {
        return Err("it names no file: give a path, such as oxbatch.db".to_owned());
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls_of_sqlite_are_read() {
        for (text, path) in [
            ("oxbatch.db", "oxbatch.db"),
            ("/var/lib/a.db", "/var/lib/a.db"),
            ("sqlite:a.db", "a.db"),
            ("sqlite://a.db", "a.db"),
            ("sqlite:///var/lib/a.db", "/var/lib/a.db"),
            ("C:\\jobs.db", "C:\\jobs.db"),
        ] {
            assert_eq!(parse_database(text), Ok(PathBuf::from(path)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_its_password() {
        for text in ["postgres://me:secret@host/db", "mysql://me:secret@host/db", "sqlite::memory:", ":memory:", ""] {
            let fault = parse_database(text).unwrap_err();
            assert!(!fault.contains("secret"), "{fault}");
        }
    }
}
