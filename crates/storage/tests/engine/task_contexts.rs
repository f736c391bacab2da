//! Actions of a step on its execution: save its progress, read its counters, stop it, share values and a runtime.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::execution::ExecutionId;
use oxbatch_core::item::{FunctionProcessor, ListWriter};
use oxbatch_core::step::{RateLimiter, SaveError};
use oxbatch_core::{BoxError, ChunkStep, Job, Status, StepContext, TaskStep};

use crate::harness::{Numbers, Shared, TestStore, begin, contents, ended, launch, list, ran, steps};

/// Sends ten parts; in its first execution it waits for ever before part 4, and tells of it.
fn parts(done: &Shared<u32>, hold: bool) -> (Job, std::sync::mpsc::Receiver<()>) {
    let (tell, told) = channel();
    let (done, tell) = (Arc::clone(done), Mutex::new(tell));
    let job = Job::builder("Parts")
        .step(TaskStep::builder("Send", move |context| {
            for part in context.get("sent")?.unwrap_or(0)..10_u32 {
                if hold && part == 4 {
                    let _ = tell.lock().unwrap().send(());
                    // What was not saved is lost.
                    context.put("sent", 99)?;
                    while !context.is_stopping() {
                        std::thread::yield_now();
                    }
                    return Err("killed".into());
                }
                done.lock().unwrap().push(part);
                context.put("sent", part + 1)?;
                context.put_into_job("last", part)?;
                context.save()?;
            }
            Ok(())
        }))
        .build()
        .unwrap();
    (job, told)
}

#[tokio::test]
async fn a_task_that_is_killed_goes_on_from_what_it_saved() {
    let (store, done) = (TestStore::new(), list());
    let (job, held) = parts(&done, true);
    let (dead, lifeline) = store.mortal([job]).await;
    let id = begin(&dead, "Parts").await;
    tokio::task::spawn_blocking(move || held.recv().unwrap()).await.unwrap();
    lifeline.cut(&dead).await;
    let (job, _held) = parts(&done, false);
    let engine = store.node([job]).await;
    let lost = steps(&engine, id).await;
    assert_eq!((lost[0].exit_code.as_deref(), lost[0].counters.commit), (Some("ABORTED"), 4));
    let successor = ended(&engine, ExecutionId(id.0 + 1)).await;
    assert_eq!(successor.status, Status::Completed, "{successor:?}");
    assert_eq!(contents(&done), (0..10).collect::<Vec<_>>());
    let context = steps(&engine, successor.id).await;
    assert_eq!(context[0].counters.commit, 6);
    engine.shutdown().await;
}

