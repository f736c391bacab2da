//! The address and settings of the server: the URL without its secrets, TLS, the bound of the connections.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// Connections that a repository opens at most: two for each of eight executions, and four for its own work.
pub const DEFAULT_CONNECTIONS: usize = 20;
/// Least connections with which it can work.
pub const MIN_CONNECTIONS: usize = 3;
/// The repository's own work never needs more.
const MOST_FOR_METADATA: usize = 8;
/// The time that a connection may take, and that one waits for a free one.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that work is retried which fails for a reason that passes (a restart of the server, a lost connection).
pub const DEFAULT_RETRY_TIME: Duration = Duration::from_secs(30);

/// The address and settings of a PostgreSQL server. It never shows its password.
#[derive(Clone)]
pub struct PostgresSettings {
    pub(super) config: Config,
    pub(super) tls: Tls,
    pub(super) connections: usize,
    pub(super) retry_time: Duration,
    pub(super) notifications: bool,
}

/// The demand on encryption, in the words of `sslmode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) verify: Verify,
    /// Certificates that are trusted, as PEM; the system's where none are named.
    pub(super) roots: Option<PathBuf>,
}

/// The check of the server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verify {
    /// Nothing: encryption against who only listens.
    Nothing,
    /// That somebody who is trusted has signed it.
    Signature,
    /// Also that it is the certificate of the host.
    Host,
}

/// Why a URL of PostgreSQL cannot be used. It never shows the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresSettingsError {
    /// It is no URL of PostgreSQL at all.
    #[error("a URL of PostgreSQL reads postgres://USER@HOST:PORT/DATABASE")]
    NotAUrl,
    /// A part of it is wrong.
    #[error("the URL of the PostgreSQL database is not valid: {problem}")]
    Invalid {
        /// The problem.
        problem: String,
    },
    /// The encryption is of no known kind.
    #[error("sslmode '{mode}' is none of disable, allow, prefer, require, verify-ca, verify-full")]
    UnknownMode {
        /// The value that was given.
        mode: String,
    },
    /// Too few connections to work with.
    #[error("{connections} connections are too few: a service needs at least {MIN_CONNECTIONS}")]
    TooFewConnections {
        /// The number that was asked for.
        connections: usize,
    },
}

