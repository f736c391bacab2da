//! Takes a password off the command line, which everybody on the machine can read: the process starts itself again.

use std::ffi::OsString;

use crate::settings::database::DATABASE;

/// `true` if the text is a URL with a password.
fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let in_query =
        rest.split_once('?').is_some_and(|(_, query)| query.split('&').any(|pair| pair.starts_with("password=")));
    user.contains(':') || in_query
}

/// The arguments without a database whose URL has a password, and that URL.
fn without_password(arguments: &[OsString]) -> Option<(Vec<OsString>, String)> {
    let mut kept = Vec::with_capacity(arguments.len());
    let (mut found, mut rest) = (None, arguments.iter());
    while let Some(argument) = rest.next() {
        let text = argument.to_str().unwrap_or_default();
        let inline = text.strip_prefix(DATABASE.flag).and_then(|rest| rest.strip_prefix('='));
        let next = if text == DATABASE.flag { rest.as_slice().first().and_then(|next| next.to_str()) } else { None };
        match inline.or(next).filter(|url| has_password(url)) {
            Some(url) => {
                found = Some(url.to_owned());
                if inline.is_none() {
                    rest.next();
                }
            }
            None => kept.push(argument.clone()),
        }
    }
    found.map(|url| (kept, url))
}

/// Starts the program again in the same process, with the URL in the environment instead, where only its user can read
/// it. Returns when there is nothing to hide, or when it cannot be done.
#[cfg(unix)]
pub(crate) fn password(arguments: &[OsString]) {
    use std::os::unix::process::CommandExt;

    let Some((kept, url)) = without_password(arguments.get(1..).unwrap_or_default()) else { return };
    if let Ok(program) = std::env::current_exe() {
        let mut again = std::process::Command::new(program);
        if let Some(name) = arguments.first() {
            again.arg0(name);
        }
        // It only returns when it fails; the program then goes on with the password where it stands.
        let error = again.args(kept).env(DATABASE.variable, url).exec();
        crate::output::remark(format!("the password on the command line can be read by others: {error}"));
    }
}

#[cfg(not(unix))]
pub(crate) fn password(arguments: &[OsString]) {
    if without_password(arguments).is_some() {
        crate::output::remark("the password on the command line can be read by others: put it into a file");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_password_leaves_the_command_line_and_nothing_else_does() {
        let split = |line: &str| without_password(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        let url = "postgres://me:s3cret@host/db";
        let (kept, found) = split(&format!("serve --database {url} --listen :9")).unwrap();
        assert_eq!((kept, found.as_str()), (["serve", "--listen", ":9"].map(OsString::from).to_vec(), url));
        let (kept, found) = split(&format!("--database={url} jobs")).unwrap();
        assert_eq!((kept, found.as_str()), (["jobs"].map(OsString::from).to_vec(), url));
        assert!(split("run J --database postgres://host/db?password=x").is_some());
        for line in ["serve --database oxbatch.db", "serve --database postgres://me@host/db", "run J a=x://b:c@d"] {
            assert!(split(line).is_none(), "{line}");
        }
    }
}
