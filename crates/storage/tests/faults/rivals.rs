//! Outputs that would replace what the step reads, or what another execution writes: refused, and nothing is lost.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::item::{ClassifyingWriter, FunctionProcessor, GroupingReader, IteratorReader, TeeWriter};
use oxbatch_core::job::GivenParameters;
use oxbatch_core::{ChunkStep, Engine, ItemWriter, Job, JobExecution, Status, Step};
use oxbatch_formats::{CsvReader, CsvWriter, FilesReader, JsonLinesReader, JsonLinesWriter, OnExisting};
use serde::{Deserialize, Serialize};

use crate::harness::{TestStore, begin, ended};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    id: u32,
}

async fn run(engine: &Engine, job: &str) -> JobExecution {
    let launched = engine.launch(job, GivenParameters::default(), LaunchOptions::default()).await.unwrap();
    ended(engine, launched.execution.id).await
}

/// Copies with a reader of its own and any writer.
fn copies(name: &str, path: PathBuf, step: impl Fn(&str, PathBuf) -> Step) -> Job {
    Job::builder(name).step(step(name, path)).build().unwrap()
}

fn csv(name: &str, path: PathBuf) -> Step {
    let output = path.clone();
    ChunkStep::builder(name)
        .reader(move |_| Ok(CsvReader::<Row>::new(&path)))
        .writer(move |context| Ok(CsvWriter::<Row>::new(context, &output)))
        .try_into()
        .unwrap()
}

fn groups_into_a_tee(name: &str, path: PathBuf) -> Step {
    let output = path.clone();
    ChunkStep::builder(name)
        .reader(move |_| Ok(GroupingReader::new(JsonLinesReader::<Row>::new(&path), |first, row| first == row)))
        .writer(move |context| {
            let other = JsonLinesWriter::<Vec<Row>>::new(context, output.with_file_name("other"));
            Ok(TeeWriter::new(other, JsonLinesWriter::new(context, &output).on_existing(OnExisting::Append)))
        })
        .try_into()
        .unwrap()
}

fn files_into_a_route(name: &str, path: PathBuf) -> Step {
    let pattern = format!("{}*", path.display());
    ChunkStep::builder(name)
        .reader(move |_| Ok(FilesReader::new(&pattern, |path| JsonLinesReader::<Row>::new(path))))
        .writer(move |context| {
            Ok(ClassifyingWriter::new(|_: &Row| "all").route("all", JsonLinesWriter::<Row>::new(context, &path)))
        })
        .try_into()
        .unwrap()
}

#[tokio::test]
async fn an_output_that_is_the_input_is_refused_before_anything_is_written() {
    let place = TestStore::new();
    let (table, lines) = (place.path("in.csv"), place.path("in.jsonl"));
    std::fs::write(&table, "id\n1\n2\n").unwrap();
    std::fs::write(&lines, "{\"id\":1}\n").unwrap();
    let jobs = [
        copies("Csv", table.clone(), csv),
        copies("Tee", lines.clone(), groups_into_a_tee),
        copies("Route", lines.clone(), files_into_a_route),
    ];
    let engine = place.node(jobs).await;
    for (job, path) in [("Csv", &table), ("Tee", &lines), ("Route", &lines)] {
        let execution = run(&engine, job).await;
        let message = execution.exit_message.unwrap();
        let expected = format!("is the file '{}', which this step reads", path.display());
        assert!(execution.status == Status::Failed && message.contains(&expected), "{message}");
    }
    assert_eq!(std::fs::read_to_string(&table).unwrap(), "id\n1\n2\n");
    assert_eq!(std::fs::read_to_string(&lines).unwrap(), "{\"id\":1}\n");
    assert!(!place.path("in.csv.1-Csv.part").exists());
    engine.shutdown().await;
}

type Gate = Arc<Mutex<(Sender<()>, Receiver<()>)>>;

/// Writes numbers, and waits at 25 where there is a gate.
fn numbers<W>(
    name: &str,
    gate: Option<Gate>,
    writer: impl Fn(&oxbatch_core::StepContext) -> W + Send + Sync + 'static,
) -> Job
where
    W: ItemWriter<u64> + 'static,
{
    let wait = move |n: u64| {
        if n == 25
            && let Some(gate) = &gate
        {
            let gate = gate.lock().unwrap();
            gate.0.send(())?;
            let _ = gate.1.recv();
        }
        Ok(Some(n))
    };
    let step = ChunkStep::builder("Export")
        .reader(|_| Ok(IteratorReader::new(0..30_u64)))
        .processor(move |_| Ok(FunctionProcessor::new(wait.clone())))
        .writer(move |context| Ok(writer(context)))
        .chunk_size(10);
    Job::builder(name).step(step).build().unwrap()
}

fn lines(path: &Path) -> impl Fn(&oxbatch_core::StepContext) -> JsonLinesWriter<u64> + Send + Sync + use<> {
    let path = path.to_owned();
    move |context| JsonLinesWriter::new(context, &path)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_executions_that_write_one_file_the_second_fails_and_the_first_is_whole() {
    let place = TestStore::new();
    let path = place.path("out.jsonl");
    let ((tell, reached), (open, opened)) = (channel(), channel());
    let gate = Gate::new(Mutex::new((tell, opened)));
    let engine = place.node([numbers("First", Some(gate), lines(&path)), numbers("Second", None, lines(&path))]).await;
    let first = begin(&engine, "First").await;
    tokio::task::block_in_place(|| reached.recv().unwrap());
    let second = run(&engine, "Second").await;
    let message = second.exit_message.unwrap();
    let expected = "out.jsonl' is being written by another execution, which holds 'out.jsonl.1-Export.part'; launch again when that has ended";
    assert!(second.status == Status::Failed && message.contains(expected), "{message}");
    drop(open);
    assert_eq!(ended(&engine, first).await.status, Status::Completed);
    let expected: String = (0..30).map(|n| format!("{n}\n")).collect();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(run(&engine, "Second").await.status, Status::Completed);
    assert!(!place.path("out.jsonl.2-Export.part").exists());
    engine.shutdown().await;
}
