//! Cases of lists and summaries.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use jiff::{SignedDuration, Timestamp};

use super::Backend;
use super::fixture::{JOB, LONG, Process, admitted, launch_of, outcome};
use crate::execution::{ExecutionId, InstanceId, Status, StatusEvent, TraceParent};
use crate::job::{DateTime, JobParameters, Parameter, ParameterType, SecretValue};
use crate::repository::{
    ExecutionFilter, ExecutionOutcome, InstanceFilter, LaunchRequest, PageRequest, RepositoryError,
};

/// The ids of all executions that fit, newest first, from pages of a size.
pub async fn all(process: &Process, filter: &ExecutionFilter, limit: u32) -> Vec<ExecutionId> {
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
        let launched = process
            .launch(admitted(LaunchRequest { job_name, ..launch_of(key) }, |admission| {
                admission.time = time;
                admission.claim = claim;
            }))
            .await
            .unwrap();
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

/// Clocks that go back, far or a little, hide no execution from a list by time.
pub async fn lists_by_time_survive_clocks_that_go_back(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let start = Timestamp::from_second(1_700_000_000).unwrap();
    // Minutes after the start, in the order of the launches.
    let minutes: [i64; 12] = [0, 600, 30, 29, 31, 900, 900, 45, 1_000, 5, 1_001, 2_000];
    let mut launched = Vec::new();
    for (key, minute) in (0_i64..).zip(minutes) {
        let time = start + SignedDuration::from_mins(minute);
        let request = admitted(launch_of(key), |admission| admission.time = time);
        launched.push((process.launch(request).await.unwrap().execution.id, minute));
    }
    let bounds = [None, Some(0), Some(29), Some(31), Some(46), Some(600), Some(901), Some(1_001), Some(3_000)];
    for (from, to) in bounds.iter().flat_map(|from| bounds.map(|to| (*from, to))) {
        let time = |minute: Option<i64>| minute.map(|minute| start + SignedDuration::from_mins(minute));
        let filter = ExecutionFilter { from: time(from), to: time(to), ..ExecutionFilter::default() };
        let is_in = |minute: i64| from.is_none_or(|from| minute >= from) && to.is_none_or(|to| minute < to);
        let expected = launched.iter().rev().filter(|(_, minute)| is_in(*minute)).map(|(id, _)| *id);
        let expected: Vec<ExecutionId> = expected.collect();
        for limit in [1, 3, 100] {
            assert_eq!(all(&process, &filter, limit).await, expected, "{from:?} to {to:?} by {limit}");
        }
    }
}

/// A launch keeps the span of its caller, and what resumes it goes on with it.
pub async fn the_span_of_the_caller_is_kept(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let parent: TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse().unwrap();
    let launched = process.launch(LaunchRequest { trace_parent: Some(parent), ..launch_of(0) }).await.unwrap();
    assert_eq!(launched.execution.trace_parent, Some(parent));
    assert_eq!(process.execution(launched.execution.id).await.trace_parent, Some(parent));
    let other = process.launch(launch_of(1)).await.unwrap();
    assert_eq!(process.execution(other.execution.id).await.trace_parent, None);
}

/// Of each instance the last execution, whatever has become of it; of none that there is not.
pub async fn the_last_execution_of_each_instance_is_found(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let mut instances = Vec::new();
    for (key, ends) in [(0, 1), (1, 2), (2, 2)] {
        for event in [StatusEvent::Fail, StatusEvent::Complete].into_iter().take(ends) {
            let lease = process.run(key, LONG).await;
            process.end(&lease, event).await;
            instances.push(process.execution(lease.execution_id()).await.instance_id);
        }
    }
    let waiting = process.launch(launch_of(2)).await.unwrap().execution;
    instances.dedup();
    let asked = [&instances[..], &[InstanceId(4711)]].concat();
    let mut found = process.repository.newest_executions(asked).await.unwrap();
    found.sort_by_key(|execution| execution.instance_id);
    let statuses: Vec<_> = found.iter().map(|last| (last.instance_id, last.status)).collect();
    let expected = [Status::Failed, Status::Completed, Status::Starting];
    assert_eq!(statuses, instances.iter().copied().zip(expected).collect::<Vec<_>>());
    assert_eq!(found[2], waiting);
    assert_eq!(process.repository.newest_executions(Vec::new()).await.unwrap(), Vec::new());
}

/// The number of instances of a job, or of all, does not depend on pages or on how often each was launched.
pub async fn instances_are_counted_by_job(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let count = async |job: Option<&str>| {
        let filter = InstanceFilter { job_name: job.map(str::to_owned) };
        process.repository.instance_count(filter).await.unwrap()
    };
    assert_eq!(count(None).await, 0);
    for key in 0..3 {
        let lease = process.run(key, LONG).await;
        process.end(&lease, StatusEvent::Fail).await;
    }
    let again = process.run(0, LONG).await;
    process.end(&again, StatusEvent::Complete).await;
    process.launch(LaunchRequest { job_name: "Other".to_owned(), ..launch_of(0) }).await.unwrap();
    let counts = [count(None).await, count(Some(JOB)).await, count(Some("Other")).await, count(Some("No\0ne")).await];
    assert_eq!(counts, [4, 3, 1, 0]);
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
    let reference = SecretValue::reference(ParameterType::Integer, "pin");
    parameters.insert("secret", Parameter::secret(reference));
    let request = LaunchRequest { parameters: parameters.clone(), ..launch_of(0) };
    let execution = process.launch(request).await.unwrap().execution;
    assert_eq!(process.execution(execution.id).await.parameters, parameters);
    let stored = process.repository.instance_parameters(execution.instance_id).await.unwrap();
    assert_eq!(stored.len(), parameters.len());
    for (stored, (name, parameter)) in stored.iter().zip(parameters.iter()) {
        if parameter.secret {
            assert!(stored.parameter.secret && !stored.parameter.identifying);
            assert_eq!(stored.parameter.value.to_string(), "***");
            continue;
        }
        assert_eq!((stored.name.as_str(), &stored.parameter), (name, parameter));
        assert_eq!(stored.parameter.value.to_string(), parameter.value.to_string());
    }
}

/// Counts are by status, and the newest execution is the last.
pub async fn a_summary_counts_by_status(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    assert_eq!(process.repository.job_counts(JOB).await.unwrap(), []);
    assert_eq!(process.repository.newest_of_job(JOB).await.unwrap(), None);
    for key in 0..3 {
        let lease = process.run(key, LONG).await;
        process.end(&lease, if key == 0 { StatusEvent::Fail } else { StatusEvent::Complete }).await;
    }
    let last = process.launch(launch_of(9)).await.unwrap().execution;
    let counts = process.repository.job_counts(JOB).await.unwrap();
    assert_eq!(counts, [(Status::Starting, 1), (Status::Failed, 1), (Status::Completed, 2)]);
    assert_eq!(process.repository.newest_of_job(JOB).await.unwrap(), Some(last));
    let health = process.repository.health().await.unwrap();
    assert_eq!(health.migration, health.expected_migration);
}

/// The past of an instance is what the begin of its next execution is told: attempts, their number and their state,
/// since the last forced launch.
pub async fn the_past_of_an_instance_is_what_its_next_execution_goes_on_with(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let first = process.run(1, LONG).await;
    process.run_step(&first, "Done", StatusEvent::Complete).await;
    let step = process.start_step(&first, "Load").await;
    process.commit(&step, r#"{"v":1,"reader":7}"#).await;
    process.end_step(&step, StatusEvent::Fail).await;
    process.end(&first, StatusEvent::Fail).await;
    let second = process.run(1, LONG).await;
    let step = process.start_step(&second, "Load").await;
    process.end_step(&step, StatusEvent::Fail).await;
    process.end(&second, StatusEvent::Fail).await;
    for asked in [first.execution_id(), second.execution_id()] {
        let past = process.repository.instance_past(asked).await.unwrap();
        assert_eq!((past.last, past.entries.len()), (second.execution_id(), 0));
        assert_eq!(past.previous.unwrap().status, Status::Failed);
        let attempts: Vec<_> = past.attempts.iter().map(|one| (one.last.step.step_name.as_str(), one.count)).collect();
        assert_eq!(attempts, [("Done", 1), ("Load", 2)]);
        assert_eq!(past.attempts[1].last.step.execution_id, second.execution_id());
        assert_eq!(past.attempts[1].last.state.as_deref(), Some(r#"{"v":1,"reader":7}"#));
        assert_eq!(past.attempts[1].count_since_main, 2);
    }
    let forced = process.force(1).await;
    process.run_step(&forced, "Load", StatusEvent::Fail).await;
    process.end(&forced, StatusEvent::Fail).await;
    let past = process.repository.instance_past(first.execution_id()).await.unwrap();
    let attempts: Vec<_> = past.attempts.iter().map(|one| (one.last.step.step_name.as_str(), one.count)).collect();
    assert_eq!((past.last, attempts), (forced.execution_id(), vec![("Load", 1)]));
    let missing = process.repository.instance_past(ExecutionId(99)).await.unwrap_err();
    assert!(matches!(missing, RepositoryError::NotFound { .. }), "{missing}");
}

/// Executions are found by the parameters of their instances, whatever their type, and never by a secret.
pub async fn executions_are_found_by_parameters(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let date = DateTime::parse("2024-02-29").unwrap();
    let long = "x".repeat(300);
    let mut ids = Vec::new();
    for key in 0..3_i64 {
        let mut parameters = JobParameters::default()
            .with("key", key)
            .with("file", format!("trades-{key}.csv").as_str())
            .with("share", 0.5)
            .with("day", date)
            .with("long", format!("{long}{key}").as_str());
        let secret = SecretValue::open(ParameterType::String, "s3cret");
        parameters.insert("password", Parameter::secret(secret));
        ids.push(process.launch(LaunchRequest { parameters, ..launch_of(key) }).await.unwrap().execution.id);
    }
    ids.reverse();
    let found = async |wanted: &[&str], text: Option<&str>| {
        let parameters = wanted.iter().map(|text| text.parse().unwrap()).collect();
        let filter = ExecutionFilter { parameters, text: text.map(str::to_owned), ..ExecutionFilter::default() };
        all(&process, &filter, 2).await
    };
    assert_eq!(found(&["file=trades-1.csv"], None).await, ids[1..2]);
    assert_eq!(found(&["key=2"], None).await, ids[..1]);
    assert_eq!(found(&["share=0.5", "key=0"], None).await, ids[2..]);
    assert_eq!(found(&["day=2024-02-29"], None).await, ids);
    assert_eq!(found(&[&format!("long={long}2")], None).await, ids[..1]);
    assert_eq!(found(&["key=0", "file=trades-1.csv"], None).await, Vec::new());
    for nothing in ["file=trades", "password=s3cret", "password=***", "key=no", "other=1", "file=\0"] {
        assert_eq!(found(&[nothing], None).await, Vec::new(), "{nothing}");
    }
    assert_eq!(found(&["share=0.5"], Some("jOB")).await, ids);
    assert_eq!(found(&["share=0.5"], Some("another")).await, Vec::new());
}

/// A text is found in names of jobs and in exit messages, page by page.
pub async fn executions_are_found_by_text(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let mut ids = Vec::new();
    for key in 0..5 {
        let lease = process.run(key, LONG).await;
        let message = if key % 2 == 0 { "The Ledger is away: 100%_" } else { "it was fine" };
        let outcome = ExecutionOutcome { exit_message: Some(message.to_owned()), ..outcome(StatusEvent::Fail, false) };
        process.repository.finish_execution(&lease, outcome).await.unwrap();
        ids.push(lease.execution_id());
    }
    ids.reverse();
    let of_ledger = [ids[0], ids[2], ids[4]];
    let filter = |text: &str| ExecutionFilter { text: Some(text.to_owned()), ..ExecutionFilter::default() };
    for limit in [1, 2, 10] {
        assert_eq!(all(&process, &filter("ledger IS"), limit).await, of_ledger);
        assert_eq!(all(&process, &filter("100%_"), limit).await, of_ledger);
        assert_eq!(all(&process, &filter("job"), limit).await, ids);
        assert_eq!(all(&process, &filter("nowhere"), limit).await, Vec::new());
    }
    let failed = ExecutionFilter { statuses: vec![Status::Completed], ..filter("ledger") };
    assert_eq!(all(&process, &failed, 10).await, Vec::new());
}
