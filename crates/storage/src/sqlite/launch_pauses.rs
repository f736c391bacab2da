//! The contract of pauses of launches on SQLite.

use oxbatch_core::repository::{LaunchPause, LaunchPauses, RepositoryFuture};

use super::SqliteRepository;
use super::shared::done;
use crate::shared::launch_pauses;

impl LaunchPauses for SqliteRepository {
    fn pause_launches(&self, pause: LaunchPause) -> RepositoryFuture<'_, ()> {
        self.write_shared("pause launches", move |connection| done(launch_pauses::pause(connection, &pause)))
    }

    fn resume_launches<'a>(&'a self, job_name: Option<&'a str>) -> RepositoryFuture<'a, bool> {
        let job_name = job_name.unwrap_or_default().to_owned();
        self.write_shared("resume launches", move |connection| done(launch_pauses::resume(connection, &job_name)))
    }

    fn launch_pauses(&self) -> RepositoryFuture<'_, Vec<LaunchPause>> {
        self.ask_shared("list pauses of launches", |connection| done(launch_pauses::list(connection)))
    }
}
