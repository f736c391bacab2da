//! The contract of the store for pauses of launches: accepted, and left waiting.

use jiff::Timestamp;

use super::RepositoryFuture;

/// A pause of the launches of a job, or of all: they are accepted and wait, whoever launches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchPause {
    /// The job; `None` for all.
    pub job_name: Option<String>,
    /// The reason, for people.
    pub reason: String,
    /// When it began.
    pub since: Timestamp,
}

impl LaunchPause {
    /// The pause that holds up an execution of a job: that of the job before that of all.
    pub fn of<'a>(pauses: &'a [Self], job_name: &str) -> Option<&'a Self> {
        let find = |name: Option<&str>| pauses.iter().find(|pause| pause.job_name.as_deref() == name);
        find(Some(job_name)).or_else(|| find(None))
    }

    /// The sentence for an execution that waits.
    pub fn sentence(&self) -> String {
        let what = match &self.job_name {
            Some(job_name) => format!("launches of job '{job_name}' are"),
            None => "all launches are".to_owned(),
        };
        format!("{what} paused since {:.0}: {}", self.since, self.reason)
    }
}

/// The durable store of pauses of launches.
///
/// # Contract
/// That of [`JobRepository`](super::JobRepository). What waits in the queue is claimed by nobody while its job is
/// paused; what runs, and what runs at once where it is launched, goes on.
pub trait LaunchPauses: Send + Sync + 'static {
    /// Begins a pause, or gives one another reason. Durable.
    fn pause_launches(&self, pause: LaunchPause) -> RepositoryFuture<'_, ()>;

    /// Ends a pause; `false` where there is none. Durable.
    fn resume_launches<'a>(&'a self, job_name: Option<&'a str>) -> RepositoryFuture<'a, bool>;

    /// All pauses, by job, that of all first.
    fn launch_pauses(&self) -> RepositoryFuture<'_, Vec<LaunchPause>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_of_the_job_is_shown_before_that_of_all() {
        let pause = |job_name: Option<&str>| LaunchPause {
            job_name: job_name.map(str::to_owned),
            reason: "release".to_owned(),
            since: Timestamp::UNIX_EPOCH,
        };
        let pauses = [pause(None), pause(Some("A"))];
        assert_eq!(LaunchPause::of(&pauses, "A"), Some(&pauses[1]));
        assert_eq!(LaunchPause::of(&pauses, "B"), Some(&pauses[0]));
        assert_eq!(LaunchPause::of(&pauses[1..], "B"), None);
        assert_eq!(pauses[0].sentence(), "all launches are paused since 1970-01-01T00:00:00Z: release");
    }
}