#[tokio::test]
async fn what_a_task_has_saved_is_there_for_its_retry_and_for_later_steps() {
    let seen = list();
    let shared = Arc::clone(&seen);
    let job = Job::builder("Saves")
        .step(
            TaskStep::builder_async("Save", |context: StepContext| async move {
                let tries: u32 = context.get("tries")?.unwrap_or(0);
                context.put("tries", tries + 1)?;
                context.put_into_job("tries", tries + 1)?;
                context.save_async().await?;
                context.put_into_job("unsaved", tries)?;
                if tries < 2 { Err("again".into()) } else { Ok(()) }
            })
            .max_retries(3),
        )
        .step(TaskStep::builder("Read", move |context| {
            let read = |key| context.get_from_job::<u32>(key);
            shared.lock().unwrap().extend([read("tries")?, read("unsaved")?]);
            Ok(())
        }))
        .build()
        .unwrap();
    let store = TestStore::new();
    let engine = store.node([job]).await;
    let execution = launch(&engine, "Saves").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    assert_eq!(contents(&seen), [Some(3), Some(2)]);
    let counters = steps(&engine, execution.id).await[0].counters;
    assert_eq!((counters.commit, counters.retry), (3, 2));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_chunk_step_and_a_task_that_has_ended_cannot_save() {
    let kept: Arc<Mutex<Option<StepContext>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let job = Job::builder("Job")
        .step(TaskStep::builder("Task", move |context| {
            *keep.lock().unwrap() = Some(context.clone());
            Ok(())
        }))
        .step(
            ChunkStep::builder("Chunks")
                .reader(|context| {
                    context.save()?;
                    Ok(Numbers::new(1, |_| Ok(())))
                })
                .writer(|_| Ok(ListWriter::new(list()))),
        )
        .build()
        .unwrap();
    let store = TestStore::new();
    let engine = store.node([job]).await;
    let execution = launch(&engine, "Job").await;
    let message = execution.exit_message.unwrap();
    assert!(message.ends_with("step 'Chunks' is no task: it saves its contexts with its chunks"), "{message}");
    let context = kept.lock().unwrap().take().unwrap();
    assert!(context.save_async().await.is_err_and(|error| !matches!(error, SaveError::NotATask { .. })));
    engine.shutdown().await;
}

#[tokio::test]
async fn the_counters_of_a_step_can_be_read_by_its_parts_while_it_runs() {
    let seen = list();
    let shared = Arc::clone(&seen);
    let job = Job::builder("Job")
        .step(
            ChunkStep::builder("Chunks")
                .reader(|_| Ok(Numbers::new(6, |_| Ok(()))))
                .processor(move |context| {
                    let (shared, context) = (Arc::clone(&shared), context.clone());
                    Ok(FunctionProcessor::new(move |n: u64| {
                        shared.lock().unwrap().push(context.counters().write);
                        Ok(Some(n))
                    }))
                })
                .writer(|_| Ok(ListWriter::new(list())))
                .read_ahead(oxbatch_core::step::ReadAhead::Never)
                .chunk_size(2),
        )
        .build()
        .unwrap();
    let store = TestStore::new();
    let engine = store.node([job]).await;
    assert_eq!(launch(&engine, "Job").await.status, Status::Completed);
    assert_eq!(contents(&seen), [0, 0, 2, 2, 4, 4]);
    engine.shutdown().await;
}

#[tokio::test]
async fn a_step_stops_its_execution_behind_the_chunk_in_hand_and_a_restart_goes_on() {
    let written = list();
    let out = Arc::clone(&written);
    let job = Job::builder("Job")
        .step(
            ChunkStep::builder("Chunks")
                .reader(|_| Ok(Numbers::new(10, |_| Ok(()))))
                .processor(|context| {
                    let context = context.clone();
                    Ok(FunctionProcessor::new(move |n: u64| {
                        if n == 2 {
                            context.request_stop();
                        }
                        Ok(Some(n))
                    }))
                })
                .writer(move |_| Ok(ListWriter::new(Arc::clone(&out))))
                .chunk_size(4),
        )
        .step(TaskStep::builder("Never", |_| Ok(())))
        .build()
        .unwrap();
    let store = TestStore::new();
    let engine = store.node([job]).await;
    let execution = launch(&engine, "Job").await;
    let message = execution.exit_message.as_deref();
    assert_eq!((execution.status, message), (Status::Stopped, Some("stopped on request in step 'Chunks'")));
    assert_eq!(contents(&written), [0, 1, 2, 3]);
    let restarted = launch(&engine, "Job").await;
    assert_eq!(restarted.status, Status::Completed, "{restarted:?}");
    assert_eq!(contents(&written), (0..10).collect::<Vec<_>>());
    engine.shutdown().await;
}

#[tokio::test]
async fn a_task_that_stops_its_execution_is_stopped_and_no_step_follows() {
    let job = Job::builder("Job")
        .step(TaskStep::builder("Task", |context| {
            context.request_stop();
            context.check_stop()?;
            Ok(())
        }))
        .step(TaskStep::builder("Never", |_| Ok(())))
        .build()
        .unwrap();
    let store = TestStore::new();
    let engine = store.node([job]).await;
    let execution = launch(&engine, "Job").await;
    assert_eq!(execution.status, Status::Stopped);
    assert_eq!(ran(&engine, execution.id).await, ["Task STOPPED"]);
    engine.shutdown().await;
}

/// Says when it is dropped, and where.
struct Client {
    built: Arc<AtomicU32>,
    dropped: Shared<String>,
    /// A timer of the runtime on which it was built.
    ticks: Mutex<tokio::task::JoinHandle<()>>,
}

impl Drop for Client {
    fn drop(&mut self) {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        self.dropped.lock().unwrap().push(thread);
    }
}

#[tokio::test]
async fn a_shared_value_is_built_once_in_an_execution_and_lives_on_a_runtime_as_long_as_it() {
    let (built, dropped) = (Arc::new(AtomicU32::new(0)), list());
    let task = |name: &str| {
        let (built, dropped) = (Arc::clone(&built), Arc::clone(&dropped));
        TaskStep::builder_async(name, move |context: StepContext| {
            let (built, dropped) = (Arc::clone(&built), Arc::clone(&dropped));
            async move {
                let client = context
                    .shared_async(move || async move {
                        built.fetch_add(1, Ordering::SeqCst);
                        let ticks = tokio::spawn(std::future::pending());
                        Ok(Client { built, dropped, ticks: Mutex::new(ticks) })
                    })
                    .await?;
                // It works in the second step, though the runtime of the first has ended.
                assert!(!client.ticks.lock().unwrap().is_finished());
                let timer = async { tokio::time::sleep(Duration::from_millis(1)).await };
                context.execution_runtime()?.spawn(timer).await?;
                assert_eq!(i64::from(client.built.load(Ordering::SeqCst)), context.execution_id().0);
                Ok(())
            }
        })
    };
    let job =
        Job::builder("Job").step(task("A").rerun_if_complete()).step(task("B").rerun_if_complete()).build().unwrap();
    let store = TestStore::new();
    let engine = store.node([job]).await;
    for _ in 0..2 {
        let execution = launch(&engine, "Job").await;
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
    }
    assert_eq!(built.load(Ordering::SeqCst), 2);
    engine.shutdown().await;
    while contents(&dropped).len() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(contents(&dropped).iter().all(|thread| thread.starts_with("job-")), "{:?}", contents(&dropped));
}

#[tokio::test]
async fn a_shared_value_that_cannot_be_built_fails_who_asks_and_is_built_by_the_next() {
    struct Value;
    let tries = Arc::new(AtomicU64::new(0));
    let job = Job::builder("Job")
        .step(
            TaskStep::builder("Task", move |context| {
                let build = || match tries.fetch_add(1, Ordering::SeqCst) {
                    0 => Err("not yet".into()),
                    _ => Ok(Value),
                };
                context.shared(build)?;
                Ok(())
            })
            .max_retries(1),
        )
        .build()
        .unwrap();
    let panics = Job::builder("Panics")
        .step(TaskStep::builder_async("Task", |context: StepContext| async move {
            context.shared_async::<Value, _, _>(|| async { panic!("no client") }).await?;
            Ok(())
        }))
        .build()
        .unwrap();
    let store = TestStore::new();
    let engine = store.node([job, panics]).await;
    assert_eq!(launch(&engine, "Job").await.status, Status::Completed);
    let message = launch(&engine, "Panics").await.exit_message.unwrap();
    assert_eq!(message, "step 'Task' failed: panicked: no client");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_rate_limiter_hears_a_stop_in_async_and_in_blocking_code() {
    let begun = Arc::new(tokio::sync::Notify::new());
    let (of_blocking, of_waiting) = (Arc::clone(&begun), Arc::clone(&begun));
    let blocking = Job::builder("Blocking").step(TaskStep::builder("Task", move |context| {
        of_blocking.notify_one();
        RateLimiter::per_second(0).acquire_blocking(context)?;
        Ok(())
    }));
    let waiting = Job::builder("Waiting").step(TaskStep::builder_async("Task", move |context: StepContext| {
        let begun = Arc::clone(&of_waiting);
        async move {
            let limiter = RateLimiter::every(Duration::from_secs(3_600));
            limiter.acquire(&context).await?;
            begun.notify_one();
            limiter.acquire(&context).await?;
            Ok::<_, BoxError>(())
        }
    }));
    let store = TestStore::new();
    let engine = store.node([blocking.build().unwrap(), waiting.build().unwrap()]).await;
    for name in ["Blocking", "Waiting"] {
        let id = begin(&engine, name).await;
        begun.notified().await;
        engine.stop(id).await.unwrap();
        assert_eq!(ended(&engine, id).await.status, Status::Stopped, "{name}");
    }
    engine.shutdown().await;
}
