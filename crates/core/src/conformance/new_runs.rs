//! Cases of new runs: launches that are given the next run number of their job.
#![expect(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use super::Backend;
use super::fixture::{LONG, OTHER_JOB, Process, admitted, launch_of};
use crate::execution::ExecutionId;
use crate::job::{Parameter, ParameterValue, RUN_PARAMETER};
use crate::repository::{IdempotencyKey, LaunchError, LaunchRequest, Launched};

fn new_run(key: i64) -> LaunchRequest {
    LaunchRequest { new_run: true, ..launch_of(key) }
}

/// A launch that gives a run number by itself.
fn numbered(key: i64, run: i64) -> LaunchRequest {
    let launch = launch_of(key);
    LaunchRequest { parameters: launch.parameters.with(RUN_PARAMETER, run), ..launch }
}

fn run_of(launched: &Launched) -> i64 {
    launched.execution.parameters.integer(RUN_PARAMETER).unwrap()
}

async fn launch(process: &Process, request: LaunchRequest) -> Launched {
    process.launch(request).await.unwrap()
}

/// Numbers go on from the greatest of the job, whoever gave it; other jobs and other parameters have no part in it.
pub async fn a_new_run_has_the_number_after_the_greatest_of_its_job(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let with = |key: i64, value: ParameterValue, identifying| {
        let mut request = launch_of(key);
        request.parameters.insert(RUN_PARAMETER, Parameter { value, identifying, secret: false });
        request
    };
    launch(&process, with(1, ParameterValue::Integer(70), false)).await;
    launch(&process, with(2, "80".into(), true)).await;
    launch(&process, numbered(3, -5)).await;
    launch(&process, numbered(4, 4)).await;
    launch(&process, LaunchRequest { job_name: OTHER_JOB.to_owned(), ..numbered(5, 90) }).await;
    let first = launch(&process, new_run(6)).await;
    assert_eq!(run_of(&first), 5);
    let again = launch(&process, new_run(6)).await;
    assert_eq!(run_of(&again), 6);
    assert_ne!(again.execution.instance_id, first.execution.instance_id);
    launch(&process, numbered(7, 20)).await;
    launch(&process, numbered(7, 12)).await;
    assert_eq!(run_of(&launch(&process, new_run(8)).await), 21);
    assert_eq!(run_of(&launch(&process, LaunchRequest { job_name: OTHER_JOB.to_owned(), ..new_run(6) }).await), 91);

    let instance = process.repository.instance(first.execution.instance_id).await.unwrap().unwrap();
    assert_eq!(instance.job_key, numbered(6, 5).parameters.job_key(), "it is the instance of these parameters");
    let kept = process.repository.instance_parameters(instance.id).await.unwrap();
    assert!(kept.iter().any(|kept| kept.name == RUN_PARAMETER && kept.parameter.value == ParameterValue::Integer(5)));
    assert_eq!(process.execution(first.execution.id).await, first.execution);
}

/// Many at once, through two handles: each number is given once, and none is left out.
pub async fn racing_new_runs_have_numbers_of_their_own(backend: &dyn Backend) {
    let processes = [Process::start(backend).await, Process::start(backend).await];
    for round in 0..2 {
        let launches = (0..32).map(|number| launch(&processes[number % 2], new_run(1)));
        let mut runs: Vec<_> = futures_util::future::join_all(launches).await.iter().map(run_of).collect();
        runs.sort_unstable();
        assert_eq!(runs, (32 * round + 1..=32 * round + 32).collect::<Vec<_>>());
    }
}

/// A launch that gives the number by itself, at the same moment, has an instance of its own, or gets its own back.
pub async fn a_new_run_is_never_the_instance_that_another_launch_numbers_by_itself(backend: &dyn Backend) {
    let processes = [Process::start(backend).await, Process::start(backend).await];
    for round in 0..8 {
        let job_name = format!("Job {round}");
        let of = |request: LaunchRequest| LaunchRequest { job_name: job_name.clone(), ..request };
        let by_itself = (1..=4).map(|run| processes[0].launch(of(numbered(1, run))));
        let new = (0..4).map(|_| launch(&processes[1], of(new_run(1))));
        let (by_itself, new) =
            futures_util::future::join(futures_util::future::join_all(by_itself), futures_util::future::join_all(new))
                .await;
        let mut ids: Vec<ExecutionId> = new.iter().map(|launched| launched.execution.id).collect();
        for launched in by_itself {
            match launched {
                Ok(launched) => ids.push(launched.execution.id),
                // The new run had the number before it.
                Err(LaunchError::AlreadyRunning { execution_id }) => assert!(ids[..4].contains(&execution_id)),
                Err(error) => panic!("{error}"),
            }
        }
        let mut runs: Vec<_> = new.iter().map(run_of).collect();
        runs.sort_unstable();
        runs.dedup();
        assert_eq!(runs.len(), 4);
        ids.sort_unstable();
        ids.dedup();
        let mut instances = Vec::new();
        for id in &ids {
            instances.push(processes[0].execution(*id).await.instance_id.0);
        }
        instances.sort_unstable();
        instances.dedup();
        assert_eq!(instances.len(), ids.len(), "each has an instance of its own");
    }
}

/// The same key answers the first run, and gives no other number.
pub async fn a_repeated_new_run_is_answered_by_the_first(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let key = IdempotencyKey { key: "key".to_owned(), request_hash: "hash".to_owned(), life: LONG };
    let request = LaunchRequest { idempotency: Some(key), ..new_run(1) };
    let first = launch(&process, request.clone()).await;
    let again = launch(&process, request).await;
    assert!(again.replayed && !first.replayed);
    assert_eq!(again.execution, first.execution);
    assert_eq!(run_of(&launch(&process, new_run(1)).await), 2);
}

/// Nothing is left of a launch that was refused.
pub async fn a_refused_new_run_uses_up_no_number(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let limited = |request, limit| admitted(request, |admission| admission.queue_limit = limit);
    launch(&process, limited(new_run(1), 1)).await;
    for _ in 0..3 {
        let refused = process.launch(limited(new_run(1), 1)).await;
        assert!(matches!(refused, Err(LaunchError::QueueFull { limit: 1 })), "{refused:?}");
    }
    assert_eq!(run_of(&launch(&process, limited(new_run(1), 2)).await), 2);
}

/// The greatest number there is.
pub async fn the_last_number_has_none_after_it(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    launch(&process, new_run(1)).await;
    launch(&process, numbered(1, i64::MAX)).await;
    let refused = process.launch(new_run(1)).await;
    assert!(matches!(refused, Err(LaunchError::NoRunNumber { greatest: i64::MAX })), "{refused:?}");
}
