//! Stops, panics and hangs of workers, and the steps that cannot have any.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::item::{FunctionProcessor, ListReader, ListWriter};
use oxbatch_core::step::ReadAhead;
use oxbatch_core::{ChunkStep, ItemError, ItemProcessor, Job, Status, Step};
use oxbatch_formats::{JsonLinesReader, JsonLinesWriter};

use crate::harness::{Events, TestStore, begin, contents, ended, launch, list, steps};

/// Lines of numbers, as JSON.
pub(super) fn numbers(place: &TestStore, count: u64) -> std::path::PathBuf {
    let path = place.path("numbers.jsonl");
    std::fs::write(&path, (0..count).map(|n| format!("{n}\n")).collect::<String>()).unwrap();
    path
}

/// Waits for ever at one number, until it is reported not to.
struct Waits {
    at: u64,
    patient: Arc<AtomicBool>,
}

impl ItemProcessor<u64> for Waits {
    type Output = u64;

    async fn process(&mut self, item: u64) -> Result<Option<u64>, ItemError> {
        if item == self.at && !self.patient.load(Ordering::SeqCst) {
            return pending().await;
        }
        Ok(Some(item))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_while_a_worker_waits_in_its_turn_and_others_wait_for_theirs() {
    for workers in [1, 2, 7] {
        let (place, out, patient) = (TestStore::new(), list(), Arc::new(AtomicBool::new(false)));
        let (input, written, is_patient) = (numbers(&place, 9_000), Arc::clone(&out), Arc::clone(&patient));
        let job = Job::builder("Waits")
            .step(
                ChunkStep::builder("Waits")
                    .reader(move |_| JsonLinesReader::<u64>::new(&input))
                    .processor(move |_| Waits { at: 3_333, patient: Arc::clone(&is_patient) })
                    .writer(move |_| ListWriter::new(Arc::clone(&written)))
                    .chunk_size(10)
                    .workers(workers),
            )
            .build()
            .unwrap();
        let engine = place.node_with([job], |config| config.stop_grace = Duration::from_secs(3600)).await;
        let id = begin(&engine, "Waits").await;
        crate::harness::until(async || contents(&out).len() >= 2_000).await;
        engine.stop(id).await.unwrap();
        assert_eq!(ended(&engine, id).await.status, Status::Stopped);
        patient.store(true, Ordering::SeqCst);
        assert_eq!(launch(&engine, "Waits").await.status, Status::Completed);
        assert_eq!(contents(&out), (0..9_000).collect::<Vec<_>>());
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_at_any_time_leave_what_a_restart_completes_with_another_number_of_workers() {
    let place = TestStore::new();
    let (input, output) = (numbers(&place, 30_000), place.path("out.jsonl"));
    let passed = Arc::new(AtomicU64::new(0));
    let job = |name: &str, workers: u32| {
        let (input, output, passed) = (input.clone(), output.clone(), Arc::clone(&passed));
        Job::builder(name)
            .step(
                ChunkStep::builder("Copy")
                    .reader(move |_| JsonLinesReader::<u64>::new(&input))
                    .processor(move |_| {
                        let passed = Arc::clone(&passed);
                        FunctionProcessor::new(move |n: u64| {
                            passed.fetch_add(1, Ordering::SeqCst);
                            Ok(Some(n))
                        })
                    })
                    .writer(move |context| JsonLinesWriter::<u64>::new(context, &output))
                    .chunk_size(7)
                    .workers(workers),
            )
            .build()
            .unwrap()
    };
    let mut stops = 0;
    for attempt in 0_u64.. {
        let engine = place.node([job("Copy", [1, 2, 7, 3][(attempt % 4) as usize])]).await;
        let before = passed.load(Ordering::SeqCst);
        let id = begin(&engine, "Copy").await;
        let ends = Arc::clone(&passed);
        crate::harness::until(async || {
            ends.load(Ordering::SeqCst) > before + attempt * 991
                || !engine.execution(id).await.unwrap().status.is_running()
        })
        .await;
        // It may have ended by itself.
        let _ = engine.stop(id).await;
        let status = ended(&engine, id).await.status;
        engine.shutdown().await;
        if status == Status::Completed {
            break;
        }
        assert_eq!(status, Status::Stopped);
        stops += 1;
    }
    let expected: String = (0..30_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(std::fs::read_to_string(&output).unwrap(), expected, "{stops} stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_goes_on_is_said_to_be_left_behind() {
    let place = TestStore::new();
    let input = numbers(&place, 9_000);
    let ((tell, reached), (open, gate)) = (channel(), channel::<()>());
    let (tell, gate) = (Arc::new(Mutex::new(tell)), Arc::new(Mutex::new(gate)));
    let job = Job::builder("Blocks")
        .step(
            ChunkStep::builder("Blocks")
                .reader(move |_| JsonLinesReader::<u64>::new(&input))
                .processor(move |_| {
                    let (tell, gate) = (Arc::clone(&tell), Arc::clone(&gate));
                    FunctionProcessor::new(move |n: u64| {
                        if n == 2_500 {
                            tell.lock().unwrap().send(())?;
                            let _ = gate.lock().unwrap().recv();
                        }
                        Ok(Some(n))
                    })
                })
                .writer(|_| ListWriter::new(list()))
                .chunk_size(10)
                .workers(2),
        )
        .build()
        .unwrap();
    let events = Arc::new(Events::default());
    let consumer = Arc::clone(&events);
    let engine = place
        .node_with([job], |config| {
            config.stop_grace = Duration::from_millis(100);
            config.consumers.push(consumer);
        })
        .await;
    let id = begin(&engine, "Blocks").await;
    tokio::task::block_in_place(|| reached.recv().unwrap());
    engine.stop(id).await.unwrap();
    assert_eq!(ended(&engine, id).await.status, Status::Stopped);
    let message = steps(&engine, id).await[0].exit_message.clone().unwrap();
    assert!(message.contains("left behind"), "{message}");
    drop(open);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_cannot_be_split_is_read_by_one_thread() {
    let (place, out) = (TestStore::new(), list());
    let written = Arc::clone(&out);
    let job = Job::builder("List")
        .step(
            ChunkStep::builder("List")
                .reader(|_| ListReader::new(0..5_000_u64))
                .writer(move |_| ListWriter::new(Arc::clone(&written)))
                .workers(3),
        )
        .build()
        .unwrap();
    let engine = place.node([job]).await;
    assert_eq!(launch(&engine, "List").await.status, Status::Completed);
    assert_eq!(contents(&out), (0..5_000).collect::<Vec<_>>());
    engine.shutdown().await;
}

#[test]
fn contradictions_are_refused_when_the_step_is_built() {
    let step = || ChunkStep::builder("Step").reader(|_| ListReader::new(0..3_u64)).writer(|_| ListWriter::new(list()));
    for (step, problem) in [
        (step().workers(0), "0 workers are not within 1 to 256"),
        (step().workers(257), "257 workers"),
        (step().workers(2).processing_threads(2), "workers take the place of processing_threads"),
        (step().workers(2).chunk_time(Duration::from_secs(1)), "workers take the place of"),
        (step().workers(2).read_ahead(ReadAhead::Never), "workers take the place of"),
    ] {
        let told = Step::try_from(step).unwrap_err().to_string();
        assert!(told.contains(problem), "{told}");
    }
}
