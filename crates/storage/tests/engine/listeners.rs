//! Listeners: when they are called, what they see and may change, and what their errors, panics and hangs come to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::item::{FunctionProcessor, FunctionWriter};
use oxbatch_core::listener::{
    ChunkListener, ItemListener, JobContext, JobEnd, JobListener, ListenerFactory, Listeners, Retry, RetryListener,
    RetryPhase, StepEnd, StepListener,
};
use oxbatch_core::{
    BoxError, ChunkStep, ItemError, Job, RetryPolicy, SkipPolicy, Status, StepContext, TaskOutcome, TaskStep,
};

use crate::harness::{Numbers, Shared, TestStore, begin, contents, ended, launch, list, ran, steps};

/// Writes down whatever it is called for.
struct Log {
    name: &'static str,
    calls: Shared<String>,
}

impl Log {
    fn new(name: &'static str, calls: &Shared<String>) -> Arc<Self> {
        Arc::new(Self { name, calls: Arc::clone(calls) })
    }

    fn add(&self, call: impl std::fmt::Display) {
        self.calls.lock().unwrap().push(format!("{} {call}", self.name));
    }
}

impl JobListener for Log {
    async fn before_job(&self, context: &JobContext) -> Result<(), BoxError> {
        self.add(format_args!("before {}", context.job_name()));
        Ok(())
    }

    async fn after_job(&self, context: &JobContext, end: &JobEnd) -> Result<(), BoxError> {
        let steps = context.steps().await?.len();
        self.add(format_args!("after {} {} {steps}", context.job_name(), end.status));
        Ok(())
    }
}

impl StepListener for Log {
    async fn before_step(&self, context: &StepContext) -> Result<(), BoxError> {
        self.add(format_args!("before {}", context.step_name()));
        Ok(())
    }

    async fn after_step(&self, context: &StepContext, end: &StepEnd) -> Result<Option<String>, BoxError> {
        let message = end.message.as_deref().unwrap_or_default();
        self.add(format_args!("after {} {} {message}", context.step_name(), end.status));
        Ok(None)
    }
}

impl ChunkListener for Log {
    fn before_chunk(&self, _: &StepContext) -> Result<(), ItemError> {
        self.add("before chunk");
        Ok(())
    }

    fn after_chunk(&self, _: &StepContext) -> Result<(), BoxError> {
        self.add("after chunk");
        Ok(())
    }

    fn on_chunk_error(&self, _: &StepContext, error: &str) -> Result<(), BoxError> {
        self.add(error);
        Ok(())
    }
}

#[tokio::test]
async fn listeners_of_the_node_the_job_and_the_step_are_called_around_it_also_when_it_fails() {
    let calls = list();
    let fails = Arc::new(AtomicU32::new(1));
    let (of_job, of_step) = (Arc::clone(&calls), Arc::clone(&calls));
    let job = Job::builder("Job")
        .listener(move |_| {
            let log = Log::new("job", &of_job);
            Ok(Listeners::new().job(Arc::clone(&log)).step(log))
        })
        .step(
            TaskStep::builder("Step", move |_| {
                match fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
                    Ok(_) => Err("no".into()),
                    Err(_) => Ok(()),
                }
            })
            .listener(move |_| Ok(Listeners::new().step(Log::new("step", &of_step)))),
        )
        .build()
        .unwrap();
    let of_node = Arc::clone(&calls);
    let store = TestStore::new();
    let engine = store
        .node_with([job], |config| {
            let factory = move |_: &JobContext| Ok(Listeners::new().job(Log::new("node", &of_node)));
            config.listeners.push(ListenerFactory::new(factory));
        })
        .await;
    assert_eq!(launch(&engine, "Job").await.status, Status::Failed);
    let around = |status: &str, message: &str| {
        [
            "node before Job".to_owned(),
            "job before Job".to_owned(),
            "job before Step".to_owned(),
            "step before Step".to_owned(),
            format!("step after Step {status} {message}"),
            format!("job after Step {status} {message}"),
            format!("job after Job {status} 1"),
            format!("node after Job {status} 1"),
        ]
    };
    assert_eq!(contents(&calls), around("FAILED", "no"));
    calls.lock().unwrap().clear();
    assert_eq!(launch(&engine, "Job").await.status, Status::Completed);
    assert_eq!(contents(&calls), around("COMPLETED", ""));
    engine.shutdown().await;
}

