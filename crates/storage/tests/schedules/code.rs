//! Schedules of the code: applied when a node starts, fired each second, changed and taken away by the next version.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use oxbatch_core::execution::Status;
use oxbatch_core::repository::{
    Fire, FireFilter, FireOutcome, JobRepository, Node, PageRequest, ScheduleFilter, StoredSchedule,
};
use oxbatch_core::{Engine, EngineConfig, Job, JobRegistry, Schedule, TaskStep};
use oxbatch_storage::SqliteRepository;

/// Long enough for anything that is going to happen; a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(60);

fn job(schedules: impl IntoIterator<Item = Schedule>) -> Job {
    let step = TaskStep::builder("Only", |_| Ok(()));
    schedules.into_iter().fold(Job::builder("Job").step(step), |job, schedule| job.schedule(schedule)).build().unwrap()
}

fn open(folder: &Path) -> Arc<dyn JobRepository> {
    Arc::new(SqliteRepository::open(&folder.join("oxbatch.db")).unwrap())
}

pub(crate) async fn node(folder: &Path, jobs: impl IntoIterator<Item = Job>) -> Engine {
    let config = EngineConfig::new(Node::new("node"));
    Engine::start(JobRegistry::new(jobs).unwrap(), open(folder), config).await.unwrap()
}

async fn schedules(engine: &Engine) -> Vec<StoredSchedule> {
    engine.repository().schedules(ScheduleFilter::All).await.unwrap()
}

pub(crate) async fn fires(engine: &Engine) -> Vec<Fire> {
    let page = PageRequest { before: None, limit: 1_000 };
    engine.repository().fires(FireFilter::default(), page).await.unwrap().fires
}

/// Polls until something holds, within a bound.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(LONG, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_each_second_fires_each_second_once_on_two_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let each_second = || job([Schedule::cron("* * * * * *").expression("at", "fire")]);
    let nodes = [node(folder.path(), [each_second()]).await, node(folder.path(), [each_second()]).await];
    until(async || fires(&nodes[0]).await.iter().filter(|fire| fire.status == Some(Status::Completed)).count() >= 4)
        .await;
    let mut fired = fires(&nodes[1]).await;
    fired.sort_by_key(|fire| fire.instant);
    for pair in fired.windows(2) {
        assert_eq!(
            pair[1].instant.as_second() - pair[0].instant.as_second(),
            1,
            "none is missing, and none comes twice"
        );
    }
    for fire in &fired {
        assert!(matches!(fire.outcome, FireOutcome::Launched | FireOutcome::Waiting), "{fire:?}");
        // The record is made within the second in which it fires, unless the machine was busy.
        assert!(fire.record_time >= fire.instant, "{fire:?}");
    }
    let first = nodes[0].repository().execution(fired[0].execution_id.unwrap()).await.unwrap().unwrap();
    let at: jiff::Timestamp = first.parameters.date_time("at").unwrap().to_string().parse().unwrap();
    assert_eq!(at, fired[0].instant);
    for node in nodes {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schedules_of_the_code_follow_its_versions() {
    let folder = tempfile::tempdir().unwrap();
    let daily = |name: &str, cron: &str| Schedule::cron(cron).named(name).expression("day", "fire date");
    let first = node(folder.path(), [job([daily("a", "0 3 * * *"), daily("b", "0 4 * * *").off("not yet")])]).await;
    until(async || schedules(&first).await.len() == 2).await;
    let before = schedules(&first).await;
    assert_eq!(first.repository().pauses().await.unwrap().len(), 1);
    let added = daily("by-hand", "0 5 * * *");
    first.scheduler().add("Job", &added).await.unwrap();
    first.shutdown().await;

    // The same version changes nothing; what was resumed stays so.
    let second = node(folder.path(), [job([daily("a", "0 3 * * *"), daily("b", "0 4 * * *").off("not yet")])]).await;
    second.scheduler().apply().await.unwrap();
    assert_eq!(schedules(&second).await.iter().filter(|it| it.name != "by-hand").cloned().collect::<Vec<_>>(), before);
    second.shutdown().await;

    let third = node(folder.path(), [job([daily("a", "0 6 * * *")])]).await;
    third.scheduler().apply().await.unwrap();
    let after = schedules(&third).await;
    let names: Vec<_> = after.iter().map(|stored| stored.name.as_str()).collect();
    assert_eq!(names, ["a", "by-hand"], "one of them was taken out of the code");
    assert_eq!(after[0].id, before[0].id);
    assert!(after[0].recorded_until > before[0].recorded_until, "another calendar begins anew");
    assert!(fires(&third).await.is_empty());
    third.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_whose_job_no_node_knows_is_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let first = node(folder.path(), [job([Schedule::cron("0 3 * * *").expression("day", "fire date")])]).await;
    until(async || schedules(&first).await.len() == 1).await;
    first.shutdown().await;
    // Its next fire came two minutes ago, and the version that runs now has another job.
    let connection = rusqlite::Connection::open(folder.path().join("oxbatch.db")).unwrap();
    let sql = "UPDATE oxbatch_schedule SET settled = (CAST(unixepoch('subsec') * 1000000 AS INTEGER)) - 86400000000 - 120000000,
                   next_fire = (CAST(unixepoch('subsec') * 1000000 AS INTEGER)) - 120000000";
    connection.execute_batch(sql).unwrap();
    let other = Job::builder("Other").step(TaskStep::builder("Only", |_| Ok(()))).build().unwrap();
    let second = node(folder.path(), [other]).await;
    until(async || !fires(&second).await.is_empty()).await;
    let fire = fires(&second).await.remove(0);
    assert_eq!(fire.outcome, FireOutcome::Refused);
    assert_eq!(fire.message.as_deref(), Some("no node knows the job 'Job'"));
    second.shutdown().await;
}
