//! The password of PostgreSQL: from a file of its own, from `PGPASSWORD`, or from the password file that psql reads
//! too.

use std::path::{Path, PathBuf};

use oxbatch_storage::PostgresSettings;

use super::database::PASSWORD_FILE;
use super::{SettingError, Sources};
use crate::cli::GlobalArgs;

/// Finds the password of a URL that has none. The strongest is the file that was named for it.
pub(super) fn find(
    settings: &PostgresSettings,
    globals: &GlobalArgs,
    sources: &Sources,
) -> Result<Option<String>, SettingError> {
    let named = sources.read(&PASSWORD_FILE, globals.database_password_file.as_deref(), first_line)?;
    if named.is_some() {
        return Ok(named);
    }
    let variable = |name| sources.variable(name).and_then(|value| value.into_string().ok());
    if let Some(password) = variable("PGPASSWORD") {
        return Ok(Some(password));
    }
    let file = variable("PGPASSFILE").or_else(|| variable("HOME").map(|home| format!("{home}/.pgpass")));
    Ok(file.and_then(|file| in_password_file(Path::new(&file), settings)))
}

/// The first line of a file that holds a password and nothing else.
fn first_line(file: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(PathBuf::from(file))
        .map_err(|error| format!("the password file '{file}' cannot be read: {error}"))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(format!("the password file '{file}' is empty")),
    }
}

/// The line of psql's password file that fits. A file that others can read is not used, as psql does not either.
fn in_password_file(file: &Path, settings: &PostgresSettings) -> Option<String> {
    if is_open_to_others(file) {
        tracing::warn!(file = %file.display(), "the password file is not used: others can read it; set its mode to 0600");
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    let user = settings.user()?;
    let database = settings.database().unwrap_or(user);
    let servers = settings.servers();
    let (host, port) = servers.first()?;
    line_that_fits(&text, &[host, &port.to_string(), database, user])
}

#[cfg(unix)]
fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

/// `host:port:database:user:password`; `*` fits everything, a backslash takes the next character as it is.
fn line_that_fits(text: &str, wanted: &[&str; 4]) -> Option<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#')).map(fields);
    let mut fitting = lines.filter(|fields| {
        fields.len() == 5
            && wanted.iter().zip(fields).all(|(wanted, (field, literal))| field == wanted || (!literal && field == "*"))
    });
    fitting.next().and_then(|mut fields| fields.pop()).map(|(password, _)| password)
}

/// The fields of a line, and whether each has an escaped character.
fn fields(line: &str) -> Vec<(String, bool)> {
    let mut fields = vec![(String::new(), false)];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        // The password is the rest of the line, colons included.
        let in_password = fields.len() == 5;
        let Some((field, literal)) = fields.last_mut() else { break };
        match character {
            '\\' => {
                field.extend(characters.next());
                *literal = true;
            }
            ':' if !in_password => fields.push((String::new(), false)),
            other => field.push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_gives_the_password() {
        let file = "# comment\nhost:5432:db:other:no\nhost:5432:*:me:a:b\\\\c\n*:*:*:*:last\n\\*:1:db:me:literal";
        let find = |host, port, database, user| line_that_fits(file, &[host, port, database, user]);
        assert_eq!(find("host", "5432", "db", "me").as_deref(), Some("a:b\\c"));
        assert_eq!(find("else", "1", "db", "you").as_deref(), Some("last"));
        assert_eq!(line_that_fits("\\*:1:db:me:x", &["host", "1", "db", "me"]), None);
        assert_eq!(line_that_fits("host:1:db:me", &["host", "1", "db", "me"]), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_password_file_that_others_can_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "host:5432:db:me:s3cret\n").unwrap();
        let settings = PostgresSettings::from_url("postgres://me@host/db").unwrap();
        let with_mode = |mode| {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            in_password_file(file.path(), &settings)
        };
        assert_eq!(with_mode(0o600).as_deref(), Some("s3cret"));
        assert_eq!(with_mode(0o644), None);
    }
}
