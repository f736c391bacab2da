//! Re-runs of skipped items: the same processor and writer, each item once, the first instance left alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oxbatch_core::engine::{OperatorError, Rerun};
use oxbatch_core::execution::{ControlTotal, ExecutionId};
use oxbatch_core::item::{ErrorKind, FunctionProcessor, GroupingReader, ListReader, ListWriter};
use oxbatch_core::repository::{ChunkTransaction, LaunchError};
use oxbatch_core::step::ReadAhead;
use oxbatch_core::{
    BuildError, ChunkStep, Engine, ItemError, ItemWriter, Job, JobExecution, SkipPolicy, Status, TaskStep,
};
use oxbatch_formats::JsonLinesReader;
use serde::{Deserialize, Serialize};

use crate::harness::{Numbers, Shared, TestStore, contents, ended, force, launch, list, ran, steps};

/// The troubles that are left in the world.
#[derive(Default)]
struct World {
    process: AtomicBool,
    write: AtomicBool,
    read: AtomicBool,
    panics: AtomicBool,
}

impl World {
    fn fixed() -> Arc<Self> {
        let world = Self::default();
        for wrong in [&world.process, &world.write, &world.read, &world.panics] {
            wrong.store(false, Ordering::SeqCst);
        }
        Arc::new(world)
    }

    fn broken() -> Arc<Self> {
        let world = Self::fixed();
        for wrong in [&world.process, &world.write, &world.read] {
            wrong.store(true, Ordering::SeqCst);
        }
        world
    }

    fn is(wrong: &AtomicBool) -> bool {
        wrong.load(Ordering::SeqCst)
    }
}

/// Refuses outputs that end in 7 as long as writing is broken.
struct NoSevens {
    inner: ListWriter<u64>,
    world: Arc<World>,
}

impl ItemWriter<u64> for NoSevens {
    async fn write(&mut self, outputs: &[u64], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        let bad = outputs.iter().position(|output| World::is(&self.world.write) && output % 10 == 7);
        self.inner.write(&outputs[..bad.unwrap_or(outputs.len())], transaction).await?;
        bad.map_or(Ok(()), |_| Err(ItemError::new(ErrorKind::Constraint, "no sevens")))
    }

    fn committed(&mut self) {
        ItemWriter::<u64>::committed(&mut self.inner);
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        ItemWriter::<u64>::rolled_back(&mut self.inner).await
    }
}

/// Copies 0 to 39: 11 cannot be read, 3, 13, … not be processed, 7, 17, … not be written, until the world is fixed.
fn job(out: &Shared<u64>, world: &Arc<World>, raw: bool) -> Job {
    let (out, processing, writing, reading) =
        (Arc::clone(out), Arc::clone(world), Arc::clone(world), Arc::clone(world));
    let step = ChunkStep::builder("Copy")
        .reader(|_| Ok(Numbers::skipping(40, |n| n == 11)))
        .skip(SkipPolicy::new(20))
        .processor(move |_| {
            let world = Arc::clone(&processing);
            Ok(FunctionProcessor::new(move |n: u64| match n % 10 {
                3 if World::is(&world.process) => Err(ItemError::validation("three")),
                3 if n == 23 && World::is(&world.panics) => panic!("the line dropped"),
                _ => Ok(Some(n)),
            }))
        })
        .writer(move |_| Ok(NoSevens { inner: ListWriter::new(Arc::clone(&out)), world: Arc::clone(&writing) }))
        .control_total("sum", |n| *n)
        .chunk_size(2)
        .read_ahead(ReadAhead::Always)
        .rerun_skips();
    let step = match raw {
        true => step.parse_raw(move |raw| {
            if World::is(&reading.read) {
                return Err("still unreadable".into());
            }
            Ok(raw.trim_matches(['<', '>']).parse()?)
        }),
        false => step,
    };
    let before = TaskStep::builder("Before", |_| Ok(()));
    Job::builder("Rerun").step(before).step(step).step(TaskStep::builder("After", |_| Ok(()))).build().unwrap()
}

