//! Cases of lists, summaries and retention.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use jiff::{SignedDuration, Timestamp};

use super::Backend;
use super::fixture::{JOB, LONG, Process, launch_of, step_of};
use crate::execution::{ExecutionId, Status, StatusEvent};
use crate::job::{DateTime, JobParameters};
use crate::repository::{ExecutionFilter, InstanceFilter, LaunchRequest, PageRequest, PurgeRequest, StepStart};

fn everything() -> PurgeRequest {
    PurgeRequest {
        ended_before: None,
        statuses: Vec::new(),
        keep_per_job: None,
        include_restartable: false,
        dry_run: false,
        batch: 100,
    }
}

async fn all(process: &Process, filter: &ExecutionFilter, limit: u32) -> Vec<ExecutionId> {
    let (mut before, mut ids) = (None, Vec::new());
    loop {
        let page = process.repository.executions(filter.clone(), PageRequest { before, limit }).await.unwrap();
        assert!(page.executions.len() <= limit as usize);
        ids.extend(page.executions.iter().map(|execution| execution.id));
        before = page.next;
        if before.is_none() {
            return ids;
        }
    }
}

/// Every filter answers the same rows, newest first, whatever the size of the page.
pub async fn lists_are_filtered_and_paged_without_gaps(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let start = Timestamp::from_second(1_700_000_000).unwrap();
    let events = [StatusEvent::Complete, StatusEvent::Fail, StatusEvent::Stop];
    let mut ids = Vec::new();
    for key in 0..12_i64 {
        let job_name = if key % 4 == 0 { "Other" } else { JOB }.to_owned();
        let time = start + SignedDuration::from_secs(key);
        let claim = Some((process.node.clone(), LONG));
        let launched = process.launch(LaunchRequest { job_name, time, claim, ..launch_of(key) }).await.unwrap();
        let lease = launched.lease.unwrap();
        if key < 9 {
            process.end(&lease, events[usize::try_from(key).unwrap() % 3]).await;
        }
        ids.push(launched.execution.id);
    }
    let expect = |keep: &dyn Fn(usize) -> bool| -> Vec<ExecutionId> {
        (0..12).rev().filter(|key| keep(*key)).map(|key| ids[key]).collect()
    };
    let second = |key: i64| Some(start + SignedDuration::from_secs(key));
    let filter = ExecutionFilter::default;
    let ended = vec![Status::Failed, Status::Completed, Status::Failed];
    let cases: Vec<(ExecutionFilter, Vec<ExecutionId>)> = vec![
        (filter(), expect(&|_| true)),
        (ExecutionFilter { job_name: Some("Other".to_owned()), ..filter() }, expect(&|key| key % 4 == 0)),
        (ExecutionFilter { statuses: vec![Status::Started], ..filter() }, expect(&|key| key >= 9)),
        (ExecutionFilter { statuses: ended.clone(), ..filter() }, expect(&|key| key < 9 && key % 3 != 2)),
        (
            ExecutionFilter { statuses: ended, job_name: Some(JOB.to_owned()), to: second(7), ..filter() },
            expect(&|key| key < 7 && key % 3 != 2 && key % 4 != 0),
        ),
        (ExecutionFilter { from: second(3), to: second(6), ..filter() }, expect(&|key| (3..6).contains(&key))),
        (ExecutionFilter { from: second(10), ..filter() }, expect(&|key| key >= 10)),
        (ExecutionFilter { instance_id: Some(process.execution(ids[5]).await.instance_id), ..filter() }, vec![ids[5]]),
    ];
    for (filter, expected) in cases {
        for limit in [1, 2, 5, 12, 100] {
            assert_eq!(all(&process, &filter, limit).await, expected, "{filter:?} by {limit}");
        }
    }
    let page = PageRequest { before: None, limit: 2 };
    let instances = InstanceFilter { job_name: Some("Other".to_owned()) };
    let first = process.repository.instances(instances.clone(), page).await.unwrap();
    let rest = process.repository.instances(instances, PageRequest { before: first.next, limit: 2 }).await.unwrap();
    assert_eq!((first.instances.len(), rest.instances.len(), rest.next), (2, 1, None));
}

/// Values come back bit by bit, with their flags.
pub async fn parameters_read_back_exactly(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let mut parameters = JobParameters::default()
        .with("text", "line\nquote\" \\ \u{0} Möwe 😀 ' {\"value\":1}")
        .with("empty", "")
        .with("max", i64::MAX)
        .with("min", i64::MIN)
        .with("date", DateTime::parse("2024-02-29").unwrap())
        .with("first", DateTime::parse("0001-01-01").unwrap())
        .with("last", DateTime::parse("9999-12-31").unwrap())
        .with("time", DateTime::parse("1969-12-31T23:59:59.999999Z").unwrap());
    let floats = [0.1, 1.0, 1e300, 5e-324, f64::MAX, 0.1 + 0.2, 123_456_789.123_456_79, 1.0 / 3.0];
    for (number, float) in floats.into_iter().enumerate() {
        parameters = parameters.with(&format!("float{number}"), float);
    }
    let secret = crate::job::Parameter { value: "s3cret".into(), identifying: false, secret: true };
    parameters.insert("secret", secret);
    let request = LaunchRequest { parameters: parameters.clone(), ..launch_of(0) };
    let execution = process.launch(request).await.unwrap().execution;
    assert_eq!(process.execution(execution.id).await.parameters, parameters);
    let stored = process.repository.instance_parameters(execution.instance_id).await.unwrap();
    assert_eq!(stored.len(), parameters.len());
    for (stored, (name, parameter)) in stored.iter().zip(parameters.iter()) {
        assert_eq!((stored.name.as_str(), &stored.parameter), (name, parameter));
        assert_eq!(stored.parameter.value.to_string(), parameter.value.to_string());
    }
}

