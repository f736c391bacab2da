//! The user who runs the program, for names and for the audit log.

use std::env;

/// The name of the user: what the environment says of it, else its number, else nothing better than `unknown`.
pub(crate) fn name() -> String {
    let named = ["LOGNAME", "USER", "USERNAME"].into_iter().filter_map(|variable| env::var(variable).ok());
    let mut fitting = named.filter(|name| !name.is_empty() && !name.contains(char::is_control));
    fitting.next().unwrap_or_else(number)
}

/// The number of the user that owns this process.
#[cfg(target_os = "linux")]
fn number() -> String {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or_else(|_| "unknown".to_owned(), |own| format!("uid {}", own.uid()))
}

#[cfg(not(target_os = "linux"))]
fn number() -> String {
    "unknown".to_owned()
}