async fn rerun(engine: &Engine, id: ExecutionId) -> Result<(Rerun, JobExecution), OperatorError> {
    let rerun = engine.rerun_skips(id).await?;
    let execution = ended(engine, rerun.launched.execution.id).await;
    Ok((rerun, execution))
}

fn sorted(out: &Shared<u64>) -> Vec<u64> {
    let mut contents = contents(out);
    contents.sort_unstable();
    contents
}

#[tokio::test]
async fn skipped_items_are_run_again_once_by_a_linked_execution() {
    let (out, world, place) = (list(), World::broken(), TestStore::new());
    let engine = place.node([job(&out, &world, true)]).await;
    let first = launch(&engine, "Rerun").await;
    assert_eq!(first.status, Status::Completed, "{first:?}");
    assert_eq!(contents(&out).len(), 31);
    for wrong in [&world.process, &world.write, &world.read] {
        wrong.store(false, Ordering::SeqCst);
    }
    let (asked, second) = rerun(&engine, first.id).await.unwrap();
    assert_eq!((asked.items, asked.left_count), (9, 0));
    assert_eq!((second.status, second.rerun_of), (Status::Completed, Some(first.id)), "{second:?}");
    assert_eq!(ran(&engine, second.id).await, ["Copy COMPLETED"]);
    assert_eq!(sorted(&out), (0..40).collect::<Vec<_>>());
    let step = &steps(&engine, second.id).await[0];
    assert_eq!((step.counters.read, step.counters.write, step.counters.commit), (9, 9, 5));
    let sum = Some((3 + 13 + 23 + 33 + 7 + 17 + 27 + 37 + 11_u64).into());
    let zero = Some(0_u64.into());
    let total = ControlTotal { name: "sum".to_owned(), read: sum, filtered: zero, skipped: zero, written: sum };
    assert_eq!(step.control_totals.get("sum"), Some(&total));
    assert_eq!(engine.execution(first.id).await.unwrap().rerun_by, Some(second.id));
    let refused = rerun(&engine, first.id).await.unwrap_err().to_string();
    assert_eq!(refused, "the skipped items of execution 1 cannot be run again: it has no skipped items left");
    // The first instance knows nothing of it.
    let again = launch(&engine, "Rerun").await;
    assert!(ran(&engine, again.id).await.is_empty() && again.instance_id == first.instance_id);
    assert_eq!(force(&engine, "Rerun").await.status, Status::Completed);
    engine.shutdown().await;
}

#[tokio::test]
async fn what_fails_again_is_kept_again_and_run_again_from_there() {
    let (out, world, place) = (list(), World::broken(), TestStore::new());
    let engine = place.node([job(&out, &world, true)]).await;
    let first = launch(&engine, "Rerun").await;
    world.process.store(false, Ordering::SeqCst);
    let (_, second) = rerun(&engine, first.id).await.unwrap();
    assert_eq!(second.status, Status::Completed, "{second:?}");
    let step = &steps(&engine, second.id).await[0];
    assert_eq!(
        (step.counters.read, step.counters.write, step.counters.read_skip, step.counters.write_skip),
        (8, 4, 1, 4)
    );
    let kept = engine.repository().skips(step.id, None, 100).await.unwrap().skips;
    let mut kept: Vec<_> = kept.iter().map(|skip| skip.item.item.clone().unwrap()).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["17", "27", "37", "7", "<11>"]);
    for wrong in [&world.write, &world.read] {
        wrong.store(false, Ordering::SeqCst);
    }
    assert!(rerun(&engine, first.id).await.is_err());
    let (asked, third) = rerun(&engine, second.id).await.unwrap();
    assert_eq!((asked.items, third.status, third.rerun_of), (5, Status::Completed, Some(second.id)));
    assert_eq!(sorted(&out), (0..40).collect::<Vec<_>>());
    engine.shutdown().await;
}

