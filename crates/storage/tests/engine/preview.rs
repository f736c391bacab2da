//! Previews: what the first items come to, without a trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use oxbatch_core::engine::{Operator, OperatorConfig, Preview, PreviewEnd, PreviewError, PreviewOptions};
use oxbatch_core::execution::SkipPhase;
use oxbatch_core::item::{FunctionProcessor, ListReader, ListWriter};
use oxbatch_core::job::{GivenParameters, GivenValue};
use oxbatch_core::repository::{ExecutionFilter, InstanceFilter, Node, PageRequest};
use oxbatch_core::step::{PreviewOutcome, PreviewedItem};
use oxbatch_core::{BuildError, ChunkStep, ItemError, Job, JobRegistry, ParameterDeclaration, StepContext, TaskStep};
use serde_json::{Value, json};

use crate::harness::{LONG, Numbers, TestStore, list};

/// An operator where no node runs.
async fn operator(place: &TestStore) -> Operator {
    let registry = JobRegistry::new([]).unwrap();
    Operator::new(registry, place.repository().await, OperatorConfig::new(Node::new("test")))
}

async fn look(place: &TestStore, job: &Job, options: PreviewOptions) -> Result<Preview, PreviewError> {
    operator(place).await.preview(job, GivenParameters::default(), options, ()).await
}

fn output(input: Value, output: Value) -> PreviewedItem {
    PreviewedItem { input: Some(input), outcome: PreviewOutcome::Output(output) }
}

fn failed(input: Option<Value>, phase: SkipPhase, at: &str, raw: Option<&str>, error: &str) -> PreviewedItem {
    let (position, raw) = (Some(at.to_owned()), raw.map(str::to_owned));
    PreviewedItem { input, outcome: PreviewOutcome::Failed { phase, position, raw, error: error.to_owned() } }
}

/// Reads 0 to 9; 2 cannot be read, 4 not be processed, 5 is left out. Whoever builds the writer or runs the task tells.
fn job(touched: &Arc<AtomicBool>) -> Job {
    let (task, writer) = (Arc::clone(touched), Arc::clone(touched));
    let step = ChunkStep::builder("Copy")
        .reader(|_| Ok(Numbers::skipping(10, |n| n == 2)))
        .processor(|_| {
            Ok(FunctionProcessor::new(|n: u64| match n {
                4 => Err(ItemError::validation("four is odd here").at("item 4")),
                5 => Ok(None),
                _ => Ok(Some(json!({"square": n * n}))),
            }))
        })
        .writer(move |_| {
            writer.store(true, Ordering::SeqCst);
            Ok(ListWriter::new(list::<Value>()))
        })
        .preview();
    let before = TaskStep::builder("Before", move |_| {
        task.store(true, Ordering::SeqCst);
        Ok(())
    });
    let silent =
        ChunkStep::builder("Silent").reader(|_| Ok(ListReader::new(0..1_u64))).writer(|_| Ok(ListWriter::new(list())));
    Job::builder("Preview").step(before).step(step).step(silent).build().unwrap()
}

