//! A service with more than its jobs: what every job of it has.

use std::fmt;
use std::process::ExitCode;

use oxbatch_core::listener::{JobContext, ListenerFactory, Listeners};
use oxbatch_core::{BoxError, JobRegistry};

use crate::program::{self, IntoRegistry};

/// A program of these jobs, as [`run`](crate::run) runs it, that has something to add to all of them.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use oxbatch::listener::{JobContext, JobEnd, JobListener, Listeners};
/// use oxbatch::{BoxError, JobRegistry, Status};
///
/// struct Mail;
///
/// impl JobListener for Mail {
///     async fn after_job(&self, context: &JobContext, end: &JobEnd) -> Result<(), BoxError> {
///         if end.status == Status::Failed {
///             println!("{} failed: {}", context.job_name(), end.message.as_deref().unwrap_or_default());
///         }
///         Ok(())
///     }
/// }
///
/// fn main() -> ExitCode {
///     oxbatch::service(JobRegistry::default()).listener(|_| Ok(Listeners::new().job(Mail))).run()
/// }
/// ```
#[must_use = "a service does nothing until it is run"]
pub fn service(registry: impl IntoRegistry) -> Service {
    Service { registry: registry.into_registry(), listeners: Vec::new() }
}

/// Builds a service; made by [`service`].
pub struct Service {
    registry: Result<JobRegistry, BoxError>,
    listeners: Vec<ListenerFactory>,
}

impl Service {
    /// Adds listeners of all jobs, by a function that builds them for each execution: see
    /// [`listener`](crate::listener).
    #[must_use]
    pub fn listener<F>(mut self, factory: F) -> Self
    where
        F: Fn(&JobContext) -> Result<Listeners, BoxError> + Send + Sync + 'static,
    {
        self.listeners.push(ListenerFactory::new(factory));
        self
    }

    /// Runs the command line, to its end: what `main` calls and returns. See [`run`](crate::run).
    pub fn run(self) -> ExitCode {
        program::start(self.registry, self.listeners)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("listeners", &self.listeners.len()).finish_non_exhaustive()
    }
}
