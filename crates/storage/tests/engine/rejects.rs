//! The reject output of a step: once each, with the chunk that commits the skip, and shown when the step fails.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oxbatch_core::item::{
    ClassifyingWriter, ErrorKind, FunctionProcessor, ItemWriterExt, ListWriter, Reject, TeeWriter,
};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::{ChunkStep, ItemError, ItemWriter, Job, SkipPolicy, Status};
use oxbatch_formats::{CsvReader, CsvWriter, JsonLinesWriter};

use crate::harness::{Numbers, Shared, TestStore, contents, launch, list};

/// Refuses one number.
struct Refuses(ListWriter<u64>, u64);

impl ItemWriter<u64> for Refuses {
    async fn write(&mut self, outputs: &[u64], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        match outputs.contains(&self.1) {
            true => Err(ItemError::new(ErrorKind::Constraint, "refused")),
            false => self.0.write(outputs, transaction).await,
        }
    }

    fn committed(&mut self) {
        ItemWriter::<u64>::committed(&mut self.0);
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        ItemWriter::<u64>::rolled_back(&mut self.0).await
    }
}

/// Reads 0 to 15: 1 cannot be read, 2 not be processed, 6 not be written; 9 ends the first attempt, as its chunk has
/// one more.
fn job(rejects: &Path, out: &Shared<u64>, broken: Arc<AtomicBool>) -> Job {
    let (rejects, out) = (rejects.to_owned(), Arc::clone(out));
    let step = ChunkStep::builder("Step")
        .reader(|_| Ok(Numbers::skipping(16, |n| n == 1)))
        .processor(move |_| {
            let broken = Arc::clone(&broken);
            Ok(FunctionProcessor::new(move |n: u64| match n {
                2 | 8 => Err(ItemError::validation("bad")),
                9 if broken.swap(false, Ordering::SeqCst) => Err(ItemError::other("broken").fatal()),
                n => Ok(Some(n)),
            }))
        })
        .writer(move |_| Ok(Refuses(ListWriter::new(Arc::clone(&out)), 6)))
        .chunk_size(4)
        .skip(SkipPolicy::new(10))
        .rejects(move |context| {
            CsvWriter::<Reject>::new(context, &rejects).footer(|summary| format!("# {}\n", summary.items))
        });
    Job::builder("Job").step(step).build().unwrap()
}

const HEAD: &str = "phase,kind,file,line,position,item,error\n";
const FIRST: &str = "READ,parse,,,line 1,<1>,no number\nPROCESS,validation,,,,2,bad\nWRITE,constraint,,,,6,refused\n";

#[tokio::test]
async fn rejects_are_written_once_and_a_step_that_fails_shows_a_copy_of_them() {
    let (store, out) = (TestStore::new(), list());
    let path = store.path("rejects.csv");
    let engine = store.node([job(&path, &out, Arc::new(AtomicBool::new(true)))]).await;
    assert_eq!(launch(&engine, "Job").await.status, Status::Failed);
    let text = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert_eq!(text(&path), format!("{HEAD}{FIRST}# 3\n"));
    let execution = launch(&engine, "Job").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    assert_eq!(text(&path), format!("{HEAD}{FIRST}PROCESS,validation,,,,8,bad\n# 4\n"));
    assert_eq!(contents(&out).len(), 12);
    let left: Vec<_> =
        std::fs::read_dir(path.parent().unwrap()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("rejects.csv.")), "{left:?}");
    engine.shutdown().await;
}

#[derive(serde::Serialize)]
struct Line {
    error: String,
}

