//! Hundreds of schedules that cannot go on hide none that can.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use oxbatch_core::engine::{Operator, OperatorConfig, Ticked};
use oxbatch_core::execution::StatusEvent;
use oxbatch_core::repository::{
    Agenda, ClaimRequest, ExecutionOutcome, FireFilter, FireOutcome, JobRepository, KnownJobs, Node, PageRequest,
    PutSchedule, RunLimits, ScheduleFilter, ScheduleOrigin,
};
use oxbatch_core::{Job, JobRegistry, Schedule, TaskStep};
use oxbatch_storage::SqliteRepository;

/// More than one question brings.
const CROWD: usize = 450;

fn second(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_secs(1_800_000_000 + seconds)).unwrap()
}

/// A node that knows the job `Known`.
fn operator(folder: &Path) -> Operator {
    let repository: Arc<dyn JobRepository> = Arc::new(SqliteRepository::open(&folder.join("oxbatch.db")).unwrap());
    let job = Job::builder("Known").step(TaskStep::builder("Only", |_| Ok(()))).build().unwrap();
    Operator::new(JobRegistry::new([job]).unwrap(), repository, OperatorConfig::new(Node::new("node")))
}

async fn put(operator: &Operator, name: &str, job: &str, first: i64) {
    let put = PutSchedule {
        name: name.to_owned(),
        job_name: job.to_owned(),
        definition: Schedule::cron("* * * * * *").expression("at", "fire").parameter("of", name).to_json(),
        origin: ScheduleOrigin::Added,
        recorded_until: second(first - 1),
        next_fire: Some(second(first)),
        revision: None,
        time: second(0),
        paused: None,
    };
    assert!(operator.repository().put_schedule(put).await.unwrap());
}

async fn tick(operator: &Operator, now: i64) -> Ticked {
    let now = second(now);
    let agenda = Agenda {
        now,
        next_fire: Some(now),
        next_deadline: None,
        next_resume: None,
        has_waiting: true,
        has_files: false,
        has_backfills: false,
        next_notice: None,
    };
    operator.scheduler().tick(&agenda).await.unwrap()
}

async fn outcomes(operator: &Operator, name: &str) -> Vec<FireOutcome> {
    let found = operator.repository().schedules(ScheduleFilter::Named(name.to_owned())).await.unwrap();
    let filter = FireFilter { schedule_id: Some(found[0].id), ..FireFilter::default() };
    let page = operator.repository().fires(filter, PageRequest { before: None, limit: 100 }).await.unwrap();
    page.fires.into_iter().map(|fire| fire.outcome).collect()
}

#[tokio::test]
async fn schedules_of_jobs_that_a_node_does_not_know_hide_none_behind_them() {
    let folder = tempfile::tempdir().unwrap();
    let operator = operator(folder.path());
    for number in 0..CROWD {
        put(&operator, &format!("unknown-{number}"), "Unknown", 1).await;
    }
    put(&operator, "known", "Known", 2).await;
    let ticked = tick(&operator, 2).await;
    assert_eq!(outcomes(&operator, "known").await, [FireOutcome::Launched], "{ticked:?}");
    assert_eq!(ticked.fires, 1);
}

#[tokio::test]
async fn fires_that_have_to_wait_hide_none_behind_them() {
    let folder = tempfile::tempdir().unwrap();
    let operator = operator(folder.path());
    for number in 0..CROWD {
        put(&operator, &format!("busy-{number}"), "Known", 1).await;
    }
    put(&operator, "free", "Known", 1).await;
    tick(&operator, 1).await;
    tick(&operator, 2).await;
    assert_eq!(outcomes(&operator, "free").await, [FireOutcome::Waiting, FireOutcome::Launched]);
    complete_the_first_of(&operator, "free").await;
    let ticked = tick(&operator, 2).await;
    assert_eq!(outcomes(&operator, "free").await, [FireOutcome::Launched; 2], "{ticked:?}");
    assert_eq!(ticked.launched, 1);
}

/// Claims the execution that a schedule has launched, and ends it.
async fn complete_the_first_of(operator: &Operator, name: &str) {
    let found = operator.repository().schedules(ScheduleFilter::Named(name.to_owned())).await.unwrap();
    let job = operator.registry().get("Known").unwrap();
    let request = ClaimRequest {
        node: Node::new("node"),
        lease: Duration::from_secs(100_000_000),
        jobs: Arc::new(KnownJobs::new([("Known".to_owned(), job.fingerprint().to_owned())])),
        limits: RunLimits::default(),
        time: second(2),
        only: Some(found[0].last.unwrap().id),
    };
    let claimed = operator.repository().claim(request).await.unwrap().unwrap();
    let event = StatusEvent::Complete;
    let end = ExecutionOutcome { event, exit_code: None, exit_message: None, resume: false, time: second(2) };
    operator.repository().finish_execution(&claimed.lease, end).await.unwrap();
}
