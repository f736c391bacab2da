//! Stops, errors and deaths in the moments in which one thread reads ahead and another writes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oxbatch_core::engine::{Event, EventConsumer};
use oxbatch_core::item::Checkpoint;
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::step::ReadAhead;
use oxbatch_core::{ChunkStep, ItemError, ItemWriter, Job, RetryPolicy, SkipPolicy, Status, TaskStep};

use crate::harness::{Events, LONG, Numbers, ON_POSTGRES, TestStore, begin, ended, launch, steps};

/// Tells when it is opened, and fails its write of a number.
struct Teller {
    opened: Option<Sender<()>>,
    fails_at: Option<u64>,
}

impl ItemWriter<u64> for Teller {
    async fn open(&mut self, _: Option<&Checkpoint>) -> Result<(), ItemError> {
        if let Some(opened) = &self.opened {
            opened.send(())?;
        }
        Ok(())
    }

    async fn write(&mut self, outputs: &[u64], _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        match self.fails_at {
            Some(at) if outputs.contains(&at) => Err(ItemError::other("no write today")),
            _ => Ok(()),
        }
    }
}

/// Trap 3: a stop that meets the start of the reading thread must not look like an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_at_any_moment_of_the_first_chunks_is_a_stop() {
    for moment in 0..100 {
        let place = TestStore::new();
        let (opened, wait) = channel();
        let opened = Mutex::new(opened);
        let job = Job::builder("Ahead")
            .step(
                ChunkStep::builder("Copy")
                    .reader(|_| Ok(Numbers::new(u64::MAX, |_| Ok(()))))
                    .writer(move |_| Ok(Teller { opened: Some(opened.lock().unwrap().clone()), fails_at: None }))
                    .chunk_size(10)
                    .read_ahead(ReadAhead::Always),
            )
            .build()
            .unwrap();
        let engine = place.node([job]).await;
        let id = begin(&engine, "Ahead").await;
        tokio::task::block_in_place(|| wait.recv().unwrap());
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(5 + moment * 3) {
            std::hint::spin_loop();
        }
        engine.shutdown().await;
        let execution = place.repository().await.execution(id).await.unwrap().unwrap();
        assert_eq!(execution.status, Status::Stopped, "{execution:?}");
    }
}

/// A job whose reader waits at number 25 until the gate is opened.
fn waits_at_25(fails_at: Option<u64>) -> (Job, Receiver<()>, Sender<()>) {
    let ((tell, reached), (open, gate)) = (channel(), channel::<()>());
    let (tell, gate) = (Arc::new(Mutex::new(tell)), Arc::new(Mutex::new(gate)));
    let job = Job::builder("Ahead")
        .step(
            ChunkStep::builder("Copy")
                .reader(move |_| {
                    let (tell, gate) = (Arc::clone(&tell), Arc::clone(&gate));
                    Ok(Numbers::new(1000, move |n| {
                        if n == 25 {
                            tell.lock().unwrap().send(())?;
                            let _ = gate.lock().unwrap().recv();
                        }
                        Ok(())
                    }))
                })
                .writer(move |_| Ok(Teller { opened: None, fails_at }))
                .chunk_size(10)
                .read_ahead(ReadAhead::Always),
        )
        .build()
        .unwrap();
    (job, reached, open)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_writer_is_told_although_the_reader_waits_for_input() {
    let place = TestStore::new();
    let (job, _reached, gate) = waits_at_25(Some(15));
    let engine = place.node([job]).await;
    let execution = ended(&engine, begin(&engine, "Ahead").await).await;
    assert_eq!(execution.exit_message.as_deref(), Some("step 'Copy' failed: failed to write: no write today"));
    drop(gate);
    engine.shutdown().await;
}

/// Trap 4: STOPPED is shown while the work still runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_reading_thread_that_goes_on_is_said_to_be_left_behind() {
    let place = TestStore::new();
    let (job, reached, gate) = waits_at_25(None);
    let events = Arc::new(Events::default());
    let consumer = Arc::clone(&events);
    let engine = place
        .node_with([job], |config| {
            config.stop_grace = Duration::from_millis(100);
            config.consumers.push(consumer);
        })
        .await;
    let id = begin(&engine, "Ahead").await;
    tokio::task::block_in_place(|| reached.recv().unwrap());
    engine.stop(id).await.unwrap();
    assert_eq!(ended(&engine, id).await.status, Status::Stopped);
    let message = steps(&engine, id).await[0].exit_message.clone().unwrap();
    assert!(message.contains("left behind"), "{message}");
    assert!(events.seen.lock().unwrap().iter().any(|event| event == "StepLeftBehind"));
    drop(gate);
    engine.shutdown().await;
}

