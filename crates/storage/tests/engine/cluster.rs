//! Three nodes on one PostgreSQL: one of many launches runs, and nodes wake each other, or look when they are not told.

use std::sync::Arc;
use std::time::Duration;

use oxbatch_core::engine::{LaunchOptions, OperatorError};
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::{Drain, LaunchError, Node, Nodes};
use oxbatch_core::{Engine, EngineConfig, Job, JobRegistry, Status, TaskOutcome, TaskStep};
use oxbatch_storage::{PostgresRepository, PostgresSettings};
use oxbatch_test_postgres::TestDatabase;

use crate::harness::{LONG, begin, ended, until};

/// Longer than a test: what happens before was not found by a look.
const NEVER: Duration = Duration::from_secs(3600);

/// Runs until it is reported to stop.
fn endless() -> Job {
    let step = TaskStep::builder_async("Wait", async |context: oxbatch_core::StepContext| {
        context.stopping().await;
        Ok(TaskOutcome::Stopped)
    });
    Job::builder("Endless").step(step).build().unwrap()
}

fn quick() -> Job {
    Job::builder("Quick").step(TaskStep::builder("Nothing", |_| Ok(()))).build().unwrap()
}

/// A node; with notifications it never looks by itself, without it only looks.
async fn node(database: &TestDatabase, with_news: bool, set: impl FnOnce(&mut EngineConfig)) -> Engine {
    let settings = PostgresSettings::from_url(database.url()).unwrap().with_notifications(with_news);
    let repository = PostgresRepository::open(settings).await.unwrap();
    let mut config = EngineConfig::new(Node::new("test"));
    let every = if with_news { NEVER } else { Duration::from_millis(20) };
    (config.poll_every, config.renew_every, config.heartbeat_every) = (every, every, every);
    config.lease = NEVER;
    set(&mut config);
    Engine::start(JobRegistry::new([endless(), quick()]).unwrap(), Arc::new(repository), config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_launches_of_one_instance_over_three_nodes_one_runs() {
    let database = TestDatabase::new();
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(node(&database, true, |_| {}).await);
    }
    let launches: Vec<_> = (0..64)
        .map(|number| {
            let engine = nodes[number % 3].clone();
            tokio::spawn(
                async move { engine.launch("Endless", GivenParameters::default(), LaunchOptions::default()).await },
            )
        })
        .collect();
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for launch in launches {
        match launch.await.unwrap() {
            Ok(launched) => accepted.push(launched.execution.id),
            Err(OperatorError::Launch(LaunchError::AlreadyRunning { execution_id })) => refused.push(execution_id),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((accepted.len(), refused.len()), (1, 63));
    assert!(refused.iter().all(|id| *id == accepted[0]));
    nodes[0].stop(accepted[0]).await.unwrap();
    assert_eq!(ended(&nodes[1], accepted[0]).await.status, Status::Stopped);
    assert_eq!(database.query("SELECT count(*) FROM oxbatch_step_execution"), ["1"]);
    for node in nodes {
        node.shutdown().await;
    }
}

/// All that one node asks of another: work, a stop, an answer to who waits, a drain.
async fn one_node_asks_another(with_news: bool) {
    let database = TestDatabase::new();
    let works = node(&database, with_news, |_| {}).await;
    let asks = node(&database, with_news, |config| config.take_work = false).await;
    // The notifications of a node that has just started to listen may have been reported before it did.
    let quick = begin(&asks, "Quick").await;
    assert_eq!(ended(&asks, quick).await.status, Status::Completed);
    let endless = begin(&asks, "Endless").await;
    until(async || !works.live_steps(endless).is_empty()).await;
    asks.stop(endless).await.unwrap();
    assert_eq!(ended(&asks, endless).await.status, Status::Stopped);
    let exit = Drain { stop: false, exit: true };
    asks.drain(works.config().node.boot_id, Some(exit)).await.unwrap();
    tokio::time::timeout(LONG, works.drained()).await.unwrap();
    works.shutdown().await;
    assert_eq!(asks.nodes().await.unwrap().len(), 1);
    asks.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_never_looks_is_woken_by_news() {
    one_node_asks_another(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hears_no_news_finds_everything_by_looking() {
    let database = TestDatabase::new();
    let settings = PostgresSettings::from_url(database.url()).unwrap().with_notifications(false);
    assert!(PostgresRepository::open(settings).await.unwrap().listen().is_none());
    one_node_asks_another(false).await;
}

/// The server ends the connection that listens: it is made again, and what was missed meanwhile is searched for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_are_heard_again_after_the_connection_was_lost() {
    let database = TestDatabase::new();
    let works = node(&database, true, |_| {}).await;
    let asks = node(&database, true, |config| config.take_work = false).await;
    let first = begin(&asks, "Quick").await;
    assert_eq!(ended(&asks, first).await.status, Status::Completed);
    let listening = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%LISTEN oxbatch%'
         AND pid <> pg_backend_pid() AND datname = current_database()";
    assert!(!database.query(listening).is_empty());
    let given = GivenParameters::default().with("key", 2);
    let second = asks.launch("Quick", given, LaunchOptions::default()).await.unwrap().execution.id;
    assert_eq!(ended(&asks, second).await.status, Status::Completed);
    works.shutdown().await;
    asks.shutdown().await;
}