/// Counts are by status, and the newest execution is the last.
pub async fn a_summary_counts_by_status(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let empty = process.repository.job_summary(JOB).await.unwrap();
    assert_eq!((empty.last_execution, empty.counts), (None, Vec::new()));
    for key in 0..3 {
        let lease = process.run(key, LONG).await;
        process.end(&lease, if key == 0 { StatusEvent::Fail } else { StatusEvent::Complete }).await;
    }
    let last = process.launch(launch_of(9)).await.unwrap().execution;
    let summary = process.repository.job_summary(JOB).await.unwrap();
    assert_eq!(summary.counts, [(Status::Starting, 1), (Status::Failed, 1), (Status::Completed, 2)]);
    assert_eq!(summary.last_execution, Some(last));
    let health = process.repository.health().await.unwrap();
    assert_eq!(health.migration, health.expected_migration);
}

/// Neither what runs nor the last execution of a restartable instance goes, unless told so.
pub async fn a_purge_keeps_what_runs_and_what_can_be_restarted(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let mut ids = Vec::new();
    for (key, event) in [(1, StatusEvent::Complete), (2, StatusEvent::Fail), (3, StatusEvent::Complete)] {
        let lease = process.run(key, LONG).await;
        process.run_step(&lease, "Step", event).await;
        process.end(&lease, event).await;
        ids.push(lease.execution_id);
    }
    ids.push(process.run(4, LONG).await.execution_id);
    let left = || async {
        let mut left = all(&process, &ExecutionFilter::default(), 10).await;
        left.reverse();
        left
    };
    let nothing = PurgeRequest { ended_before: Some(Timestamp::UNIX_EPOCH), ..everything() };
    assert_eq!(process.repository.purge(nothing).await.unwrap().executions, 0);
    let newest = PurgeRequest { keep_per_job: Some(1), ..everything() };
    process.repository.purge(newest).await.unwrap();
    assert_eq!(left().await, ids[1..]);
    process.repository.purge(everything()).await.unwrap();
    assert_eq!(left().await, [ids[1], ids[3]]);
    let stopped = PurgeRequest { statuses: vec![Status::Stopped], include_restartable: true, ..everything() };
    assert_eq!(process.repository.purge(stopped).await.unwrap().executions, 0);
    process.repository.purge(PurgeRequest { include_restartable: true, ..everything() }).await.unwrap();
    assert_eq!(left().await, ids[3..]);
    let page = PageRequest { before: None, limit: 10 };
    assert_eq!(process.repository.instances(InstanceFilter::default(), page).await.unwrap().instances.len(), 1);
    assert!(process.repository.steps(ids[1]).await.unwrap().is_empty());
}

/// What a later execution that stays would resume from stays too.
pub async fn a_purge_keeps_the_steps_that_a_later_execution_relies_on(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let first = process.run(1, LONG).await;
    process.run_step(&first, "One", StatusEvent::Complete).await;
    process.run_step(&first, "Two", StatusEvent::Fail).await;
    process.end(&first, StatusEvent::Fail).await;
    let second = process.run(1, LONG).await;
    process.run_step(&second, "Two", StatusEvent::Fail).await;
    process.end(&second, StatusEvent::Fail).await;
    assert_eq!(process.repository.purge(everything()).await.unwrap().executions, 0);
    let third = process.run(1, LONG).await;
    let one = process.repository.start_step(&third, step_of("One")).await.unwrap();
    assert_eq!(one, StepStart::AlreadyComplete);
    process.run_step(&third, "Two", StatusEvent::Complete).await;
    process.end(&third, StatusEvent::Complete).await;
    let report = process.repository.purge(PurgeRequest { batch: 1, ..everything() }).await.unwrap();
    assert!(report.executions >= 1 && report.more);
    process.repository.purge(everything()).await.unwrap();
    assert!(all(&process, &ExecutionFilter::default(), 10).await.is_empty());
}

/// The dry run of a purge tells what its batches remove together, and changes nothing.
pub async fn a_dry_run_counts_what_a_purge_removes(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    for key in 0..7 {
        let lease = process.run(key, LONG).await;
        process.end(&lease, if key % 3 == 0 { StatusEvent::Fail } else { StatusEvent::Complete }).await;
    }
    let promised = process.repository.purge(PurgeRequest { dry_run: true, ..everything() }).await.unwrap();
    assert_eq!((promised.executions, promised.instances), (4, 4));
    let (mut executions, mut instances) = (0, 0);
    loop {
        let report = process.repository.purge(PurgeRequest { batch: 3, ..everything() }).await.unwrap();
        executions += report.executions;
        instances += report.instances;
        if !report.more {
            break;
        }
    }
    assert_eq!((executions, instances), (4, 4));
}

/// What came after a failure does not go alone: the failure would become the last, and finished work would run again.
pub async fn a_purge_by_status_never_makes_an_earlier_execution_the_last(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    for event in [StatusEvent::Fail, StatusEvent::Complete] {
        let lease = process.run(1, LONG).await;
        process.run_step(&lease, "Step", event).await;
        process.end(&lease, event).await;
    }
    let completed = PurgeRequest { statuses: vec![Status::Completed], ..everything() };
    assert_eq!(process.repository.purge(completed).await.unwrap().executions, 0);
    let again = process.run(1, LONG).await;
    let start = process.repository.start_step(&again, step_of("Step")).await.unwrap();
    assert_eq!(start, StepStart::AlreadyComplete);
}
