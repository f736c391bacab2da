//! Nodes that share a store: drained, limited, heard of.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::job::GivenParameters;
use oxbatch_core::repository::{Drain, NodeState};
use oxbatch_core::{Engine, Job, Status, TaskOutcome, TaskStep};
use tokio::sync::Semaphore;

use crate::harness::{Events, LONG, TestStore, begin, ended, steps, until};

/// A job whose step runs until it is reported to stop, or until its gate is opened.
fn waiting(name: &str, gate: &Arc<Semaphore>) -> Job {
    let gate = Arc::clone(gate);
    Job::builder(name)
        .step(TaskStep::builder_async("Wait", move |context: oxbatch_core::StepContext| {
            let gate = Arc::clone(&gate);
            async move {
                tokio::select! {
                    () = context.stopping() => Ok(TaskOutcome::Stopped),
                    opened = gate.acquire() => {
                        opened.unwrap().forget();
                        Ok(TaskOutcome::Completed)
                    }
                }
            }
        }))
        .build()
        .unwrap()
}

async fn runs(engine: &Engine, id: oxbatch_core::execution::ExecutionId) {
    until(async || !steps(engine, id).await.is_empty()).await;
}

#[tokio::test]
async fn a_drained_node_finishes_what_it_runs_and_another_takes_the_rest() {
    let place = TestStore::new();
    let gate = Arc::new(Semaphore::new(0));
    let events = Arc::new(Events::default());
    let one = place.node_with([waiting("Wait", &gate)], |config| config.consumers.push(events.clone())).await;
    let id = begin(&one, "Wait").await;
    runs(&one, id).await;
    let boot_id = one.config().node.boot_id;
    let drained = one.drain(boot_id, Some(Drain::default())).await.unwrap();
    assert_eq!((drained.state, drained.running.len()), (NodeState::Draining, 1));
    let options = LaunchOptions::default();
    let second = one.launch("Wait", GivenParameters::default().with("key", 2), options).await.unwrap().execution.id;
    let two = place.node([waiting("Wait", &gate)]).await;
    runs(&two, second).await;
    assert_eq!(one.execution(id).await.unwrap().status, Status::Started);
    gate.add_permits(2);
    assert_eq!(ended(&one, id).await.status, Status::Completed);
    assert_eq!(ended(&two, second).await.status, Status::Completed);
    two.shutdown().await;
    // Told to go on, it takes work again.
    let third = one.launch("Wait", GivenParameters::default().with("key", 3), LaunchOptions::default()).await.unwrap();
    assert_eq!(one.execution(third.execution.id).await.unwrap().status, Status::Starting);
    one.drain(boot_id, None).await.unwrap();
    runs(&one, third.execution.id).await;
    gate.add_permits(1);
    ended(&one, third.execution.id).await;
    assert_eq!(events.seen.lock().unwrap().iter().filter(|name| *name == "DrainChanged").count(), 2);
    one.shutdown().await;
}

#[tokio::test]
async fn a_node_that_is_drained_by_another_stops_what_it_runs_and_tells_that_it_may_end() {
    let place = TestStore::new();
    let gate = Arc::new(Semaphore::new(0));
    let quick = |config: &mut oxbatch_core::EngineConfig| {
        config.heartbeat_every = Duration::from_millis(10);
        config.renew_every = Duration::from_millis(10);
    };
    let one = place.node_with([waiting("Wait", &gate)], quick).await;
    let id = begin(&one, "Wait").await;
    runs(&one, id).await;
    let two = place.node([waiting("Wait", &gate)]).await;
    two.drain(one.config().node.boot_id, Some(Drain { stop: true, exit: true })).await.unwrap();
    tokio::time::timeout(LONG, one.drained()).await.unwrap();
    let stopped = ended(&two, id).await;
    assert_eq!((stopped.status, stopped.exit_code.as_deref()), (Status::Stopped, Some("SHUTDOWN")));
    assert!(stopped.exit_message.unwrap().contains("drained"));
    let successor = oxbatch_core::execution::ExecutionId(id.0 + 1);
    until(async || two.execution(successor).await.is_ok()).await;
    runs(&two, successor).await;
    one.shutdown().await;
    let nodes = two.nodes().await.unwrap();
    assert_eq!(nodes.len(), 1, "a node that has ended in order is still listed: {nodes:?}");
    gate.add_permits(1);
    assert_eq!(ended(&two, successor).await.status, Status::Completed);
    two.shutdown().await;
}

#[tokio::test]
async fn limits_hold_over_several_nodes_and_other_jobs_pass() {
    let place = TestStore::new();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // How many of the others have run: they wait behind the limited ones, which by then were looked at many times.
    let passed = Arc::new(AtomicUsize::new(0));
    let limited = || {
        let (now, most, passed) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&passed));
        let count = TaskStep::builder_async("Count", move |_| {
            let (now, most, passed) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&passed));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // The first two hold their places until all of the others have passed them: one too many would meet them.
                while most.load(Ordering::SeqCst) < 2 || passed.load(Ordering::SeqCst) < 12 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(TaskOutcome::Completed)
            }
        });
        Job::builder("Limited").step(count).max_running(2).build().unwrap()
    };
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let passed = Arc::clone(&passed);
        let free = TaskStep::builder("Pass", move |_| {
            passed.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        nodes.push(place.node([limited(), Job::builder("Free").step(free).build().unwrap()]).await);
    }
    let mut ids = Vec::new();
    for key in 0..12_i64 {
        let given = || GivenParameters::default().with("key", key);
        let node = &nodes[usize::try_from(key).unwrap() % 3];
        ids.push(node.launch("Limited", given(), LaunchOptions::default()).await.unwrap().execution.id);
        ids.push(node.launch("Free", given(), LaunchOptions::default()).await.unwrap().execution.id);
    }
    for id in ids {
        assert_eq!(ended(&nodes[0], id).await.status, Status::Completed);
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
    for node in nodes {
        node.shutdown().await;
    }
}

fn builder_of(name: &str) -> oxbatch_core::job::JobBuilder {
    Job::builder(name).step(TaskStep::builder("Nothing", |_| Ok(())))
}

#[tokio::test]
async fn a_launch_waits_by_the_priority_of_its_job_unless_it_has_its_own() {
    let place = TestStore::new();
    let job = || builder_of("Urgent").priority(7).build().unwrap();
    let idle = place.node_with([job()], |config| config.take_work = false).await;
    let launch = async |key: i64, priority| {
        let options = LaunchOptions { priority, ..LaunchOptions::default() };
        idle.launch("Urgent", GivenParameters::default().with("key", key), options).await
    };
    assert_eq!(launch(1, None).await.unwrap().execution.priority, 7);
    assert_eq!(launch(2, Some(-3)).await.unwrap().execution.priority, -3);
    let refused = launch(3, Some(1_001)).await.unwrap_err().to_string();
    assert_eq!(refused, "priority 1001 is not from -1000 to 1000");
    idle.shutdown().await;
    assert!(builder_of("Bad").priority(-1_001).build().unwrap_err().to_string().contains("-1001"));
    assert!(builder_of("Bad").max_running(0).build().is_err());
}
