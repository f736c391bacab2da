//! The contract of pauses of launches on PostgreSQL.

use futures_util::FutureExt;
use oxbatch_core::repository::{LaunchPause, LaunchPauses, Notification, RepositoryFuture};

use super::PostgresRepository;
use crate::shared::launch_pauses;

impl LaunchPauses for PostgresRepository {
    fn pause_launches(&self, pause: LaunchPause) -> RepositoryFuture<'_, ()> {
        self.write("pause launches", pause, |session, pause| launch_pauses::pause(session, pause).boxed()).boxed()
    }

    fn resume_launches<'a>(&'a self, job_name: Option<&'a str>) -> RepositoryFuture<'a, bool> {
        async move {
            let job_name = job_name.unwrap_or_default();
            let resume = self.write("resume launches", job_name, |session, job_name| {
                launch_pauses::resume(session, job_name).boxed()
            });
            let is_resumed = resume.await?;
            self.notify(Notification::Work);
            Ok(is_resumed)
        }
        .boxed()
    }

    fn launch_pauses(&self) -> RepositoryFuture<'_, Vec<LaunchPause>> {
        self.read("list pauses of launches", (), |session, ()| launch_pauses::list(session).boxed()).boxed()
    }
}
