//! Saves of several chunks in one: nothing is lost or doubled by an error, a stop, a kill, and nothing waits too long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxbatch_core::execution::{Counters, ExecutionId};
use oxbatch_core::item::{
    AsyncFunctionProcessor, Checkpoint, ErrorKind, FunctionProcessor, FunctionWriter, IteratorReader, ListWriter,
};
use oxbatch_core::step::{ChunkStepBuilder, ReadAhead};
use oxbatch_core::{ChunkStep, Engine, ItemError, ItemReader, Job, RetryPolicy, SkipPolicy, Status};
use oxbatch_formats::{FileWriter, RecordEncoder};

use crate::harness::{Numbers, Shared, TestStore, begin, contents, ended, launch, list, steps, until_step};

const NEVER: Duration = Duration::from_secs(3600);

async fn counters(engine: &Engine, id: ExecutionId) -> Counters {
    steps(engine, id).await[0].counters
}

/// A step that waits once at item 55 for what it is reported: to go on, or to fail.
fn gated(out: &Shared<u64>) -> (Job, std::sync::mpsc::Receiver<()>, std::sync::mpsc::Sender<bool>) {
    let ((tell, reached), (send, fails)) = (channel(), channel());
    let (tell, fails, out) = (Arc::new(Mutex::new(tell)), Arc::new(Mutex::new(fails)), Arc::clone(out));
    let job = Job::builder("Joined")
        .step(
            ChunkStep::builder("Joined")
                .reader(|_| Ok(IteratorReader::new(0..100_u64)))
                .processor(move |_| {
                    let (tell, fails) = (Arc::clone(&tell), Arc::clone(&fails));
                    Ok(FunctionProcessor::new(move |n: u64| {
                        if n == 55 && tell.lock().unwrap().send(()).is_ok() && fails.lock().unwrap().recv()? {
                            return Err(ItemError::other("no 55 today"));
                        }
                        Ok(Some(n))
                    }))
                })
                .writer(move |_| Ok(ListWriter::new(Arc::clone(&out))))
                .chunk_size(10)
                .commit_every(NEVER),
        )
        .build()
        .unwrap();
    (job, reached, send)
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_wait_for_a_save_and_are_saved_at_a_fault_a_stop_and_the_end() {
    for ends_by in ["fault", "stop", "end"] {
        let (place, out) = (TestStore::new(), list());
        let (job, reached, go_on) = gated(&out);
        let engine = place.node([job]).await;
        let id = begin(&engine, "Joined").await;
        tokio::task::block_in_place(|| reached.recv().unwrap());
        assert_eq!(contents(&out).len(), 50, "written");
        assert_eq!(counters(&engine, id).await, Counters::default(), "and not saved");
        if ends_by == "stop" {
            engine.stop(id).await.unwrap();
        }
        go_on.send(ends_by == "fault").unwrap();
        let execution = ended(&engine, id).await;
        let (status, read) = match ends_by {
            "fault" => (Status::Failed, 50),
            "stop" => (Status::Stopped, 60),
            _ => (Status::Completed, 100),
        };
        assert_eq!((execution.status, counters(&engine, id).await.read), (status, read));
        assert_eq!(counters(&engine, id).await.commit, read / 10, "each chunk counts");
        if status != Status::Completed {
            drop((reached, go_on));
            assert_eq!(launch(&engine, "Joined").await.status, Status::Completed);
        }
        assert_eq!(contents(&out), (0..100).collect::<Vec<_>>());
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_cannot_be_written_takes_nothing_with_it_that_waits_for_a_save() {
    for retries in [0, 2] {
        let (place, out, refused) = (TestStore::new(), list(), Arc::new(AtomicBool::new(false)));
        let list = Arc::clone(&out);
        let job = Job::builder("Refused")
            .step(
                ChunkStep::builder("Refused")
                    .reader(|_| Ok(IteratorReader::new(0..100_u64)))
                    .writer(move |_| {
                        let refused = Arc::clone(&refused);
                        let refuse = FunctionWriter::new(move |chunk: &[u64]| match chunk.contains(&55) {
                            true if !refused.swap(true, Ordering::SeqCst) => Err(ItemError::other("no 55 today")),
                            _ => Ok(()),
                        });
                        Ok(oxbatch_core::item::TeeWriter::new(ListWriter::new(Arc::clone(&list)), refuse))
                    })
                    .chunk_size(10)
                    .retry(RetryPolicy::new(retries))
                    .commit_every(NEVER),
            )
            .build()
            .unwrap();
        let engine = place.node([job]).await;
        let first = launch(&engine, "Refused").await;
        if retries == 0 {
            assert_eq!(first.status, Status::Failed);
            let saved = counters(&engine, first.id).await;
            assert_eq!((saved.read, saved.write, saved.rollback), (50, 50, 1));
            assert_eq!(launch(&engine, "Refused").await.status, Status::Completed);
        } else {
            assert_eq!(first.status, Status::Completed);
            let saved = counters(&engine, first.id).await;
            assert_eq!((saved.read, saved.rollback, saved.retry), (100, 1, 1));
        }
        assert_eq!(contents(&out), (0..100).collect::<Vec<_>>());
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_writer_puts_for_a_chunk_that_fails_is_not_saved_with_those_before_it() {
    for job_wide in [false, true] {
        let (place, out, put) = (TestStore::new(), list(), Arc::new(AtomicBool::new(false)));
        let list = Arc::clone(&out);
        let job = Job::builder("Puts")
            .step(
                ChunkStep::builder("Puts")
                    .reader(|_| Ok(IteratorReader::new(0..100_u64)))
                    .writer(move |context| {
                        let (context, put) = (context.clone(), Arc::clone(&put));
                        let puts = FunctionWriter::new(move |chunk: &[u64]| {
                            if chunk.contains(&55) && !put.swap(true, Ordering::SeqCst) {
                                // More than a context may hold, so the save is refused.
                                let much = "x".repeat(70_000);
                                return match job_wide {
                                    true => context.put_into_job("much", much).map_err(ItemError::other),
                                    false => context.put("much", much).map_err(ItemError::other),
                                };
                            }
                            Ok(())
                        });
                        Ok(oxbatch_core::item::TeeWriter::new(ListWriter::new(Arc::clone(&list)), puts))
                    })
                    .chunk_size(10)
                    .commit_every(NEVER),
            )
            .build()
            .unwrap();
        let engine = place.node([job]).await;
        let first = launch(&engine, "Puts").await;
        assert_eq!(first.status, Status::Failed);
        let saved = counters(&engine, first.id).await;
        assert_eq!((saved.read, saved.commit, saved.rollback), (50, 5, 1), "job-wide: {job_wide}");
        assert_eq!(launch(&engine, "Puts").await.status, Status::Completed);
        assert_eq!(contents(&out), (0..100).collect::<Vec<_>>());
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_with_skipped_items_or_a_changed_context_is_saved_at_once() {
    for what in ["skip", "step", "job"] {
        let ((tell, reached), place) = (channel(), TestStore::new());
        let tell = Mutex::new(tell);
        let (open, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let job = Job::builder("Saved")
            .step(
                ChunkStep::builder("Saved")
                    .reader(move |context| {
                        let (tell, gate, context) = (tell.lock().unwrap().clone(), Arc::clone(&gate), context.clone());
                        Ok(Numbers::new(50, move |n| {
                            match (n, what) {
                                (15, "step") => context.put("at", n)?,
                                (15, "job") => context.put_into_job("at", n)?,
                                (25, _) => {
                                    tell.send(())?;
                                    let _ = gate.lock().unwrap().recv();
                                }
                                _ => {}
                            }
                            Ok(())
                        }))
                    })
                    .processor(move |_| {
                        Ok(FunctionProcessor::new(move |n: u64| match (n, what) {
                            (15, "skip") => Err(ItemError::new(ErrorKind::Validation, "no 15")),
                            _ => Ok(Some(n)),
                        }))
                    })
                    .writer(|_| Ok(ListWriter::new(list())))
                    .chunk_size(10)
                    .skip(SkipPolicy::new(1))
                    .commit_every(NEVER),
            )
            .build()
            .unwrap();
        let engine = place.node([job]).await;
        let id = begin(&engine, "Saved").await;
        tokio::task::block_in_place(|| reached.recv().unwrap());
        assert_eq!(counters(&engine, id).await.read, 20, "{what}");
        drop(open);
        assert_eq!(ended(&engine, id).await.status, Status::Completed);
        engine.shutdown().await;
    }
}

/// Gives 30 numbers, then waits without its thread, or with it.
struct Stalls {
    next: u64,
    blocks: bool,
    gate: Arc<AtomicBool>,
}

impl ItemReader for Stalls {
    type Item = u64;

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        while self.next == 30 && !self.gate.load(Ordering::SeqCst) {
            match self.blocks {
                true => std::thread::yield_now(),
                false => tokio::task::yield_now().await,
            }
        }
        self.next += 1;
        Ok((self.next <= 60).then_some(self.next))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.next).map(Some)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_saved_in_its_time_although_no_chunk_comes() {
    for blocks in [false, true] {
        let (place, gate) = (TestStore::new(), Arc::new(AtomicBool::new(false)));
        let opens = Arc::clone(&gate);
        let job = Job::builder("Stalls")
            .step(
                ChunkStep::builder("Stalls")
                    .reader(move |_| Ok(Stalls { next: 0, blocks, gate: Arc::clone(&gate) }))
                    .writer(|_| Ok(ListWriter::new(list())))
                    .chunk_size(10)
                    .read_ahead(if blocks { ReadAhead::Always } else { ReadAhead::Never })
                    .commit_every(Duration::from_millis(50)),
            )
            .build()
            .unwrap();
        let engine = place.node([job]).await;
        let id = begin(&engine, "Stalls").await;
        until_step(&engine, id, |step| step.counters.read >= 30).await;
        opens.store(true, Ordering::SeqCst);
        assert_eq!(ended(&engine, id).await.status, Status::Completed);
        assert_eq!(counters(&engine, id).await.read, 60);
        engine.shutdown().await;
    }
}

/// The stop is asked for by another node: a commit is the first that hears of it here.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_heard_of_by_a_save_that_was_made_while_the_reader_waits() {
    let (place, gate) = (TestStore::new(), Arc::new(AtomicBool::new(false)));
    let (opens, other) = (Arc::clone(&gate), place.repository().await);
    let stops = Arc::clone(&other);
    let job = Job::builder("Stalls")
        .step(
            ChunkStep::builder("Stalls")
                .reader(move |_| Ok(Stalls { next: 0, blocks: false, gate: Arc::clone(&gate) }))
                .processor(move |context| {
                    let (stops, id) = (Arc::clone(&stops), context.execution_id());
                    // In the third chunk, which is saved while the reader waits behind it.
                    Ok(AsyncFunctionProcessor::new(move |n: u64| {
                        let stops = Arc::clone(&stops);
                        async move {
                            if n == 25 {
                                stops.request_stop(id).await.map_err(ItemError::other)?;
                            }
                            Ok(Some(n))
                        }
                    }))
                })
                .writer(|_| Ok(ListWriter::new(list())))
                .chunk_size(10)
                .read_ahead(ReadAhead::Never)
                .commit_every(Duration::from_millis(50)),
        )
        .build()
        .unwrap();
    let engine = place.node([job]).await;
    let id = begin(&engine, "Stalls").await;
    // Where notifications arrive before the commit does, the step ends by them, and the reader is never waited for.
    until_step(&engine, id, |step| step.counters.read >= 30 || step.end_time.is_some()).await;
    opens.store(true, Ordering::SeqCst);
    let execution = ended(&engine, id).await;
    assert_eq!(execution.status, Status::Stopped, "{execution:?}");
    let counters = counters(&engine, id).await;
    assert!(
        (20..=40).contains(&counters.read),
        "it goes on to the end of the chunk in hand, and no further: {counters:?}"
    );
    assert_eq!(counters.write, counters.read, "what was read is written: {counters:?}");
    other.close().await.unwrap();
    engine.shutdown().await;
}

/// A line for each number.
#[derive(Default)]
struct Lines;

impl RecordEncoder<u64> for Lines {
    fn encode(&mut self, item: &u64, _: u64, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
        buffer.extend_from_slice(format!("{item}\n").as_bytes());
        Ok(())
    }
}

/// A node whose repository is closed under it is dead to the others; what it has written stays as it is.
#[tokio::test(flavor = "multi_thread")]
async fn files_hold_everything_once_after_a_kill_although_several_files_were_not_saved() {
    let place = TestStore::new();
    let folder = place.path("out");
    let ((tell, reached), (bury, buried)) = (channel(), channel::<()>());
    let buried = Arc::new(Mutex::new(buried));
    let target = folder.join("numbers.txt");
    let step = move |kill_at: Option<u64>| -> ChunkStepBuilder<_, _, _> {
        let (tell, buried, target) = (Arc::new(Mutex::new(tell.clone())), Arc::clone(&buried), target.clone());
        ChunkStep::builder("Roll")
            .reader(|_| Ok(IteratorReader::new(0..500_u64)))
            .processor(move |context| {
                let (tell, buried, context) = (Arc::clone(&tell), Arc::clone(&buried), context.clone());
                Ok(FunctionProcessor::new(move |n: u64| {
                    // Of what was written so far, 100 are saved.
                    if n == 95 {
                        context.put("saved", true)?;
                    }
                    if Some(n) == kill_at {
                        tell.lock().unwrap().send(())?;
                        let _ = buried.lock().unwrap().recv();
                        return Err(ItemError::other("it is dead"));
                    }
                    Ok(Some(n))
                }))
            })
            .writer(move |context| Ok(FileWriter::<Lines, u64>::new(context, &target).roll_after_items(30)))
            .chunk_size(10)
            .commit_every(NEVER)
    };
    let job = Job::builder("Roll").step(step(Some(333))).build().unwrap();
    // Its one place stays taken: the dead take no work.
    let dead = place.node_with([job], |config| config.concurrency = 1).await;
    let id = begin(&dead, "Roll").await;
    tokio::task::block_in_place(|| reached.recv().unwrap());
    assert_eq!(counters(&dead, id).await.read, 100);
    // The lock on the file dies with the process; here it has to be let go first.
    let parts = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(parts, 11, "330 of 30 each");
    place.nodes().has_died(&dead);
    dead.repository().close().await.unwrap();
    let copy = place.path("as-it-was");
    std::fs::create_dir(&copy).unwrap();
    for part in std::fs::read_dir(&folder).unwrap() {
        let part = part.unwrap();
        std::fs::copy(part.path(), copy.join(part.file_name())).unwrap();
    }
    std::fs::rename(&folder, place.path("of-the-dead")).unwrap();
    std::fs::rename(&copy, &folder).unwrap();
    let engine = place.node([Job::builder("Roll").step(step(None)).build().unwrap()]).await;
    let successor = ended(&engine, ExecutionId(id.0 + 1)).await;
    assert_eq!(successor.status, Status::Completed, "{successor:?}");
    assert_eq!(counters(&engine, successor.id).await.read, 400);
    drop(bury);
    let mut lines = Vec::new();
    for number in 1..=17 {
        let text = std::fs::read_to_string(folder.join(format!("numbers-{number:04}.txt"))).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    assert_eq!(lines, (0..500_u64).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(!folder.join("numbers-0018.txt").exists());
    engine.shutdown().await;
}
