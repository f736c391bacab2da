//! Where the database is: `OXBATCH_DATABASE`, `OXBATCH_DATABASE_PASSWORD_FILE`, `OXBATCH_DATABASE_CONNECTIONS`,
//! `OXBATCH_DATABASE_RETRY_TIME`.

use std::path::PathBuf;

#[cfg(feature = "postgres")]
use oxbatch_storage::PostgresSettings;

#[cfg(feature = "postgres")]
use super::password;
use super::{Setting, SettingError, Sources};
use crate::cli::GlobalArgs;

/// The database when nobody names one.
pub(crate) const DEFAULT_DATABASE: &str = "oxbatch.db";

/// Path or URL of the database.
pub(crate) const DATABASE: Setting = Setting {
    flag: "--database",
    variable: "OXBATCH_DATABASE",
    key: "database.path",
    text: "Database: a file, or a URL (sqlite:FILE, postgres://USER@HOST/NAME)",
    default: DEFAULT_DATABASE,
};

/// File with PostgreSQL's password.
pub(crate) const PASSWORD_FILE: Setting = Setting {
    flag: "--database-password-file",
    variable: "OXBATCH_DATABASE_PASSWORD_FILE",
    key: "database.password_file",
    text: "File whose first line is the password of the PostgreSQL database",
    default: "PGPASSWORD, or the line of PGPASSFILE that fits",
};

/// Bound of the connections to PostgreSQL.
pub(crate) const CONNECTIONS: Setting = Setting {
    flag: "--database-connections",
    variable: "OXBATCH_DATABASE_CONNECTIONS",
    key: "database.connections",
    text: "Most connections to the PostgreSQL database",
    default: "two for each execution at once, and four",
};

/// The time for which a transient failure is retried.
pub(crate) const RETRY_TIME: Setting = Setting {
    flag: "--database-retry-time",
    variable: "OXBATCH_DATABASE_RETRY_TIME",
    key: "database.retry_time",
    text: "Longest wait for a lost connection or a restart of the PostgreSQL server",
    default: "30s",
};

/// All of the section.
pub(super) const SETTINGS: [Setting; 4] = [DATABASE, PASSWORD_FILE, CONNECTIONS, RETRY_TIME];

/// The section `database`.
#[derive(Debug, Clone)]
pub(crate) enum DatabaseSettings {
    /// A file of SQLite.
    Sqlite { path: PathBuf },
    /// A database of PostgreSQL, and how many connections were asked for.
    #[cfg(feature = "postgres")]
    Postgres { settings: Box<PostgresSettings>, connections: Option<usize> },
}

/// The database that a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    File(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(String),
}

impl DatabaseSettings {
    /// Resolves the section.
    pub(crate) fn resolve(globals: &GlobalArgs, sources: &Sources) -> Result<Self, SettingError> {
        let named = sources.read(&DATABASE, globals.database.as_deref(), parse_database)?;
        match named.unwrap_or_else(|| Named::File(PathBuf::from(DEFAULT_DATABASE))) {
            Named::File(path) => Ok(Self::Sqlite { path }),
            #[cfg(feature = "postgres")]
            Named::Postgres(url) => postgres(&url, globals, sources),
        }
    }

    /// The same for a node that runs so many executions at once: with enough connections, unless somebody has said how
    /// many.
    ///
    /// # Errors
    /// When those are too few: executions would take slots, and then wait for a connection in vain.
    pub(crate) fn for_concurrency(self, concurrency: usize) -> Result<Self, SettingError> {
        match self {
            Self::Sqlite { path } => {
                // One file, one writer: there is nothing to share out.
                let _ = concurrency;
                Ok(Self::Sqlite { path })
            }
            #[cfg(feature = "postgres")]
            Self::Postgres { settings, connections } => enough_connections(settings, connections, concurrency),
        }
    }
}

#[cfg(feature = "postgres")]
fn enough_connections(
    settings: Box<PostgresSettings>,
    connections: Option<usize>,
    concurrency: usize,
) -> Result<DatabaseSettings, SettingError> {
    let enough = concurrency.saturating_mul(2).saturating_add(4);
    let Some(connections) = connections else {
        let settings = settings.clone().with_connections(enough).map_or(settings, Box::new);
        return Ok(DatabaseSettings::Postgres { settings, connections: Some(enough) });
    };
    let steps = settings.steps_at_once();
    if steps >= concurrency {
        return Ok(DatabaseSettings::Postgres { settings, connections: Some(connections) });
    }
    let problem = format!(
        "{connections} connections serve {steps} executions at once, but engine.concurrency is {concurrency}: raise \
         database.connections to {enough} or more, or lower engine.concurrency"
    );
    Err(SettingError::Invalid { origin: super::Origin::Flag(CONNECTIONS.flag), problem })
}