/// A person's stop that comes from another process just before a shutdown.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_stopped_is_not_resumed_although_a_shutdown_came_too() {
    let place = TestStore::new();
    let (job, reached, gate) = waits_at_25(None);
    // The node hears of requests by other processes late.
    let engine = place.node_with([job], |config| config.renew_every = LONG).await;
    let id = begin(&engine, "Ahead").await;
    tokio::task::block_in_place(|| reached.recv().unwrap());
    assert_eq!(place.repository().await.request_stop(id).await.unwrap().status, Status::Stopping);
    let stopping = engine.clone();
    let shutdown = tokio::spawn(async move { stopping.shutdown().await });
    drop(gate);
    shutdown.await.unwrap();
    let (job, _reached, _gate) = waits_at_25(None);
    let engine = place.node([job]).await;
    let page = oxbatch_core::repository::PageRequest { before: None, limit: 10 };
    let all = engine.repository().executions(Default::default(), page).await.unwrap().executions;
    assert_eq!(all.iter().map(|execution| execution.status).collect::<Vec<_>>(), [Status::Stopped]);
    engine.shutdown().await;
}

#[tokio::test]
async fn an_end_that_cannot_be_recorded_is_recorded_once_it_can() {
    let place = TestStore::new();
    let job = Job::builder("Recorded").step(TaskStep::builder("Quick", |_| Ok(()))).build().unwrap();
    let (trouble, troubled) = channel();
    let engine =
        place.node_with([job], |config| config.consumers.push(Arc::new(Troubles { tell: Mutex::new(trouble) }))).await;
    let refuse = if ON_POSTGRES {
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'not today'; END $$;
         CREATE TRIGGER refuse BEFORE UPDATE OF status ON oxbatch_job_execution
             FOR EACH ROW WHEN (NEW.status = 'COMPLETED') EXECUTE FUNCTION refuse()"
    } else {
        "CREATE TRIGGER refuse BEFORE UPDATE OF status ON oxbatch_job_execution WHEN NEW.status = 'COMPLETED'
         BEGIN SELECT RAISE(ABORT, 'not today'); END"
    };
    place.execute(refuse);
    let id = begin(&engine, "Recorded").await;
    tokio::task::spawn_blocking(move || (0..6).for_each(|_| troubled.recv().unwrap())).await.unwrap();
    assert_eq!(engine.execution(id).await.unwrap().status, Status::Started);
    place.execute(if ON_POSTGRES { "DROP FUNCTION refuse CASCADE" } else { "DROP TRIGGER refuse" });
    assert_eq!(ended(&engine, id).await.status, Status::Completed);
    engine.shutdown().await;
}

/// Tells of troubles with the repository, and panics at the end of a step.
struct Troubles {
    tell: Mutex<Sender<()>>,
}

impl EventConsumer for Troubles {
    fn on_event(&self, event: &Event<'_>) {
        match event {
            Event::RepositoryTrouble { .. } => {
                let _ = self.tell.lock().unwrap().send(());
            }
            // Who looks on must not end what it looks at.
            Event::StepFinished { .. } => panic!("a consumer of the test panics"),
            _ => {}
        }
    }
}

/// Fails once on the way of finding a bad item.
struct Flaky {
    calls: Arc<AtomicU32>,
}

impl ItemWriter<u64> for Flaky {
    async fn write(&mut self, outputs: &[u64], _: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        if self.calls.fetch_add(1, Ordering::SeqCst) == 2 {
            return Err(ItemError::transient("the line was busy once"));
        }
        if outputs.contains(&7) { Err(ItemError::validation("7 is refused")) } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_transient_fault_in_the_search_for_a_bad_item_is_repeated() {
    let calls = Arc::new(AtomicU32::new(0));
    let job = Job::builder("Flaky")
        .step(
            ChunkStep::builder("Copy")
                .reader(|_| Ok(Numbers::new(10, |_| Ok(()))))
                .retry(RetryPolicy::new(5))
                .skip(SkipPolicy::new(3))
                .writer(move |_| Ok(Flaky { calls: Arc::clone(&calls) })),
        )
        .build()
        .unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let execution = launch(&engine, "Flaky").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    let counters = steps(&engine, execution.id).await[0].counters;
    assert_eq!((counters.write, counters.write_skip, counters.retry), (9, 1, 1));
    engine.shutdown().await;
}