impl PostgresSettings {
    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…&sslrootcert=…`; several hosts with commas, the
    /// folder of a socket as `%2Frun%2Fpostgresql`.
    ///
    /// # Errors
    /// The problem, without its password.
    pub fn from_url(url: &str) -> Result<Self, PostgresSettingsError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(PostgresSettingsError::NotAUrl);
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut roots, mut kept) = (None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) if value != "system" => roots = Some(PathBuf::from(unescaped(value))),
                Some(("sslrootcert", _)) => {}
                _ => kept.push(pair),
            }
        }
        let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            PostgresSettingsError::Invalid { problem: cause.unwrap_or_else(|| error.to_string()) }
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(PostgresSettingsError::Invalid { problem: "it names no host".to_owned() });
        }
        let (ssl_mode, verify) = match mode {
            None | Some("prefer" | "allow") => (SslMode::Prefer, Verify::Nothing),
            Some("disable") => (SslMode::Disable, Verify::Nothing),
            // As libpq has it: whoever names certificates wants them checked.
            Some("require") if roots.is_some() => (SslMode::Require, Verify::Signature),
            Some("require") => (SslMode::Require, Verify::Nothing),
            Some("verify-ca") => (SslMode::Require, Verify::Signature),
            Some("verify-full") => (SslMode::Require, Verify::Host),
            Some(mode) => return Err(PostgresSettingsError::UnknownMode { mode: mode.to_owned() }),
        };
        // A socket is not encrypted by anybody; asking the server would only cost a round trip.
        let sockets_alone = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        config.ssl_mode(if sockets_alone && mode.is_none() { SslMode::Disable } else { ssl_mode });
        if config.get_application_name().is_none() {
            config.application_name("oxbatch");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(DEFAULT_CONNECT_TIMEOUT);
        }
        // A server that is gone without a word must not be waited for by hours.
        config.keepalives_idle(Duration::from_secs(15));
        config.keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(3);
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(DEFAULT_RETRY_TIME);
        }
        Ok(Self {
            config,
            tls: Tls { verify, roots },
            connections: DEFAULT_CONNECTIONS,
            retry_time: DEFAULT_RETRY_TIME,
            notifications: true,
        })
    }

    /// The password, instead of the URL's.
    pub fn with_password(mut self, password: &str) -> Self {
        self.config.password(password);
        self
    }

    /// Most connections that are open at once. [`DEFAULT_CONNECTIONS`]
    ///
    /// # Errors
    /// When they are fewer than [`MIN_CONNECTIONS`].
    pub fn with_connections(mut self, connections: usize) -> Result<Self, PostgresSettingsError> {
        if connections < MIN_CONNECTIONS {
            return Err(PostgresSettingsError::TooFewConnections { connections });
        }
        self.connections = connections;
        Ok(self)
    }

    /// The number of connections that serve the repository's own work, which is short; steps share the others.
    pub(super) fn for_metadata(&self) -> usize {
        (self.connections / 4).clamp(2, MOST_FOR_METADATA)
    }

    /// The number of steps that can write at once: each needs a connection of its own.
    pub fn steps_at_once(&self) -> usize {
        self.connections - self.for_metadata()
    }

    /// Sets the time that work is retried whose error may pass. [`DEFAULT_RETRY_TIME`]
    pub fn with_retry_time(mut self, time: Duration) -> Self {
        self.retry_time = time;
        self
    }

    /// Sets whether nodes notify each other by LISTEN and NOTIFY; without, they poll. A pooler between nodes and server
    /// that hands connections on after each transaction passes none on.
    pub fn with_notifications(mut self, wanted: bool) -> Self {
        self.notifications = wanted;
        self
    }

    /// A file with the certificates that are trusted, instead of the URL's.
    pub fn with_root_certificates(mut self, file: &Path) -> Self {
        self.tls.roots = Some(file.to_owned());
        if self.tls.verify == Verify::Nothing && self.config.get_ssl_mode() == SslMode::Require {
            self.tls.verify = Verify::Signature;
        }
        self
    }

    /// Returns whether a password is known.
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// The user, when the URL names one.
    pub fn user(&self) -> Option<&str> {
        self.config.get_user()
    }

    /// The database; the user's name where the URL names none.
    pub fn database(&self) -> Option<&str> {
        self.config.get_dbname().or_else(|| self.user())
    }

    /// Host and port of each server, as a password file names them; `localhost` for a socket.
    pub fn servers(&self) -> Vec<(String, u16)> {
        let ports = self.config.get_ports();
        let port = |number: usize| ports.get(number).or(ports.first()).copied().unwrap_or(5432);
        let hosts = self.config.get_hosts().iter().enumerate().map(|(number, host)| match host {
            Host::Tcp(name) => (name.clone(), port(number)),
            Host::Unix(_) => ("localhost".to_owned(), port(number)),
        });
        hosts.collect()
    }

    /// Host, port and database, without secrets: `db.example.org:5432/jobs`.
    pub fn address(&self) -> String {
        let ports = self.config.get_ports();
        let hosts: Vec<_> = self.config.get_hosts().iter().enumerate().collect();
        let shown = hosts.iter().map(|(number, host)| {
            let port = ports.get(*number).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        });
        format!("{}/{}", shown.collect::<Vec<_>>().join(","), self.database().unwrap_or_default())
    }
}

/// Undoes `%2F` and its like.
fn unescaped(text: &str) -> String {
    let pair = format!("x={}", text.replace('+', "%2B"));
    form_urlencoded::parse(pair.as_bytes()).next().map_or_else(String::new, |(_, value)| value.into_owned())
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSettings").field("address", &self.address()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> PostgresSettings {
        PostgresSettings::from_url(url).unwrap()
    }

    #[test]
    fn a_url_shows_where_the_database_is_and_never_its_password() {
        let settings = read("postgres://me:s3cret@db.example.org:5433/jobs?sslmode=require");
        assert_eq!(settings.address(), "db.example.org:5433/jobs");
        assert!(!format!("{settings:?}").contains("s3cret") && settings.has_password());
        assert_eq!(read("postgresql://me@%2Frun%2Fpg/jobs").address(), "/run/pg:5432/jobs");
        assert_eq!(read("postgres://me@a:1,b:2").address(), "a:1,b:2/me");
    }

    #[test]
    fn the_modes_of_encryption_mean_what_they_mean_to_psql() {
        let mode = |query: &str| {
            let settings = read(&format!("postgres://me@host/db{query}"));
            (settings.config.get_ssl_mode(), settings.tls.verify)
        };
        assert_eq!(mode(""), (SslMode::Prefer, Verify::Nothing));
        assert_eq!(mode("?sslmode=disable"), (SslMode::Disable, Verify::Nothing));
        assert_eq!(mode("?sslmode=require"), (SslMode::Require, Verify::Nothing));
        assert_eq!(mode("?sslmode=require&sslrootcert=%2Fa%20b.pem"), (SslMode::Require, Verify::Signature));
        assert_eq!(mode("?sslmode=verify-full&sslrootcert=system"), (SslMode::Require, Verify::Host));
        assert_eq!(read("postgres://me@%2Frun/db").config.get_ssl_mode(), SslMode::Disable);
        assert_eq!(unescaped("%2Fa%20b+c"), "/a b+c");
    }

    #[test]
    fn a_wrong_url_is_told_without_its_password() {
        for (url, said) in [
            ("mysql://me:s3cret@host/db", "reads postgres://"),
            ("postgres://me:s3cret@host:port/db", "port"),
            ("postgres://me:s3cret@host/db?ssl=on", "ssl"),
            ("postgres://me:s3cret@host/db?sslmode=on", "sslmode 'on'"),
            ("postgres:///db", "no host"),
        ] {
            let problem = PostgresSettings::from_url(url).unwrap_err().to_string();
            assert!(problem.contains(said) && !problem.contains("s3cret"), "{url}: {problem}");
        }
        assert!(read("postgres://me@host/db").with_connections(2).is_err());
    }
}