#[cfg(feature = "postgres")]
fn postgres(url: &str, globals: &GlobalArgs, sources: &Sources) -> Result<DatabaseSettings, SettingError> {
    use super::parse_count;
    use crate::duration::parse_duration;

    let read = |text: &str| PostgresSettings::from_url(text).map_err(|error| error.to_string());
    // It was checked when it was read; the origin is named there.
    let mut settings = match sources.read(&DATABASE, globals.database.as_deref(), read)? {
        Some(settings) => settings,
        None => read(url)
            .map_err(|problem| SettingError::Invalid { origin: super::Origin::Variable(DATABASE.variable), problem })?,
    };
    let least = oxbatch_storage::MIN_CONNECTIONS;
    let connections =
        sources.read(&CONNECTIONS, globals.database_connections.as_deref(), |text| parse_count(text, least))?;
    if let Some(connections) = connections {
        settings = settings.clone().with_connections(connections).unwrap_or(settings);
    }
    if let Some(time) = sources.read(&RETRY_TIME, globals.database_retry_time.as_deref(), parse_duration)? {
        settings = settings.with_retry_time(time);
    }
    if !settings.has_password()
        && let Some(password) = password::find(&settings, globals, sources)?
    {
        settings = settings.with_password(&password);
    }
    Ok(DatabaseSettings::Postgres { settings: Box::new(settings), connections })
}

/// A path, `sqlite:path`, `sqlite://path`, `sqlite:///absolute/path` or a URL of PostgreSQL. A URL is never shown
/// whole: it may hold a password.
fn parse_database(text: &str) -> Result<Named, String> {
    let path = match text.split_once(':') {
        #[cfg(feature = "postgres")]
        Some(("postgres" | "postgresql", _)) => {
            return PostgresSettings::from_url(text)
                .map(|_| Named::Postgres(text.to_owned()))
                .map_err(|error| error.to_string());
        }
        #[cfg(not(feature = "postgres"))]
        Some(("postgres" | "postgresql", _)) => {
            return Err("this program was built without PostgreSQL: build it with the feature 'postgres'".to_owned());
        }
        Some(("sqlite", rest)) => rest.strip_prefix("//").unwrap_or(rest),
        Some((scheme, rest)) if rest.starts_with("//") => {
            return Err(format!(
                "databases of kind '{scheme}' are unknown: give the path of a SQLite file, such as oxbatch.db, or \
                 postgres://USER@HOST/NAME"
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
    Ok(Named::File(PathBuf::from(path)))
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
            assert_eq!(parse_database(text), Ok(Named::File(PathBuf::from(path))), "{text}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_url_of_postgresql_is_one_however_it_is_spelled() {
        for url in ["postgres://me@host/db", "postgresql://me:secret@host:5433/db?sslmode=require"] {
            assert_eq!(parse_database(url), Ok(Named::Postgres(url.to_owned())));
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_node_has_a_connection_for_each_execution_or_is_refused() {
        let settings = PostgresSettings::from_url("postgres://me@host/db").unwrap();
        let of = |connections: Option<usize>| {
            let settings =
                connections.map_or(settings.clone(), |number| settings.clone().with_connections(number).unwrap());
            DatabaseSettings::Postgres { settings: Box::new(settings), connections }
        };
        for concurrency in [1, 8, 100] {
            let enough = of(None).for_concurrency(concurrency).unwrap();
            assert!(
                matches!(enough, DatabaseSettings::Postgres { settings, .. } if settings.steps_at_once() >= concurrency)
            );
        }
        assert!(of(Some(3)).for_concurrency(1).is_ok());
        let refused = of(Some(3)).for_concurrency(8).unwrap_err().to_string();
        assert!(
            refused.contains("3 connections serve 1 executions at once") && refused.contains("to 20 or more"),
            "{refused}"
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_its_password() {
        for text in ["postgres://me:secret@host:x/db", "mysql://me:secret@host/db", "sqlite::memory:", ":memory:", ""] {
            let error = parse_database(text).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