#[tokio::test]
async fn a_rerun_that_failed_is_resumed_by_a_restart_and_by_the_next_rerun() {
    for by_restart in [true, false] {
        let (out, world, place) = (list(), World::broken(), TestStore::new());
        let engine = place.node([job(&out, &world, true)]).await;
        let first = launch(&engine, "Rerun").await;
        for wrong in [&world.process, &world.write, &world.read] {
            wrong.store(false, Ordering::SeqCst);
        }
        world.panics.store(true, Ordering::SeqCst);
        let (_, failed) = rerun(&engine, first.id).await.unwrap();
        assert_eq!(failed.status, Status::Failed, "{failed:?}");
        let before = contents(&out).len();
        world.panics.store(false, Ordering::SeqCst);
        let resumed = match by_restart {
            true => engine.restart(failed.id).await.unwrap().execution.id,
            false => engine.rerun_skips(first.id).await.unwrap().launched.execution.id,
        };
        let resumed = ended(&engine, resumed).await;
        assert_eq!((resumed.status, resumed.rerun_of), (Status::Completed, Some(first.id)), "{resumed:?}");
        assert_eq!(resumed.instance_id, failed.instance_id);
        assert!(before > 31, "some chunks of the re-run were committed before its fault");
        assert_eq!(sorted(&out), (0..40).collect::<Vec<_>>());
        let step = &steps(&engine, resumed.id).await[0];
        let total = step.control_totals.get("sum").unwrap();
        assert_eq!(total.written, Some(171_u64.into()), "cumulative over the attempts of the re-run");
        engine.shutdown().await;
    }
}

/// A re-run whose origin is gone finds nothing to run, which is no success.
#[tokio::test]
async fn a_rerun_whose_items_are_gone_fails_with_a_sentence() {
    let (out, world, place) = (list(), World::broken(), TestStore::new());
    let engine = place.node([job(&out, &world, true)]).await;
    let first = launch(&engine, "Rerun").await;
    engine.shutdown().await;
    let idle = place.node_with([job(&out, &world, true)], |config| config.take_work = false).await;
    let waiting = idle.rerun_skips(first.id).await.unwrap().launched.execution.id;
    idle.shutdown().await;
    place.execute(&format!("DELETE FROM oxbatch_job_execution WHERE id = {}", first.id));
    let engine = place.node([job(&out, &world, true)]).await;
    let rerun = ended(&engine, waiting).await;
    assert_eq!(rerun.status, Status::Failed, "{rerun:?}");
    let expected = "execution 1, whose skipped items it was to run again, is not there any more, nor are they";
    assert_eq!(rerun.exit_message.as_deref(), Some(expected));
    let refused = engine.restart(rerun.id).await.unwrap_err().to_string();
    assert_eq!(refused, format!("execution {} is FAILED and cannot be restarted: {expected}", rerun.id));
    assert_eq!(engine.abandon(rerun.id).await.unwrap().status, Status::Abandoned);
    engine.shutdown().await;
}

