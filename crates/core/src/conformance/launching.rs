//! Cases of launching, queueing and claiming.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use std::sync::Arc;

use jiff::Timestamp;

use super::Backend;
use super::fixture::{LONG, Process, admitted, known, launch_of};
use crate::execution::{ExecutionId, Status, StatusEvent};
use crate::repository::{
    ExecutionFilter, IdempotencyKey, InstanceFilter, LaunchError, LaunchRequest, Missing, PageRequest, RepositoryError,
};

/// A first launch creates instance, parameters and a waiting execution.
pub async fn a_new_instance_is_created_with_its_parameters(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let launched = process.launch(launch_of(1)).await.unwrap();
    assert_eq!((launched.execution.status, launched.lease, launched.replayed), (Status::Starting, None, false));
    assert_eq!(launched.execution.parameters, launch_of(1).parameters);
    let instance = process.repository.instance(launched.execution.instance_id).await.unwrap().unwrap();
    assert_eq!(instance.job_key, launch_of(1).parameters.job_key());
    assert_eq!(process.execution(launched.execution.id).await, launched.execution);
    assert_eq!(process.repository.instance_parameters(instance.id).await.unwrap().len(), 1);
}

/// A running instance is refused, forced or not, from any process.
pub async fn a_running_instance_is_refused_with_the_running_execution(backend: &dyn Backend) {
    let (one, other) = (Process::start(backend).await, Process::start(backend).await);
    let waiting = one.launch(launch_of(1)).await.unwrap().execution.id;
    let running = one.run(2, LONG).await.execution_id();
    for force in [false, true] {
        for (key, id) in [(1, waiting), (2, running)] {
            match other.launch(LaunchRequest { force, ..launch_of(key) }).await {
                Err(LaunchError::AlreadyRunning { execution_id }) => assert_eq!(execution_id, id),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Of many launches at once of one new instance, through two handles, one is accepted; the others name it.
pub async fn of_64_racing_launches_one_is_accepted(backend: &dyn Backend) {
    let processes = [Process::start(backend).await, Process::start(backend).await];
    let launches = (0..64).map(|number| processes[number % 2].launch(launch_of(1)));
    let results = futures_util::future::join_all(launches).await;
    let accepted: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(accepted.len(), 1);
    for result in &results {
        if let Err(error) = result {
            let LaunchError::AlreadyRunning { execution_id } = error else { panic!("{error}") };
            assert_eq!(*execution_id, accepted[0].execution.id);
        }
    }
}

/// An abandoned execution is refused by a plain launch, and begins anew by a forced one.
pub async fn an_abandoned_instance_can_only_be_forced(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let lease = process.run(1, LONG).await;
    process.run_step(&lease, "Step", StatusEvent::Complete).await;
    process.end(&lease, StatusEvent::Fail).await;
    process.repository.abandon(lease.execution_id()).await.unwrap();
    match process.launch(launch_of(1)).await {
        Err(LaunchError::Abandoned { execution_id }) => assert_eq!(execution_id, lease.execution_id()),
        other => panic!("{other:?}"),
    }
    let forced = process.force(1).await;
    process.start_step(&forced, "Step").await;
}

/// The queue has a limit; a refused launch leaves no instance, and a launch that runs at once needs no place.
pub async fn a_full_queue_refuses_and_leaves_nothing_behind(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    for key in 1..=3 {
        process.launch(admitted(launch_of(key), |admission| admission.queue_limit = 3)).await.unwrap();
    }
    let refused = process.launch(admitted(launch_of(4), |admission| admission.queue_limit = 3)).await;
    assert!(matches!(refused, Err(LaunchError::QueueFull { limit: 3 })), "{refused:?}");
    let page = PageRequest { before: None, limit: 10 };
    assert_eq!(process.repository.instances(InstanceFilter::default(), page).await.unwrap().instances.len(), 3);
    assert_eq!(process.repository.executions(ExecutionFilter::default(), page).await.unwrap().executions.len(), 3);
    process.run(4, LONG).await;
    process.claim(LONG).await.unwrap();
    process.launch(admitted(launch_of(5), |admission| admission.queue_limit = 3)).await.unwrap();
}

/// The same key and request answer the first execution; another request is refused; an outdated key is free again.
pub async fn an_idempotency_key_answers_the_first_execution_until_it_is_outdated(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let key = |hash: &str, life| IdempotencyKey { key: "key".to_owned(), request_hash: hash.to_owned(), life };
    let with = |launch: i64, key| LaunchRequest { idempotency: Some(key), ..launch_of(launch) };
    let first = process.launch(with(1, key("a", LONG))).await.unwrap();
    assert!(!first.replayed);
    // The clock of the node that asks decides nothing, however wrong it is.
    for hours in [0, -1_000, 1_000] {
        let time = Timestamp::now() + jiff::SignedDuration::from_hours(hours);
        let again = process.launch(admitted(with(1, key("a", LONG)), |admission| admission.time = time)).await.unwrap();
        assert!(again.replayed);
        assert_eq!(again.execution, first.execution);
    }
    match process.launch(with(2, key("b", LONG))).await {
        Err(LaunchError::KeyReused { execution_id, .. }) => assert_eq!(execution_id, first.execution.id),
        other => panic!("{other:?}"),
    }
    let later = process.launch(with(2, key("b", std::time::Duration::ZERO))).await.unwrap();
    assert!(!later.replayed);
    assert_ne!(later.execution.id, first.execution.id);
}

/// Claims go by age, to one process each, and only for jobs that it knows.
pub async fn waiting_executions_are_claimed_oldest_first_and_once(backend: &dyn Backend) {
    let (one, other) = (Process::start(backend).await, Process::start(backend).await);
    let foreign = LaunchRequest { job_name: "Other".to_owned(), ..launch_of(0) };
    one.launch(foreign).await.unwrap();
    let mut ids = Vec::new();
    for key in 1..=4 {
        ids.push(one.launch(launch_of(key)).await.unwrap().execution.id);
    }
    let mut claimed: Vec<ExecutionId> = Vec::new();
    while let Some(found) =
        if claimed.len().is_multiple_of(2) { one.claim(LONG).await } else { other.claim(LONG).await }
    {
        assert_eq!((found.execution.status, found.lease.epoch), (Status::Started, 1));
        assert!(found.execution.start_time.is_some() && found.execution.node.as_deref() == Some("node"));
        claimed.push(found.execution.id);
    }
    assert_eq!(claimed, ids);
    let jobs = Arc::new(known(["Other"], "{}"));
    let only = crate::repository::ClaimRequest {
        node: one.node.clone(),
        lease: LONG,
        jobs,
        limits: crate::repository::RunLimits::default(),
        time: Timestamp::now(),
        only: Some(ids[0]),
    };
    assert_eq!(one.repository.claim(only).await.unwrap(), None);
    assert!(matches!(
        one.repository.request_stop(ExecutionId(999)).await,
        Err(RepositoryError::NotFound { what: Missing::Execution, id: 999 })
    ));
}

/// A launch that is to go on behind a certain execution is refused once another came after it.
pub async fn a_launch_behind_another_execution_than_the_last_is_refused(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let first = process.run(1, LONG).await;
    process.end(&first, StatusEvent::Fail).await;
    let first = first.execution_id();
    let behind = |after| LaunchRequest { after: Some(after), ..launch_of(1) };
    let second = process.launch(behind(first)).await.unwrap().execution.id;
    let running = process.launch(behind(first)).await.unwrap_err();
    assert!(matches!(running, LaunchError::AlreadyRunning { execution_id } if execution_id == second), "{running}");
    process.repository.request_stop(second).await.unwrap();
    for force in [false, true] {
        let refused = process.launch(LaunchRequest { force, ..behind(first) }).await.unwrap_err();
        assert!(matches!(refused, LaunchError::NotLast { last, .. } if last == Some(second)), "{refused}");
    }
    process.launch(behind(second)).await.unwrap();
    let new = process.launch(LaunchRequest { after: Some(second), ..launch_of(2) }).await.unwrap_err();
    assert!(matches!(new, LaunchError::NotLast { last: None, .. }), "{new}");
}
