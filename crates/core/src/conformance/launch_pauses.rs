//! Cases of pauses of launches: accepted, waiting, and run when the pause has ended.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use jiff::Timestamp;

use super::Backend;
use super::fixture::{JOB, LONG, OTHER_JOB, Process, launch_of};
use crate::repository::{LaunchPause, LaunchRequest};

fn pause(job_name: Option<&str>, reason: &str) -> LaunchPause {
    LaunchPause { job_name: job_name.map(str::to_owned), reason: reason.to_owned(), since: Timestamp::UNIX_EPOCH }
}

/// A launch in a pause waits, of that job alone; what runs at once is not held up.
pub async fn a_paused_job_is_launched_and_waits(backend: &dyn Backend) {
    let (process, other) = (Process::start(backend).await, Process::start(backend).await);
    process.repository.pause_launches(pause(Some(JOB), "release")).await.unwrap();
    let waiting = process.launch(launch_of(1)).await.unwrap().execution.id;
    process.launch(LaunchRequest { job_name: OTHER_JOB.to_owned(), ..launch_of(2) }).await.unwrap();
    let claimed = other.claim(LONG).await.unwrap().execution;
    assert_eq!(claimed.job_name, OTHER_JOB);
    assert!(other.claim(LONG).await.is_none());
    process.run(3, LONG).await;
    assert!(!process.repository.resume_launches(None).await.unwrap());
    assert!(other.repository.resume_launches(Some(JOB)).await.unwrap());
    assert!(!other.repository.resume_launches(Some(JOB)).await.unwrap());
    assert_eq!(other.claim(LONG).await.unwrap().execution.id, waiting);
}

/// A pause of all holds up every job; the reason can be changed, and the begin stays.
pub async fn a_pause_of_all_holds_up_every_job(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    process.launch(launch_of(1)).await.unwrap();
    process.launch(LaunchRequest { job_name: OTHER_JOB.to_owned(), ..launch_of(2) }).await.unwrap();
    process.repository.pause_launches(pause(Some(JOB), "one")).await.unwrap();
    process.repository.pause_launches(pause(None, "all")).await.unwrap();
    let later = LaunchPause { since: Timestamp::now(), ..pause(None, "another reason") };
    process.repository.pause_launches(later).await.unwrap();
    let pauses = process.repository.launch_pauses().await.unwrap();
    assert_eq!(pauses, [pause(None, "another reason"), pause(Some(JOB), "one")]);
    assert!(process.claim(LONG).await.is_none());
    assert!(process.repository.resume_launches(None).await.unwrap());
    assert_eq!(process.claim(LONG).await.unwrap().execution.job_name, OTHER_JOB);
    assert!(process.claim(LONG).await.is_none());
}