#[tokio::test]
async fn the_first_items_are_shown_with_what_becomes_of_them_and_nothing_is_stored() {
    let (place, touched) = (TestStore::new(), Arc::default());
    let job = job(&touched);
    let shown = look(&place, &job, PreviewOptions { items: 6, ..PreviewOptions::default() }).await.unwrap();
    let expected = [
        output(json!(0), json!({"square": 0})),
        output(json!(1), json!({"square": 1})),
        failed(None, SkipPhase::Read, "line 2", Some("<2>"), "no number"),
        output(json!(3), json!({"square": 9})),
        failed(Some(json!(4)), SkipPhase::Process, "item 4", None, "four is odd here"),
        PreviewedItem { input: Some(json!(5)), outcome: PreviewOutcome::Filtered },
    ];
    assert_eq!((shown.step_name.as_str(), shown.end), ("Copy", PreviewEnd::Enough));
    assert_eq!(shown.items, expected);
    let all = look(&place, &job, PreviewOptions::default()).await.unwrap();
    assert_eq!((all.items.len(), all.end), (10, PreviewEnd::EndOfInput));
    assert!(!touched.load(Ordering::SeqCst), "a task or a writer was touched");
    let engine = place.node([job]).await;
    let page = PageRequest { before: None, limit: 10 };
    assert!(engine.repository().executions(ExecutionFilter::default(), page).await.unwrap().executions.is_empty());
    assert!(engine.repository().instances(InstanceFilter::default(), page).await.unwrap().instances.is_empty());
    engine.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_previewed_is_refused_with_a_sentence() {
    let place = TestStore::new();
    let job = job(&Arc::default());
    let refusal = async |step: &str| {
        let options = PreviewOptions { step: Some(step.to_owned()), ..PreviewOptions::default() };
        look(&place, &job, options).await.unwrap_err().to_string()
    };
    let prefix = "job 'Preview' has nothing to preview: ";
    let silent = "step 'Silent' does not say how its items are shown: add .preview() to it, which takes items and outputs that serde can write";
    assert_eq!(refusal("Silent").await, format!("{prefix}{silent}"));
    assert_eq!(refusal("Before").await, format!("{prefix}step 'Before' is a task, which has no items"));
    assert_eq!(refusal("None").await, format!("{prefix}it has no step 'None'; its chunk steps are Copy, Silent"));
    let tasks = Job::builder("Tasks").step(TaskStep::builder("Only", |_| Ok(()))).build().unwrap();
    let refused = look(&place, &tasks, PreviewOptions::default()).await.unwrap_err().to_string();
    assert_eq!(refused, "job 'Tasks' has nothing to preview: it has no chunk step");
    let too_early = ChunkStep::builder("Copy")
        .reader(|_| Ok(ListReader::new(0..1_u64)))
        .preview()
        .processor(|_| Ok(FunctionProcessor::new(|n: u64| Ok(Some(n)))))
        .writer(|_| Ok(ListWriter::new(list())));
    let Err(BuildError::Step { problem, .. }) = Job::builder("Early").step(too_early).build() else { panic!() };
    assert_eq!(problem, "preview must come after the processor and the item listener");
}

/// A job of one step whose processor does what it is reported.
fn doing<F>(process: F) -> Job
where
    F: Fn(u64, &StepContext) -> Result<Option<u64>, ItemError> + Clone + Send + Sync + 'static,
{
    let step = ChunkStep::builder("Copy")
        .reader(|_| Ok(ListReader::new(0..1_000_u64)))
        .processor(move |context| {
            let (process, context) = (process.clone(), context.clone());
            Ok(FunctionProcessor::new(move |n: u64| process(n, &context)))
        })
        .writer(|_| Ok(ListWriter::new(list())))
        .preview();
    Job::builder("Doing").step(step).build().unwrap()
}

#[tokio::test]
async fn faults_and_panics_are_shown_behind_the_items_before_them() {
    let place = TestStore::new();
    let panics = doing(|n, _| if n == 3 { panic!("no paper") } else { Ok(Some(n)) });
    let shown = look(&place, &panics, PreviewOptions::default()).await.unwrap();
    assert_eq!((shown.items.len(), shown.end), (3, PreviewEnd::Failed("panicked: no paper".to_owned())));
    let step = ChunkStep::builder("Copy")
        .reader(|_| Err::<ListReader<u64>, _>("no such file".into()))
        .writer(|_| Ok(ListWriter::new(list())))
        .preview();
    let broken = Job::builder("Broken").step(step).build().unwrap();
    let shown = look(&place, &broken, PreviewOptions::default()).await.unwrap();
    assert_eq!(shown.end, PreviewEnd::Failed("failed to build the reader: no such file".to_owned()));
    let unsteady = ChunkStep::builder("Copy")
        .reader(|_| {
            Ok(Numbers::new(10, |n| if n == 1 { Err(ItemError::transient("the line dropped")) } else { Ok(()) }))
        })
        .writer(|_| Ok(ListWriter::new(list())))
        .preview();
    let shown = look(&place, &Job::builder("J").step(unsteady).build().unwrap(), PreviewOptions::default()).await;
    let shown = shown.unwrap();
    assert_eq!((shown.items.len(), shown.end), (2, PreviewEnd::Failed("failed to read: the line dropped".to_owned())));
}

#[tokio::test]
async fn a_preview_that_hangs_shows_what_it_has_and_is_told_to_stop() {
    let (place, stopped) = (TestStore::new(), Arc::new(AtomicBool::new(false)));
    let seen = Arc::clone(&stopped);
    let hangs = doing(move |n, context| {
        while n == 2 && !context.is_stopping() {
            std::thread::yield_now();
        }
        seen.fetch_or(n == 2, Ordering::SeqCst);
        Ok(Some(n))
    });
    let mut time = Duration::from_millis(200);
    loop {
        let options = PreviewOptions { time, ..PreviewOptions::default() };
        let (held, ended) = tokio::sync::oneshot::channel::<()>();
        let shown = operator(&place).await.preview(&hangs, GivenParameters::default(), options, held).await.unwrap();
        assert_eq!(shown.end, PreviewEnd::OutOfTime);
        // Dropped with the last of the author's code.
        tokio::time::timeout(LONG, ended).await.expect("it was not told to stop").unwrap_err();
        if stopped.load(Ordering::SeqCst) && shown.items.len() >= 2 {
            break;
        }
        // On a busy machine its time may be over before it hangs.
        time *= 2;
        assert!(time < LONG, "it does not get as far as that: {shown:?}");
    }
}

#[tokio::test]
async fn a_preview_whose_caller_goes_away_ends() {
    let (place, begun) = (TestStore::new(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&begun);
    let waits = doing(move |n, context| {
        counted.fetch_add(1, Ordering::SeqCst);
        while !context.is_stopping() {
            std::thread::yield_now();
        }
        Ok(Some(n))
    });
    let (sender, ended) = tokio::sync::oneshot::channel::<()>();
    let operator = operator(&place).await;
    let options = PreviewOptions { time: LONG, ..PreviewOptions::default() };
    let looking = operator.preview(&waits, GivenParameters::default(), options, sender);
    tokio::select! {
        shown = looking => panic!("it ended by itself: {shown:?}"),
        () = async { while begun.load(Ordering::SeqCst) == 0 { tokio::task::yield_now().await } } => {}
    }
    // Dropped with the last of the author's code.
    tokio::time::timeout(LONG, ended).await.unwrap().unwrap_err();
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn secrets_are_masked_wherever_they_show_and_a_preview_knows_that_it_is_one() {
    let step = ChunkStep::builder("Copy")
        .reader(|context: &StepContext| {
            let token = context.parameters().secret("token")?.expose().to_owned();
            Ok(ListReader::new([json!({"url": format!("https://host/?key={token}"), "pin": 1234, "n": 12345})]))
        })
        .processor(|context: &StepContext| {
            let token = context.parameters().secret("token")?.expose().to_owned();
            let preview = context.is_preview();
            Ok(FunctionProcessor::new(move |_: Value| Ok(Some(json!([token, preview])))))
        })
        .writer(|_| Ok(ListWriter::new(list())))
        .preview();
    let job = Job::builder("Secret")
        .parameter(ParameterDeclaration::string("token").secret())
        .parameter(ParameterDeclaration::integer("pin").secret())
        .step(step)
        .build()
        .unwrap();
    let entries = [("token", "hush-hush"), ("pin", "1234")];
    let entries = entries.map(|(name, text)| (name.to_owned(), GivenValue::Text(text.to_owned()))).into();
    let place = TestStore::new();
    let shown = operator(&place).await.preview(&job, GivenParameters { entries }, PreviewOptions::default(), ()).await;
    let input = json!({"url": "https://host/?key=***", "pin": "***", "n": 12345});
    assert_eq!(shown.unwrap().items, [output(input, json!(["***", true]))]);
}