#[tokio::test]
async fn racing_reruns_run_no_item_twice() {
    let (out, world, place) = (list(), World::broken(), TestStore::new());
    let engine = place.node([job(&out, &world, true)]).await;
    let first = launch(&engine, "Rerun").await;
    for wrong in [&world.process, &world.write, &world.read] {
        wrong.store(false, Ordering::SeqCst);
    }
    let racing = (0..8).map(|_| rerun(&engine, first.id));
    for outcome in futures_util::future::join_all(racing).await {
        match outcome {
            Ok((_, execution)) => assert_eq!(execution.status, Status::Completed, "{execution:?}"),
            Err(OperatorError::Launch(LaunchError::AlreadyRunning { .. }) | OperatorError::NotRerunnable { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(sorted(&out), (0..40).collect::<Vec<_>>());
    engine.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_run_again_is_told_item_by_item_and_stays() {
    let (out, world, place) = (list(), World::broken(), TestStore::new());
    let engine = place.node([job(&out, &world, false)]).await;
    let first = launch(&engine, "Rerun").await;
    world.process.store(false, Ordering::SeqCst);
    world.write.store(false, Ordering::SeqCst);
    let (asked, second) = rerun(&engine, first.id).await.unwrap();
    assert_eq!((asked.items, asked.left_count, second.status), (8, 1, Status::Completed));
    let left = &asked.left[0];
    assert_eq!((left.step_name.as_str(), left.skip.item.position.as_deref()), ("Copy", Some("line 11")));
    assert_eq!(left.reason, "it could not be read: add .parse_raw(…) to the step to read its raw text");
    assert_eq!(sorted(&out), (0..40).filter(|n| *n != 11).collect::<Vec<_>>());
    let refused = rerun(&engine, first.id).await.unwrap_err().to_string();
    let expected = "the skipped items of execution 1 cannot be run again: none of the 1 skipped items left can be run again: those of step 'Copy' could not be read, which takes .parse_raw(…), or were not kept whole";
    assert_eq!(refused, expected);
    engine.shutdown().await;
    // Once the step can read raw text, what was left is run.
    world.read.store(false, Ordering::SeqCst);
    let engine = place.node([job(&out, &world, true)]).await;
    let (asked, third) = rerun(&engine, first.id).await.unwrap();
    assert_eq!((asked.items, third.status), (1, Status::Completed), "{third:?}");
    assert_ne!(third.instance_id, second.instance_id);
    assert_eq!(sorted(&out), (0..40).collect::<Vec<_>>());
    engine.shutdown().await;
}

#[tokio::test]
async fn an_item_that_was_cut_is_not_run_again() {
    let job = || {
        let step = ChunkStep::builder("Texts")
            .reader(|_| Ok(ListReader::new(["short".to_owned(), "long ".repeat(10_000)])))
            .skip(SkipPolicy::new(2))
            .processor(|_| {
                Ok(FunctionProcessor::new(|_: String| Err::<Option<String>, _>(ItemError::validation("no"))))
            })
            .writer(|_| Ok(ListWriter::new(list::<String>())))
            .rerun_skips();
        Job::builder("Texts").step(step).build().unwrap()
    };
    let place = TestStore::new();
    let engine = place.node([job()]).await;
    let first = launch(&engine, "Texts").await;
    let (asked, _) = rerun(&engine, first.id).await.unwrap();
    assert_eq!((asked.items, asked.left_count), (1, 1));
    assert_eq!(asked.left[0].reason, "it was too long to be kept whole");
    engine.shutdown().await;
}

/// A step that fails on all of `items`, whose kept items are asked for; then it is run again.
async fn left_over<T>(items: Vec<T>) -> (Vec<(String, bool)>, Result<Rerun, OperatorError>)
where
    T: Clone + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'static,
{
    let step = ChunkStep::builder("All")
        .reader(move |_| Ok(ListReader::new(items.clone())))
        .skip(SkipPolicy::new(100))
        .processor(|_| Ok(FunctionProcessor::new(|_: T| Err::<Option<T>, _>(ItemError::validation("no")))))
        .writer(|_| Ok(ListWriter::new(list::<T>())))
        .rerun_skips();
    let place = TestStore::new();
    let engine = place.node([Job::builder("All").step(step).build().unwrap()]).await;
    let first = launch(&engine, "All").await;
    let step = &steps(&engine, first.id).await[0];
    let kept = engine.repository().skips(step.id, None, 100).await.unwrap().skips;
    let kept = kept.into_iter().map(|skip| (skip.item.item.unwrap(), skip.item.complete)).collect();
    let asked = match engine.rerun_skips(first.id).await {
        Ok(asked) => {
            ended(&engine, asked.launched.execution.id).await;
            Ok(asked)
        }
        Err(refused) => Err(refused),
    };
    engine.shutdown().await;
    (kept, asked)
}

#[tokio::test]
async fn an_item_whose_json_is_not_all_of_it_is_kept_and_never_run_again() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Reading {
        value: Option<f64>,
    }
    let readings = [Some(1.5), Some(f64::NAN), None, Some(f64::NEG_INFINITY)];
    let (kept, asked) = left_over(readings.map(|value| Reading { value }).to_vec()).await;
    let kept: Vec<_> = kept.iter().map(|(text, complete)| (text.as_str(), *complete)).collect();
    let expected = [
        ("{\"value\":1.5}", true),
        ("{\"value\":\"NaN\"}", false),
        ("{\"value\":null}", true),
        ("{\"value\":\"-inf\"}", false),
    ];
    assert_eq!(kept, expected);
    let asked = asked.unwrap();
    assert_eq!((asked.items, asked.left_count), (2, 2));
    assert_eq!(asked.left[0].reason, "the JSON that was kept of it does not read back as the item that it was");

    /// `Some(None)` is written as `null` and read as `None`; what is left out is read as its default.
    #[derive(Clone, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        #[serde(serialize_with = "as_text")]
        Number(u64),
    }
    fn as_text<S: serde::Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq([number])
    }
    let (kept, asked) = left_over(vec![Id::Text("a".to_owned()), Id::Number(1)]).await;
    assert_eq!(kept, [("\"a\"".to_owned(), true), ("[1]".to_owned(), false)]);
    assert_eq!(asked.unwrap().items, 1);

    let set: std::collections::HashSet<u32> = (0..100).collect();
    let (_, asked) = left_over(vec![set]).await;
    assert_eq!(asked.unwrap().items, 1, "a set is written in another order each time");
}

/// Reads lines in groups of equal tens; a line that is no number spoils its group.
fn grouped(text: &[u8], limit: u32) -> (tempfile::TempDir, Job, Shared<Vec<u64>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    std::fs::write(&path, text).unwrap();
    let out = list();
    let written = Arc::clone(&out);
    let step = ChunkStep::builder("Group")
        .reader(move |_| {
            let lines = JsonLinesReader::<u64>::new(&path).max_line_bytes(limit);
            Ok(GroupingReader::new(lines, |a, b| a / 10 == b / 10))
        })
        .skip(SkipPolicy::new(10))
        .writer(move |_| Ok(ListWriter::new(Arc::clone(&written))))
        .rerun_skips()
        .parse_raw(|raw| Ok(vec![raw.trim_matches('x').parse()?]));
    (folder, Job::builder("Group").step(step).build().unwrap(), out)
}

#[tokio::test]
async fn a_line_that_spoils_a_group_is_never_run_again_as_a_group_of_its_own() {
    let (_folder, job, out) = grouped(b"11\n12\nx13x\n14\n21\n22\n", 100);
    let place = TestStore::new();
    let engine = place.node([job]).await;
    let first = launch(&engine, "Group").await;
    assert_eq!(contents(&out), [vec![21, 22]]);
    let step = &steps(&engine, first.id).await[0];
    let kept = &engine.repository().skips(step.id, None, 100).await.unwrap().skips[0].item;
    assert_eq!((kept.item.as_deref(), kept.complete), (Some("x13x"), false));
    let message = "a record cannot be read, and so its group with 3 others is left out: expected value";
    assert_eq!(kept.error, message);
    let refused = engine.rerun_skips(first.id).await.unwrap_err().to_string();
    assert!(refused.contains("were not kept whole"), "{refused}");
    assert_eq!(contents(&out), [vec![21, 22]]);
    engine.shutdown().await;
}

#[tokio::test]
async fn raw_text_that_is_not_all_of_the_record_is_never_run_again() {
    for (line, whole) in [(&b"x1234567890"[..], false), (b"x1\xff", false), (b"x123", true)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, [line, b"\n"].concat()).unwrap();
        let out = list();
        let written = Arc::clone(&out);
        let step = ChunkStep::builder("Lines")
            .reader(move |_| Ok(JsonLinesReader::<u64>::new(&path).max_line_bytes(5)))
            .skip(SkipPolicy::new(10))
            .writer(move |_| Ok(ListWriter::new(Arc::clone(&written))))
            .rerun_skips()
            .parse_raw(|raw| Ok(raw.trim_matches(['x', '\u{fffd}']).parse()?));
        let place = TestStore::new();
        let engine = place.node([Job::builder("Lines").step(step).build().unwrap()]).await;
        let first = launch(&engine, "Lines").await;
        let asked = engine.rerun_skips(first.id).await;
        if let Ok(asked) = &asked {
            ended(&engine, asked.launched.execution.id).await;
        }
        let text = String::from_utf8_lossy(line);
        assert_eq!(asked.is_ok(), whole, "{text}");
        assert_eq!(contents(&out), if whole { vec![123] } else { vec![] }, "{text}");
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn a_job_that_has_changed_refuses_with_a_sentence() {
    let (out, world, place) = (list(), World::broken(), TestStore::new());
    let engine = place.node([job(&out, &world, true)]).await;
    let first = launch(&engine, "Rerun").await;
    engine.shutdown().await;
    let refusal = async |job: Option<Job>| {
        let engine = place.node(job).await;
        let refused = rerun(&engine, first.id).await.unwrap_err().to_string();
        engine.shutdown().await;
        refused
    };
    assert_eq!(refusal(None).await, "job not found: 'Rerun'");
    let other = Job::builder("Rerun").step(TaskStep::builder("Other", |_| Ok(()))).build().unwrap();
    let prefix =
        "the skipped items of execution 1 cannot be run again: none of the 9 skipped items left can be run again: ";
    assert_eq!(refusal(Some(other)).await, format!("{prefix}job 'Rerun' no longer has the step 'Copy'"));
    let copy = ChunkStep::builder("Copy")
        .reader(|_| Ok(ListReader::new(0..1_u64)))
        .skip(SkipPolicy::new(1))
        .writer(|_| Ok(ListWriter::new(list())));
    let unable = Job::builder("Rerun").step(copy).build().unwrap();
    let why = "step 'Copy' does not say how its items are read back: add .rerun_skips() to it";
    assert_eq!(refusal(Some(unable)).await, format!("{prefix}{why}"));
}

#[test]
fn reruns_that_contradict_themselves_are_build_errors() {
    fn problem(step: impl oxbatch_core::step::IntoStep) -> String {
        match Job::builder("Rerun").step(step).build() {
            Err(BuildError::Step { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }
    let copy = || ChunkStep::builder("Copy").reader(|_| Ok(ListReader::new(0..1_u64)));
    let no_policy = copy().writer(|_| Ok(ListWriter::new(list()))).rerun_skips();
    assert_eq!(problem(no_policy), "it has rerun_skips, but no skip policy: nothing is ever skipped");
    let parse_alone = copy().skip(SkipPolicy::new(1)).parse_raw(|raw| Ok(raw.parse()?));
    assert_eq!(
        problem(parse_alone.writer(|_| Ok(ListWriter::new(list())))),
        "it can parse skipped items, but has no rerun_skips"
    );
    let too_early = copy()
        .skip(SkipPolicy::new(1))
        .writer(|_| Ok(ListWriter::new(list::<u64>())))
        .rerun_skips()
        .writer(|_| Ok(crate::harness::FailingWriter { at: "never" }));
    assert_eq!(problem(too_early), "rerun_skips must come after the processor, the writer and the item listener");
}

/// A reader on a thread of its own is ahead of the chunk: each chunk marks its own items all the same.
#[tokio::test]
async fn each_chunk_marks_the_items_that_it_has_run_again_however_they_are_read() {
    for way in 0..3 {
        let (out, broken, place) = (list(), Arc::new(AtomicBool::new(true)), TestStore::new());
        let (written, processing) = (Arc::clone(&out), Arc::clone(&broken));
        let step = ChunkStep::builder("Copy")
            .reader(|_| Ok(ListReader::new(0..20_u64)))
            .skip(SkipPolicy::new(20))
            .processor(move |_| {
                let broken = Arc::clone(&processing);
                Ok(FunctionProcessor::new(move |n: u64| match World::is(&broken) {
                    true => Err(ItemError::validation("broken")),
                    false => Ok(Some(n)),
                }))
            })
            .writer(move |_| Ok(ListWriter::new(Arc::clone(&written))))
            .chunk_size(3)
            .rerun_skips();
        let step = match way {
            0 => step,
            1 => step.chunk_time(std::time::Duration::from_secs(3600)),
            _ => step.processing_threads(3),
        };
        let engine = place.node([Job::builder("Rerun").step(step).build().unwrap()]).await;
        let first = launch(&engine, "Rerun").await;
        broken.store(false, Ordering::SeqCst);
        let (_, second) = rerun(&engine, first.id).await.unwrap();
        assert_eq!(second.status, Status::Completed, "{second:?}");
        assert_eq!(contents(&out), (0..20).collect::<Vec<_>>());
        let again = rerun(&engine, first.id).await.unwrap_err().to_string();
        assert!(again.ends_with("it has no skipped items left"), "way {way}: {again}");
        engine.shutdown().await;
    }
}
