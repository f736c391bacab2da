//! Cases of nodes that share a store: who is seen, who drains, in which order and how many at once executions run.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use std::time::Duration;

use super::Backend;
use super::fixture::{JOB, LONG, OTHER_JOB, Process, admitted, launch_of};
use crate::execution::{ExecutionId, StatusEvent};
use crate::repository::{
    Drain, ExecutionFilter, LaunchError, LaunchRequest, Node, NodeState, Notification, PageRequest, RepositoryError,
    RunLimits,
};

fn limits(total: Option<u32>, of_job: Option<u32>) -> RunLimits {
    RunLimits { total, of_jobs: of_job.map(|limit| (JOB.to_owned(), limit)).into_iter().collect() }
}

fn other(key: i64) -> LaunchRequest {
    LaunchRequest { job_name: OTHER_JOB.to_owned(), ..launch_of(key) }
}

/// A living node is listed with its report and its executions; one that has ended in order is not.
pub async fn a_node_is_listed_with_what_it_runs_until_it_ends_in_order(backend: &dyn Backend) {
    let (one, two) = (Process::start(backend).await, Process::start(backend).await);
    let first = one.run(1, LONG).await.execution_id();
    let second = one.run(2, LONG).await;
    one.launch(launch_of(3)).await.unwrap();
    let seen = one.seen_by(&two).await.unwrap();
    assert_eq!(seen.report, one.report(LONG));
    assert_eq!((seen.state, seen.drain), (NodeState::Live, None));
    let job = |id| (id, JOB.to_owned());
    assert_eq!(seen.running, [job(first), job(second.execution_id())]);
    assert!(two.seen_by(&one).await.unwrap().running.is_empty());
    one.end(&second, StatusEvent::Complete).await;
    assert_eq!(one.seen_by(&two).await.unwrap().running, [job(first)]);
    let before = seen.heartbeat;
    assert_eq!(one.beat(LONG).await, None);
    assert!(one.seen_by(&two).await.unwrap().heartbeat >= before);
    one.repository.remove_node(&one.node).await.unwrap();
    assert_eq!(one.seen_by(&two).await, None);
    assert_eq!(two.repository.nodes().await.unwrap().len(), 1);
}

/// A node whose lease has run out is gone, or silent where the repository knows that its process lives.
pub async fn a_node_whose_lease_has_run_out_is_gone_until_it_beats_again(backend: &dyn Backend) {
    let (node, other) = (Process::start(backend).await, Process::start(backend).await);
    node.beat(Duration::ZERO).await;
    let state = node.seen_by(&other).await.unwrap().state;
    assert!(matches!(state, NodeState::Gone | NodeState::Silent), "{state:?}");
    node.beat(LONG).await;
    assert_eq!(node.seen_by(&other).await.unwrap().state, NodeState::Live);
    // Who has forgotten that it was removed is there again with its next heartbeat.
    other.repository.remove_node(&node.node).await.unwrap();
    node.beat(LONG).await;
    assert_eq!(node.seen_by(&other).await.unwrap().state, NodeState::Live);
}

/// A node that drains gets no work, whoever asked for it; it hears of it with its next heartbeat, and of its end.
pub async fn a_draining_node_is_given_nothing_until_it_is_told_to_go_on(backend: &dyn Backend) {
    let (node, other) = (Process::start(backend).await, Process::start(backend).await);
    let running = node.run(1, LONG).await;
    node.launch(launch_of(2)).await.unwrap();
    let drain = Drain { stop: true, exit: false };
    let asked = other.repository.drain(node.node.boot_id, Some(drain)).await.unwrap();
    assert_eq!((asked.state, asked.drain), (NodeState::Draining, Some(drain)));
    assert_eq!(asked.running, [(running.execution_id(), JOB.to_owned())]);
    assert_eq!(node.claim(LONG).await, None);
    assert_eq!(node.beat(LONG).await, Some(drain));
    let exit = Drain { stop: false, exit: true };
    other.repository.drain(node.node.boot_id, Some(exit)).await.unwrap();
    assert_eq!(node.beat(LONG).await, Some(exit));
    // What it runs goes on to its end.
    assert_eq!(node.renew(&[running]).await.len(), 1);
    node.run_step(&running, "Step", StatusEvent::Complete).await;
    node.end(&running, StatusEvent::Complete).await;
    let undone = other.repository.drain(node.node.boot_id, None).await.unwrap();
    assert_eq!((undone.state, undone.drain), (NodeState::Live, None));
    assert_eq!(node.beat(LONG).await, None);
    assert!(node.claim(LONG).await.is_some());
    let unknown = Node::new("nobody").boot_id;
    let refused = other.repository.drain(unknown, Some(drain)).await;
    assert!(matches!(refused, Err(RepositoryError::NodeNotFound { id }) if id == unknown), "{refused:?}");
}