/// Writers around others pass the copy on: each of the files is there when the step has failed.
#[tokio::test]
async fn a_copy_is_shown_by_the_writers_within_others() {
    let (store, out) = (TestStore::new(), list::<u64>());
    let paths = ["all", "first", "second"].map(|name| store.path(&format!("{name}.csv")));
    let step = ChunkStep::builder("Step")
        .reader(|_| {
            Ok(Numbers::new(8, |n| match n {
                7 => Err(ItemError::other("broken").fatal()),
                _ => Ok(()),
            }))
        })
        .try_map(|n: u64| if n < 4 { Err(ItemError::validation(format!("number {n}"))) } else { Ok(n) })
        .writer(move |_| Ok(ListWriter::new(Arc::clone(&out))))
        .chunk_size(4)
        .skip(SkipPolicy::new(10))
        .rejects({
            let paths = paths.clone();
            move |context| {
                let [all, first, second] = paths.clone().map(|path| {
                    CsvWriter::<Line>::new(context, path)
                        .without_headers()
                        .map_input(|reject: &Reject| Line { error: reject.error.clone() })
                });
                let halves = ClassifyingWriter::new(|reject: &Reject| match reject.error.as_str() {
                    "number 0" | "number 1" => "first",
                    _ => "second",
                });
                TeeWriter::new(all, halves.route("first", first).route("second", second))
            }
        });
    let engine = store.node([Job::builder("Job").step(step).build().unwrap()]).await;
    assert_eq!(launch(&engine, "Job").await.status, Status::Failed);
    let [all, first, second] = paths.map(|path| std::fs::read_to_string(path).unwrap());
    assert_eq!(all, "number 0\nnumber 1\nnumber 2\nnumber 3\n");
    assert_eq!((first.as_str(), second.as_str()), ("number 0\nnumber 1\n", "number 2\nnumber 3\n"));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_step_without_rejects_publishes_an_empty_output_and_one_that_fails_before_any_publishes_none() {
    let (store, path) = (TestStore::new(), list::<u64>());
    let rejects = store.path("rejects.jsonl");
    let build = |name: &str, fails: bool| {
        let (rejects, out) = (rejects.clone(), Arc::clone(&path));
        let step = ChunkStep::builder("Step")
            .reader(move |_| {
                Ok(Numbers::new(4, move |_| if fails { Err(ItemError::other("gone").fatal()) } else { Ok(()) }))
            })
            .writer(move |_| Ok(ListWriter::new(Arc::clone(&out))))
            .skip(SkipPolicy::new(10))
            .rejects(move |context| JsonLinesWriter::<Reject>::new(context, &rejects));
        Job::builder(name).step(step).build().unwrap()
    };
    let engine = store.node([build("Fails", true), build("Passes", false)]).await;
    assert_eq!(launch(&engine, "Fails").await.status, Status::Failed);
    assert!(!rejects.exists());
    assert_eq!(launch(&engine, "Passes").await.status, Status::Completed);
    assert_eq!(std::fs::read_to_string(&rejects).unwrap(), "");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_reject_of_what_could_not_be_read_names_the_file_and_the_line() {
    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
    struct Row {
        id: u32,
    }
    let store = TestStore::new();
    let (input, rejects) = (store.path("input.csv"), list::<Reject>());
    std::fs::write(&input, "id\n1\nx\n3\n").unwrap();
    let (file, shared) = (input.clone(), Arc::clone(&rejects));
    let step = ChunkStep::builder("Step")
        .reader(move |_| Ok(CsvReader::<Row>::new(&file)))
        .try_map(|row: Row| if row.id == 3 { Err(ItemError::validation("three")) } else { Ok(row) })
        .writer(|_| Ok(ListWriter::<Row>::new(list())))
        .skip(SkipPolicy::new(10))
        .rejects(move |_| ListWriter::<Reject>::new(Arc::clone(&shared)));
    let engine = store.node([Job::builder("Job").step(step).build().unwrap()]).await;
    assert_eq!(launch(&engine, "Job").await.status, Status::Completed);
    let found = contents(&rejects);
    let texts: Vec<_> = found.iter().map(|reject| (reject.phase, reject.item.as_deref().unwrap())).collect();
    assert_eq!(texts, [("READ", "x"), ("PROCESS", r#"{"id":3}"#)]);
    let places: Vec<_> = found.iter().map(|reject| (reject.file.as_deref(), reject.line)).collect();
    assert_eq!(places, [(input.to_str(), Some(3)), (input.to_str(), Some(4))]);
    assert!(found[0].position.as_deref().is_some_and(|position| position.starts_with("line 3")), "{found:?}");
    engine.shutdown().await;
}

#[tokio::test]
async fn rejects_without_a_skip_policy_are_refused() {
    let step = ChunkStep::builder("Step")
        .reader(|_| Ok(Numbers::new(1, |_| Ok(()))))
        .writer(|_| Ok(ListWriter::new(list())))
        .rejects(|_| ListWriter::<Reject>::new(list()));
    let message = Job::builder("Job").step(step).build().unwrap_err().to_string();
    assert!(message.ends_with("it has an output of rejects, but no skip policy: nothing is ever skipped"), "{message}");
}
