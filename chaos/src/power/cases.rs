//! The cases: a job, the databases that it has, and what stands on the disk before it.

use std::fs;
use std::path::Path;

use super::service::LAUNCHES;

/// Where a repository is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repository {
    /// `oxbatch.db` on the disk.
    Sqlite,
    /// A server whose data are on the disk.
    Postgres,
}

/// A job whose machine loses its power.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// As on the command line.
    pub(crate) name: &'static str,
    pub(crate) job: &'static str,
    pub(crate) repository: Repository,
    /// Outputs that hold each row once.
    pub(crate) outputs: usize,
    /// The database is created by the run whose machine loses its power.
    pub(crate) first_start: bool,
    /// The rows of chunks that the repository has lost may be there again.
    pub(crate) at_least_once: bool,
    /// The job is launched through a service, several times.
    pub(crate) is_service: bool,
}

impl Case {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            job: name,
            repository: Repository::Sqlite,
            outputs: 1,
            first_start: false,
            at_least_once: false,
            is_service: false,
        }
    }

    const fn twice(self) -> Self {
        Self { outputs: 2, ..self }
    }

    const fn on_postgres(self, name: &'static str) -> Self {
        Self { name, repository: Repository::Postgres, ..self }
    }

    const fn without_database(self, name: &'static str) -> Self {
        Self { name, first_start: true, ..self }
    }

    const fn through_a_service(self, name: &'static str) -> Self {
        Self { name, is_service: true, outputs: LAUNCHES, ..self }
    }

    /// All of them.
    pub(crate) const ALL: [Self; 24] = [
        Self::new("table"),
        Self::new("sqlite-target"),
        Self { at_least_once: true, ..Self::new("sqlite-at-least-once") },
        Self::new("csv"),
        Self::new("joined"),
        Self::new("json-lines"),
        Self::new("json-array"),
        Self::new("xml"),
        Self::new("fixed-width"),
        Self::new("gzip"),
        Self::new("zstd"),
        Self::new("sequence"),
        Self::new("append"),
        Self::new("replace"),
        Self::new("tee").twice(),
        Self::new("tee-of-targets").twice(),
        Self::new("distinct"),
        Self::new("table").without_database("first-start"),
        Self::new("table").through_a_service("service"),
        Self::new("postgres-target"),
        Self::new("postgres-table").on_postgres("postgres-table"),
        Self::new("csv").on_postgres("postgres-csv"),
        Self::new("sqlite-target").on_postgres("postgres-sqlite-target"),
        Self::new("distinct").on_postgres("postgres-distinct"),
    ];

    /// Returns whether a server of PostgreSQL runs on the disk.
    pub(crate) fn has_postgres(&self) -> bool {
        self.name.starts_with("postgres")
    }

    /// Puts on the disk what the job finds there.
    pub(crate) fn prepare(disk: &Path) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        fs::create_dir(disk.join("out")).map_err(text)?;
        fs::write(disk.join("out/kept.csv"), "number,name,cents\n-1,before,0\n").map_err(text)
    }
}