/// A repository that was closed takes no work: the marks of its nodes are gone, and others would recover it at once.
pub async fn a_closed_repository_takes_no_work(backend: &dyn Backend) {
    let (one, closed) = (Process::start(backend).await, Process::start(backend).await);
    let id = one.launch(launch_of(1)).await.unwrap().execution.id;
    closed.repository.close().await.unwrap();
    assert!(closed.claim(LONG).await.is_none());
    assert_eq!(one.claim(LONG).await.unwrap().execution.id, id);
}

/// Higher priorities leave the queue first, equal ones by their age; what resumes a lost execution keeps its place.
pub async fn higher_priorities_leave_the_queue_first_and_equal_ones_by_age(backend: &dyn Backend) {
    let (process, dead) = (Process::start(backend).await, Process::start(backend).await);
    let mut ids = Vec::new();
    for (key, priority) in [(1, 0), (2, 5), (3, -1_000), (4, 5), (5, 1_000)] {
        let launched = process
            .launch(admitted(launch_of(key), |admission| admission.priority = priority))
            .await
            .unwrap()
            .execution;
        assert_eq!(launched.priority, priority);
        ids.push(launched.id);
    }
    let first = dead.claim(Duration::ZERO).await.unwrap().execution;
    assert_eq!((first.id, first.priority), (ids[4], 1_000));
    drop(dead);
    let successor = process.recover().await[0].successor.unwrap();
    let mut order = Vec::new();
    while let Some(claimed) = process.claim(LONG).await {
        order.push(claimed.execution.id);
    }
    assert_eq!(order, [successor, ids[1], ids[3], ids[0], ids[2]]);
}

/// A job at its limit waits, and what waits behind it runs; an end makes room.
pub async fn a_job_at_its_limit_waits_and_holds_up_no_other(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    for key in 1..=3 {
        process.launch(admitted(launch_of(key), |admission| admission.priority = 10)).await.unwrap();
    }
    process.launch(other(1)).await.unwrap();
    let only_one = || limits(None, Some(1));
    let first = process.claim_within(LONG, only_one()).await.unwrap();
    let second = process.claim_within(LONG, only_one()).await.unwrap();
    assert_eq!((first.execution.job_name.as_str(), second.execution.job_name.as_str()), (JOB, OTHER_JOB));
    assert_eq!(process.claim_within(LONG, only_one()).await, None);
    process.repository.request_stop(first.execution.id).await.unwrap();
    // It runs until it has ended, also while it is being stopped.
    assert_eq!(process.claim_within(LONG, only_one()).await, None);
    process.end(&first.lease, StatusEvent::Stop).await;
    assert!(process.claim_within(LONG, limits(Some(2), Some(1))).await.is_some());
    assert_eq!(process.claim_within(LONG, limits(Some(2), None)).await, None);
    assert!(process.claim_within(LONG, limits(Some(3), None)).await.is_some());
}

