//! Files that a process has seen: their versions, and since when they are unchanged.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::repository::ScheduleId;
use crate::schedule::matches_name;

/// Most files of a folder that one poll takes into account: a folder that holds more is nobody's inbox.
const MOST_FILES: usize = 10_000;

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Version {
    path: PathBuf,
    size: u64,
    pub(super) time: Timestamp,
}

impl Version {
    /// Path and size: with the time, the identity of a fire.
    pub(super) fn file(&self) -> String {
        format!("{} {}", self.path.display(), self.size)
    }
}

/// The versions that a process has seen, and since when.
#[derive(Debug, Default)]
pub(super) struct SeenFiles {
    since: Mutex<HashMap<(ScheduleId, Version), Seen>>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    since: Instant,
    /// It has fired, here or elsewhere.
    is_done: bool,
}

impl SeenFiles {
    /// Takes note of what is there now; the versions that have been unchanged for so long and have not fired.
    pub(super) fn written(&self, id: ScheduleId, there: &[Version], unchanged_for: Duration) -> Vec<Version> {
        let mut since = self.since.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        since.retain(|(of, version), _| *of != id || there.contains(version));
        let now = Instant::now();
        let mut written = Vec::new();
        for version in there {
            let seen = since.entry((id, version.clone())).or_insert(Seen { since: now, is_done: false });
            if !seen.is_done && now.duration_since(seen.since) >= unchanged_for {
                written.push(version.clone());
            }
        }
        written
    }

    pub(super) fn set_done(&self, id: ScheduleId, version: &Version) {
        let mut since = self.since.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(seen) = since.get_mut(&(id, version.clone())) {
            seen.is_done = true;
        }
    }
}

/// The versions of the files that fit a pattern, by name; with a marker, those beside which one stands.
pub(super) fn versions(pattern: &str, marker: Option<&str>) -> Result<Vec<Version>, String> {
    let (folder, name) = pattern
        .rsplit_once('/')
        .map_or((".", pattern), |(folder, name)| (if folder.is_empty() { "/" } else { folder }, name));
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("the folder '{folder}' cannot be read: {error}")),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| format!("the folder '{folder}' cannot be read: {error}"))?;
        let Ok(entry_name) = entry.file_name().into_string() else { continue };
        let is_marker = marker.is_some_and(|end| entry_name.ends_with(end));
        if is_marker || !matches_name(name, &entry_name) {
            continue;
        }
        let has_marker = |end: &str| Path::new(folder).join(format!("{entry_name}{end}")).exists();
        if marker.is_some_and(|end| !has_marker(end)) {
            continue;
        }
        found.extend(version(&entry.path()));
        if found.len() > MOST_FILES {
            return Err(format!("more than {MOST_FILES} files fit '{pattern}': move away those that are done"));
        }
    }
    found.sort_by(|one, other| (one.time, &one.path).cmp(&(other.time, &other.path)));
    Ok(found)
}

/// The version of a file; `None` for what is none, or has gone in the same moment.
fn version(path: &Path) -> Option<Version> {
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let time = Timestamp::try_from(metadata.modified().ok()?).ok()?;
    // As it is stored.
    let time = Timestamp::from_microsecond(time.as_microsecond()).ok()?;
    Some(Version { path: path.to_owned(), size: metadata.len(), time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_fit_are_found_with_their_marker_and_never_the_marker_itself() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.csv", "b.csv", "b.csv.done", "c.txt"] {
            std::fs::write(at(name), name).unwrap();
        }
        std::fs::create_dir(at("d.csv")).unwrap();
        let names = |pattern: &str, marker| {
            let found = versions(&format!("{}/{pattern}", folder.path().display()), marker).unwrap();
            let mut names: Vec<_> =
                found.iter().map(|it| it.path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(names("*.csv", None), ["a.csv", "b.csv"]);
        assert_eq!(names("*", Some(".done")), ["b.csv"]);
        assert_eq!(names("?.txt", None), ["c.txt"]);
        assert!(names("none", None).is_empty());
        assert!(versions("/no/such/folder/*", None).unwrap().is_empty());
    }

    #[test]
    fn a_version_fires_once_it_has_stayed_the_same_and_a_new_one_again() {
        let seen = SeenFiles::default();
        let id = ScheduleId(1);
        let version = |size| Version { path: "/in/a".into(), size, time: Timestamp::UNIX_EPOCH };
        assert!(seen.written(id, &[version(1)], Duration::from_secs(60)).is_empty());
        assert!(seen.written(id, &[version(2)], Duration::from_secs(60)).is_empty(), "it grows");
        assert_eq!(seen.written(id, &[version(2)], Duration::ZERO), [version(2)]);
        seen.set_done(id, &version(2));
        assert!(seen.written(id, &[version(2)], Duration::ZERO).is_empty());
        assert_eq!(seen.written(id, &[version(3)], Duration::ZERO), [version(3)]);
        assert!(seen.written(ScheduleId(2), &[version(3)], Duration::from_secs(60)).is_empty(), "each for itself");
    }
}