#[tokio::test]
async fn each_execution_has_instances_of_its_own_and_one_object_can_be_several_listeners() {
    struct Count {
        calls: AtomicU64,
        seen: Shared<u64>,
    }
    impl StepListener for Count {
        async fn before_step(&self, _: &StepContext) -> Result<(), BoxError> {
            self.calls.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }
    impl JobListener for Count {
        async fn after_job(&self, _: &JobContext, _: &JobEnd) -> Result<(), BoxError> {
            self.seen.lock().unwrap().push(self.calls.load(Ordering::SeqCst));
            Ok(())
        }
    }
    let seen = list();
    let shared = Arc::clone(&seen);
    let task = |name: &str| TaskStep::builder(name, |_| Ok(())).rerun_if_complete();
    let job = Job::builder("Job")
        .listener(move |_| {
            let count = Arc::new(Count { calls: AtomicU64::new(0), seen: Arc::clone(&shared) });
            Ok(Listeners::new().job(Arc::clone(&count)).step(count))
        })
        .step(task("A"))
        .step(task("B"))
        .build()
        .unwrap();
    let store = TestStore::new();
    let engine = store.node([job]).await;
    for _ in 0..2 {
        launch(&engine, "Job").await;
    }
    assert_eq!(contents(&seen), [2, 2]);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_step_listener_changes_the_exit_code_of_what_is_completed_or_failed_but_not_of_a_stop() {
    let job = |name: &str, result: fn() -> Result<TaskOutcome, BoxError>| {
        Job::builder(name)
            .step(
                TaskStep::builder("Step", move |_| result())
                    .after_step(|_, end| Ok(Some(format!("{} BUT", end.exit_code))))
                    .after_step(|_, end| match end.status {
                        Status::Failed if end.message.as_deref() != Some("panicked: lost") => Ok(None),
                        status => Ok(Some(format!("REALLY {status}"))),
                    }),
            )
            .build()
            .unwrap()
    };
    let jobs = [
        job("Completed", || Ok(TaskOutcome::Completed)),
        job("Failed", || Err("no".into())),
        job("Panicked", || panic!("lost")),
        job("Stopped", || Ok(TaskOutcome::Stopped)),
    ];
    let store = TestStore::new();
    let engine = store.node(jobs).await;
    for (name, status, code) in [
        ("Completed", "COMPLETED", "REALLY COMPLETED BUT"),
        ("Failed", "FAILED", "FAILED BUT"),
        ("Panicked", "FAILED", "REALLY FAILED BUT"),
        ("Stopped", "STOPPED", "STOPPED"),
    ] {
        let execution = launch(&engine, name).await;
        let step = &steps(&engine, execution.id).await[0];
        assert_eq!((step.status.as_str(), step.exit_code.as_deref()), (status, Some(code)));
        if status == "COMPLETED" {
            assert_eq!(execution.exit_code.as_deref(), Some(code));
        }
    }
    engine.shutdown().await;
}

fn numbers(name: &str, count: u64, writer: fn(&[u64]) -> Result<(), ItemError>) -> ChunkOfNumbers {
    ChunkStep::builder(name)
        .reader(move |_| Ok(Numbers::new(count, (|_| Ok(())) as fn(u64) -> Result<(), ItemError>)))
        .processor(|_| Ok(FunctionProcessor::new((|n| Ok(Some(n))) as fn(u64) -> Result<Option<u64>, ItemError>)))
        .writer(move |_| Ok(FunctionWriter::new(writer)))
        .chunk_size(2)
}

type ChunkOfNumbers = oxbatch_core::step::ChunkStepBuilder<
    Numbers<fn(u64) -> Result<(), ItemError>>,
    FunctionProcessor<fn(u64) -> Result<Option<u64>, ItemError>>,
    FunctionWriter<fn(&[u64]) -> Result<(), ItemError>>,
>;

#[tokio::test]
async fn an_error_or_panic_before_fails_what_it_precedes() {
    let task = || TaskStep::builder("Step", |_| -> Result<(), BoxError> { panic!("must not run") });
    let boxed = |step: oxbatch_core::step::TaskStepBuilder| Job::builder("Job").step(step);
    let jobs: [(oxbatch_core::JobBuilder, &str); 7] = [
        (boxed(task()).before_job(|_| Err("bad day".into())), "listener failed in before_job: bad day"),
        (boxed(task()).before_job(|_| panic!("worse")), "listener failed in before_job: panicked: worse"),
        (boxed(task()).listener(|_| Err("no".into())), "failed to build the listeners of the job: no"),
        (
            boxed(task().before_step(|_| Err("bad step".into()))),
            "step 'Step' failed: listener failed in before_step: bad step",
        ),
        (
            boxed(task().listener(|_| panic!("oh"))),
            "step 'Step' failed: failed to build the listeners of the step: panicked: oh",
        ),
        (
            Job::builder("Job").step(numbers("Step", 4, |_| Ok(())).before_chunk(|_| Err(ItemError::other("full")))),
            "step 'Step' failed: failed to begin the chunk: full",
        ),
        (
            Job::builder("Job").step(numbers("Step", 4, |_| Ok(())).before_chunk(|_| panic!("chunk"))),
            "step 'Step' failed: failed to begin the chunk: panicked: chunk",
        ),
    ];
    for (job, message) in jobs {
        let store = TestStore::new();
        let engine = store.node([job.build().unwrap()]).await;
        let execution = launch(&engine, "Job").await;
        assert_eq!((execution.status, execution.exit_message.as_deref()), (Status::Failed, Some(message)));
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn an_error_or_panic_afterwards_is_recorded_and_changes_nothing() {
    let job = Job::builder("Job")
        .step(
            numbers("Chunks", 6, |_| Ok(()))
                .after_chunk(|_| Err("mail is down".into()))
                .after_step(|_, _| panic!("late")),
        )
        .after_job(|_, _| Err("no report".into()))
        .build()
        .unwrap();
    let store = TestStore::new();
    let engine = store.node([job]).await;
    let execution = launch(&engine, "Job").await;
    assert_eq!(execution.status, Status::Completed);
    assert_eq!(execution.exit_message.as_deref(), Some("listener failed in after_job: no report"));
    let step = &steps(&engine, execution.id).await[0];
    assert_eq!((step.status, step.counters.write, step.counters.rollback), (Status::Completed, 6, 0));
    let message =
        "listener failed in after_chunk: mail is down (3 times); listener failed in after_step: panicked: late";
    assert_eq!(step.exit_message.as_deref(), Some(message));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_chunk_listener_is_called_for_each_attempt_and_sees_the_counters_of_what_is_committed() {
    let calls = list();
    let (of_step, counted) = (Arc::clone(&calls), Arc::clone(&calls));
    let failed = Arc::new(AtomicU32::new(0));
    let job = Job::builder("Job")
        .step(
            ChunkStep::builder("Chunks")
                .reader(|_| Ok(Numbers::new(4, |_| Ok(()))))
                .writer(move |_| {
                    let failed = Arc::clone(&failed);
                    Ok(FunctionWriter::new(move |chunk: &[u64]| {
                        match chunk.contains(&2) && failed.fetch_add(1, Ordering::SeqCst) == 0 {
                            true => Err(ItemError::transient("busy")),
                            false => Ok(()),
                        }
                    }))
                })
                .chunk_size(2)
                .retry(RetryPolicy::new(1))
                .listener(move |_| Ok(Listeners::new().chunk(Log::new("step", &of_step))))
                .after_chunk(move |context| {
                    counted.lock().unwrap().push(format!("written {}", context.counters().write));
                    Ok(())
                }),
        )
        .build()
        .unwrap();
    let store = TestStore::new();
    let engine = store.node([job]).await;
    assert_eq!(launch(&engine, "Job").await.status, Status::Completed);
    let expected = [
        "step before chunk",
        "written 2",
        "step after chunk",
        "step before chunk",
        "step failed to write: busy",
        "step before chunk",
        "written 4",
        "step after chunk",
    ];
    assert_eq!(contents(&calls), expected);
    engine.shutdown().await;
}

/// Writes the calls of items down, and fails where it is told to.
struct Items {
    calls: Arc<Mutex<HashMap<&'static str, Vec<String>>>>,
    refuse: Option<(&'static str, u64)>,
}

impl Items {
    fn add(&self, call: &'static str, what: impl std::fmt::Debug) {
        self.calls.lock().unwrap().entry(call).or_default().push(format!("{what:?}"));
    }
}

impl ItemListener<u64, u64> for Items {
    fn before_read(&self, _: &StepContext) -> Result<(), ItemError> {
        self.add("before read", ());
        match self.refuse {
            Some(("read", 0)) => Err(ItemError::parse("no reading today")),
            _ => Ok(()),
        }
    }

    fn after_read(&self, _: &StepContext, item: &u64) -> Result<(), BoxError> {
        self.add("after read", item);
        Ok(())
    }

    fn on_read_error(&self, _: &StepContext, error: &ItemError) -> Result<(), BoxError> {
        self.add("read error", error.position());
        Ok(())
    }

    fn before_process(&self, _: &StepContext, item: &u64) -> Result<(), ItemError> {
        self.add("before process", item);
        match self.refuse {
            Some(("process", refused)) if refused == *item => Err(ItemError::validation("not this one")),
            _ => Ok(()),
        }
    }

    fn after_process(&self, _: &StepContext, output: Option<&u64>) -> Result<(), BoxError> {
        self.add("after process", output);
        Ok(())
    }

    fn on_process_error(&self, _: &StepContext, error: &ItemError) -> Result<(), BoxError> {
        self.add("process error", error.cause_text());
        Ok(())
    }

    fn before_write(&self, _: &StepContext, outputs: &[u64]) -> Result<(), ItemError> {
        self.add("before write", outputs);
        Ok(())
    }

    fn after_write(&self, _: &StepContext, outputs: &[u64]) -> Result<(), BoxError> {
        self.add("after write", outputs);
        Ok(())
    }

    fn on_write_error(&self, _: &StepContext, error: &ItemError, outputs: &[u64]) -> Result<(), BoxError> {
        self.add("write error", (error.cause_text(), outputs));
        Ok(())
    }
}

async fn items(refuse: Option<(&'static str, u64)>, threads: u32) -> (Status, HashMap<&'static str, Vec<String>>) {
    let calls = Arc::new(Mutex::new(HashMap::new()));
    let shared = Arc::clone(&calls);
    let processor = |n: u64| match n {
        2 => Ok(None),
        3 => Err(ItemError::validation("three")),
        n => Ok(Some(n * 10)),
    };
    let writer = |chunk: &[u64]| match chunk.contains(&50) {
        true => Err(ItemError::new(oxbatch_core::item::ErrorKind::Constraint, "fifty")),
        false => Ok(()),
    };
    let job = Job::builder("Job")
        .step(
            ChunkStep::builder("Step")
                .reader(|_| Ok(Numbers::skipping(6, |n| n == 1)))
                .processor(move |_| Ok(FunctionProcessor::new(processor)))
                .writer(move |_| Ok(FunctionWriter::new(writer)))
                .chunk_size(10)
                .skip(SkipPolicy::new(10))
                .processing_threads(threads)
                .item_listener(move |_| Ok(Items { calls: Arc::clone(&shared), refuse })),
        )
        .build()
        .unwrap();
    let store = TestStore::new();
    let engine = store.node([job]).await;
    let execution = launch(&engine, "Job").await;
    engine.shutdown().await;
    let mut calls = calls.lock().unwrap().clone();
    calls.values_mut().for_each(|calls| calls.sort_unstable());
    (execution.status, calls)
}

#[tokio::test]
async fn an_item_listener_is_called_around_each_read_processing_and_write_and_on_their_errors() {
    for threads in [1, 3] {
        let (status, calls) = items(None, threads).await;
        assert_eq!(status, Status::Completed);
        // Six numbers and the end.
        assert_eq!(calls["before read"].len(), 7);
        assert_eq!(calls["after read"], ["0", "2", "3", "4", "5"]);
        assert_eq!(calls["read error"], ["Some(\"line 1\")"]);
        assert_eq!(calls["before process"], ["0", "2", "3", "4", "5"]);
        assert_eq!(calls["after process"], ["None", "Some(0)", "Some(40)", "Some(50)"]);
        assert_eq!(calls["process error"], ["\"three\""]);
        // The chunk, then its outputs one by one, since the writer cannot roll back.
        assert_eq!(calls["before write"], ["[0, 40, 50]", "[0]", "[40]", "[50]"]);
        assert_eq!(calls["after write"], ["[0]", "[40]"]);
        assert_eq!(calls["write error"], ["(\"fifty\", [0, 40, 50])", "(\"fifty\", [50])"]);
    }
}

#[tokio::test]
async fn an_error_before_an_item_is_an_error_of_it_and_one_before_a_read_skips_nothing() {
    let (status, calls) = items(Some(("process", 4)), 1).await;
    assert_eq!((status, calls["after process"].len()), (Status::Completed, 3), "it was skipped");
    let (status, calls) = items(Some(("read", 0)), 1).await;
    assert_eq!((status, calls.get("after read")), (Status::Failed, None));
}

#[tokio::test]
async fn a_skip_listener_is_called_once_for_each_skip_that_was_committed() {
    let (calls, fails) = (list(), Arc::new(AtomicU32::new(1)));
    let (shared, busy) = (Arc::clone(&calls), Arc::clone(&fails));
    let job = Job::builder("Job")
        .step(
            ChunkStep::builder("Step")
                .reader(|_| Ok(Numbers::skipping(8, |n| n == 1)))
                .processor(|_| {
                    Ok(FunctionProcessor::new(|n: u64| match n {
                        2 => Err(ItemError::validation("two")),
                        n => Ok(Some(n)),
                    }))
                })
                .writer(move |_| {
                    let busy = Arc::clone(&busy);
                    Ok(FunctionWriter::new(move |chunk: &[u64]| match chunk {
                        chunk if chunk.contains(&3) => Err(ItemError::validation("three")),
                        // The second chunk fails the first attempt of the step.
                        chunk
                            if chunk.contains(&7)
                                && busy
                                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                                    .is_ok() =>
                        {
                            Err(ItemError::other("disk full").fatal())
                        }
                        _ => Ok(()),
                    }))
                })
                .chunk_size(4)
                .skip(SkipPolicy::new(10))
                .on_skip(move |_, skipped| {
                    shared.lock().unwrap().push(format!("{} {}", skipped.phase, skipped.error));
                    Ok(())
                }),
        )
        .build()
        .unwrap();
    let store = TestStore::new();
    let engine = store.node([job]).await;
    assert_eq!(launch(&engine, "Job").await.status, Status::Failed);
    assert_eq!(contents(&calls), ["READ no number", "PROCESS two", "WRITE three"]);
    assert_eq!(launch(&engine, "Job").await.status, Status::Completed);
    assert_eq!(contents(&calls).len(), 3);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_retry_listener_sees_the_phase_the_attempt_and_the_error() {
    struct Retries(Shared<String>);
    impl RetryListener for Retries {
        fn on_retry(&self, _: &StepContext, retry: &Retry<'_>) -> Result<(), BoxError> {
            let Retry { phase, attempt, error, .. } = *retry;
            self.0.lock().unwrap().push(format!("{phase:?} {attempt} {error}"));
            Ok(())
        }
    }
    fn flaky(left: &Arc<AtomicU32>, what: &'static str) -> Result<(), ItemError> {
        match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(ItemError::transient(what)),
            Err(_) => Ok(()),
        }
    }
    let twice = || Arc::new(AtomicU32::new(2));
    let (reads, processes, writes, tasks) = (twice(), twice(), twice(), twice());
    let calls = list();
    let shared = Arc::clone(&calls);
    let retry = || RetryPolicy::new(3).backoff(oxbatch_core::step::Backoff::Fixed(Duration::ZERO));
    let job = Job::builder("Job")
        .listener(move |_| Ok(Listeners::new().retry(Retries(Arc::clone(&shared)))))
        .step(
            ChunkStep::builder("Chunks")
                .reader(move |_| {
                    let reads = Arc::clone(&reads);
                    Ok(Numbers::new(2, move |_| flaky(&reads, "read")))
                })
                .processor(move |_| {
                    let processes = Arc::clone(&processes);
                    Ok(FunctionProcessor::new(move |n: u64| flaky(&processes, "process").map(|()| Some(n))))
                })
                .writer(move |_| {
                    let writes = Arc::clone(&writes);
                    Ok(FunctionWriter::new(move |_: &[u64]| flaky(&writes, "write")))
                })
                .retry(retry()),
        )
        .step(TaskStep::builder("Task", move |_| flaky(&tasks, "task").map_err(BoxError::from)).retry(retry()))
        .build()
        .unwrap();
    let store = TestStore::new();
    let engine = store.node([job]).await;
    let execution = launch(&engine, "Job").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    let expected: Vec<String> = ["Read", "Process", "Write", "Task"]
        .iter()
        .flat_map(|phase| [1, 2].map(|attempt| format!("{phase} {attempt} {}", phase.to_lowercase())))
        .collect();
    assert_eq!(contents(&calls), expected);
    assert_ne!(RetryPhase::Commit, RetryPhase::Write);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_listener_that_hangs_is_ended_by_a_stop_and_its_grace() {
    struct Hangs(Arc<tokio::sync::Notify>);
    impl JobListener for Hangs {
        async fn before_job(&self, _: &JobContext) -> Result<(), BoxError> {
            self.0.notify_one();
            std::future::pending().await
        }
    }
    impl StepListener for Hangs {
        async fn before_step(&self, _: &StepContext) -> Result<(), BoxError> {
            self.0.notify_one();
            std::future::pending().await
        }
    }
    let begun = Arc::new(tokio::sync::Notify::new());
    let job = |name: &str, listeners: fn(Hangs) -> Listeners| {
        let begun = Arc::clone(&begun);
        Job::builder(name)
            .listener(move |_| Ok(listeners(Hangs(Arc::clone(&begun)))))
            .step(TaskStep::builder("Step", |_| Ok(())))
            .build()
            .unwrap()
    };
    let jobs = [job("Job", |hangs| Listeners::new().job(hangs)), job("Step", |hangs| Listeners::new().step(hangs))];
    let store = TestStore::new();
    let engine = store.node_with(jobs, |config| config.stop_grace = Duration::from_millis(50)).await;
    for (name, status, said) in
        [("Job", Status::Stopped, "left behind"), ("Step", Status::Stopped, "stopped on request in step 'Step'")]
    {
        let id = begin(&engine, name).await;
        begun.notified().await;
        engine.stop(id).await.unwrap();
        let execution = ended(&engine, id).await;
        let message = execution.exit_message.unwrap_or_default();
        assert!(execution.status == status && message.contains(said), "{name}: {} {message}", execution.status);
        assert!(ran(&engine, id).await.len() <= 1);
    }
    engine.shutdown().await;
}

#[tokio::test]
async fn a_listener_that_hangs_behind_the_last_step_is_ended_by_the_time_limit_of_the_end() {
    struct Hangs;
    impl JobListener for Hangs {
        async fn after_job(&self, _: &JobContext, _: &JobEnd) -> Result<(), BoxError> {
            std::future::pending().await
        }
    }
    let job = Job::builder("Hangs").finally_time_limit(Duration::from_millis(50));
    let job = job.listener(|_| Ok(Listeners::new().job(Hangs))).step(TaskStep::builder("Step", |_| Ok(())));
    let store = TestStore::new();
    let engine = store.node([job.build().unwrap()]).await;
    let execution = launch(&engine, "Hangs").await;
    let message = execution.exit_message.unwrap_or_default();
    assert_eq!(execution.status, Status::Completed, "{message}");
    let said = "the steps at the end exceeded their time limit of 50ms in a listener, behind its last step";
    assert!(message.contains(said), "{message}");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_listener_that_hangs_before_the_job_or_a_step_is_ended_by_their_time_limits() {
    /// Waits for ever: as a future, or with the thread of the listeners until the other end is dropped.
    struct Hangs(Option<Mutex<std::sync::mpsc::Receiver<()>>>);
    impl JobListener for Hangs {
        async fn before_job(&self, _: &JobContext) -> Result<(), BoxError> {
            match &self.0 {
                Some(blocked) => Ok(blocked.lock().unwrap().recv()?),
                None => std::future::pending().await,
            }
        }

        async fn after_job(&self, _: &JobContext, end: &JobEnd) -> Result<(), BoxError> {
            Err(format!("called after {}", end.exit_code).into())
        }
    }
    impl StepListener for Hangs {
        async fn before_step(&self, _: &StepContext) -> Result<(), BoxError> {
            std::future::pending().await
        }
    }
    let (release, blocked) = std::sync::mpsc::channel();
    let blocked = Mutex::new(Some(blocked));
    let limit = Duration::from_millis(50);
    let step = || TaskStep::builder("Step", |_| Ok(()));
    let pending = Job::builder("Pending").listener(|_| Ok(Listeners::new().job(Hangs(None)))).time_limit(limit);
    let blocking = Job::builder("Blocking").time_limit(limit).listener(move |_| {
        let blocked = blocked.lock().unwrap().take();
        Ok(Listeners::new().job(Hangs(blocked.map(Mutex::new))))
    });
    let in_step = Job::builder("Step").listener(|_| Ok(Listeners::new().step(Hangs(None))));
    let jobs = [
        pending.step(step()).build().unwrap(),
        blocking.step(step()).build().unwrap(),
        in_step.step(step().time_limit(limit)).build().unwrap(),
    ];
    let store = TestStore::new();
    let engine = store.node_with(jobs, |config| config.stop_grace = limit).await;
    let before = "the job exceeded its time limit of 50ms in a listener, before its first step";
    for (name, said) in [
        ("Pending", vec![before, "called after TIMEOUT"]),
        ("Blocking", vec![before, "left behind"]),
        ("Step", vec!["exceeded its time limit of 50ms"]),
    ] {
        let execution = launch(&engine, name).await;
        let message = execution.exit_message.unwrap_or_default();
        assert_eq!((execution.status, execution.exit_code.as_deref()), (Status::Failed, Some("TIMEOUT")), "{message}");
        assert!(said.iter().all(|part| message.contains(part)), "{name}: {message}");
    }
    drop(release);
    engine.shutdown().await;
}