/// Limits hold exactly when many claim at the same time through several handles, again and again.
pub async fn limits_hold_exactly_when_many_claim_at_once(backend: &dyn Backend) {
    const TOTAL: u32 = 5;
    const OF_JOB: u32 = 2;
    let mut processes = Vec::new();
    for _ in 0..4 {
        processes.push(Process::start(backend).await);
    }
    for key in 1..=12 {
        processes[0].launch(launch_of(key)).await.unwrap();
        processes[0].launch(other(key)).await.unwrap();
    }
    let mut done = 0;
    while done < 24 {
        let claims = (0..32).map(|number| processes[number % 4].claim_within(LONG, limits(Some(TOTAL), Some(OF_JOB))));
        let claimed: Vec<_> = futures_util::future::join_all(claims).await.into_iter().flatten().collect();
        let of_job = claimed.iter().filter(|claimed| claimed.execution.job_name == JOB).count();
        let left = 24 - done;
        // Everything before has ended: as many run now as may, unless there are no more.
        assert!(of_job <= OF_JOB as usize, "{of_job} of the limited job run at once");
        assert!(claimed.len() <= TOTAL as usize, "{} run at once", claimed.len());
        assert!(!claimed.is_empty(), "nothing was claimed of {left} that wait");
        done += claimed.len();
        for claimed in claimed {
            processes[0].end(&claimed.lease, StatusEvent::Complete).await;
        }
    }
}

/// A launch that would bypass the queue is refused at a limit, and leaves nothing behind.
pub async fn a_launch_that_runs_at_once_keeps_to_the_limits(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let at_once = |key, limits| {
        admitted(launch_of(key), |admission| {
            admission.claim = Some((process.node.clone(), LONG));
            admission.limits = limits;
        })
    };
    process.launch(at_once(1, limits(Some(1), Some(1)))).await.unwrap();
    match process.launch(at_once(2, limits(Some(9), Some(1)))).await {
        Err(LaunchError::LimitReached { job, limit: 1 }) => assert_eq!(job.as_deref(), Some(JOB)),
        other => panic!("{other:?}"),
    }
    match process.launch(at_once(2, limits(Some(1), None))).await {
        Err(LaunchError::LimitReached { job: None, limit: 1 }) => {}
        other => panic!("{other:?}"),
    }
    let page = PageRequest { before: None, limit: 10 };
    assert_eq!(process.repository.executions(ExecutionFilter::default(), page).await.unwrap().executions.len(), 1);
    // One that waits in the queue is never refused for them.
    process.launch(admitted(launch_of(3), |admission| admission.limits = limits(Some(1), Some(1)))).await.unwrap();
    let racing = (10..42).map(|key| process.launch(at_once(key, limits(Some(4), None))));
    let results = futures_util::future::join_all(racing).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
}

/// A store that tells of notifications tells other processes of work, starts, stops, ends and drains.
pub async fn news_reach_other_processes_where_the_store_tells_them(backend: &dyn Backend) {
    let (one, other) = (Process::start(backend).await, Process::start(backend).await);
    let Some(mut news) = other.repository.listen() else { return };
    let mut expect = async |expected: Notification| {
        let heard =
            tokio::time::timeout(Duration::from_secs(60), async { while news.recv().await.unwrap() != expected {} });
        heard.await.unwrap_or_else(|_| panic!("{expected:?} was not heard"));
    };
    // What was reported before anybody could hear it is lost, and that is reported.
    expect(Notification::Missed).await;
    let id = one.launch(launch_of(1)).await.unwrap().execution.id;
    expect(Notification::Work).await;
    let claimed = one.claim(LONG).await.unwrap();
    expect(Notification::Started(id)).await;
    one.repository.request_stop(id).await.unwrap();
    expect(Notification::StopRequested(id)).await;
    one.end(&claimed.lease, StatusEvent::Stop).await;
    expect(Notification::Ended(id)).await;
    one.repository.drain(one.node.boot_id, Some(Drain::default())).await.unwrap();
    expect(Notification::Drain).await;
    let waiting = one.launch(launch_of(2)).await.unwrap().execution.id;
    one.repository.request_stop(waiting).await.unwrap();
    expect(Notification::Ended(waiting)).await;
    assert_eq!(waiting, ExecutionId(id.0 + 1));
}
