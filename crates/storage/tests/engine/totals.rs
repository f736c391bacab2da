//! Control totals: exact over chunks, errors and attempts; a breach fails the step before its output is published.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oxbatch_core::execution::ControlTotal;
use oxbatch_core::item::{ErrorKind, FunctionProcessor, IteratorReader, ListReader, ListWriter};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::step::ReadAhead;
use oxbatch_core::{
    BuildError, ChunkStep, Decimal, Engine, ItemError, ItemWriter, Job, JobExecution, RetryPolicy, SkipPolicy, Status,
    StepContext,
};

use crate::harness::{FailingWriter, Numbers, Shared, TestStore, contents, force, launch, list, steps};

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

async fn totals(engine: &Engine, execution: &JobExecution) -> Vec<ControlTotal> {
    let steps = steps(engine, execution.id).await;
    steps[0].control_totals.iter().cloned().collect()
}

fn total(name: &str, read: &str, filtered: &str, skipped: &str, written: &str) -> ControlTotal {
    let side = |text: &str| (!text.is_empty()).then(|| decimal(text));
    ControlTotal {
        name: name.to_owned(),
        read: side(read),
        filtered: side(filtered),
        skipped: side(skipped),
        written: side(written),
    }
}

/// Refuses outputs that end in 7.
struct NoSevens(ListWriter<u64>);

impl ItemWriter<u64> for NoSevens {
    async fn write(&mut self, outputs: &[u64], transaction: &mut dyn ChunkTransaction) -> Result<(), ItemError> {
        match outputs.iter().position(|output| output % 10 == 7) {
            Some(bad) => {
                self.0.write(&outputs[..bad], transaction).await?;
                Err(ItemError::new(ErrorKind::Constraint, "no sevens"))
            }
            None => self.0.write(outputs, transaction).await,
        }
    }

    fn committed(&mut self) {
        ItemWriter::<u64>::committed(&mut self.0);
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        ItemWriter::<u64>::rolled_back(&mut self.0).await
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn cents(n: &u64) -> f64 {
    *n as f64 / 100.0
}

#[tokio::test]
async fn every_item_that_is_read_is_found_among_written_filtered_and_skipped() {
    for read_ahead in [ReadAhead::Never, ReadAhead::Always] {
        let out = list();
        let shared = Arc::clone(&out);
        let step = ChunkStep::builder("Copy")
            .reader(|_| Ok(Numbers::skipping(40, |n| n == 11)))
            .skip(SkipPolicy::new(20))
            .processor(|_| {
                Ok(FunctionProcessor::new(|n: u64| match n % 10 {
                    3 => Err(ItemError::validation("three")),
                    5 => Ok(None),
                    _ => Ok(Some(n)),
                }))
            })
            .writer(move |_| Ok(NoSevens(ListWriter::new(Arc::clone(&shared)))))
            .control_total("amount", cents)
            .control_total("items", |_| 1)
            .control_total_read("even", |n| n.is_multiple_of(2))
            .control_total_written("checksum", |n| *n)
            .chunk_size(9)
            .read_ahead(read_ahead);
        let job = Job::builder("Totals").step(step).build().unwrap();
        let place = TestStore::new();
        let engine = place.node([job]).await;
        let execution = launch(&engine, "Totals").await;
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
        let written: u64 = contents(&out).iter().sum();
        // 0 to 39 without the 11 that could not be read; 3, 13, 23, 33 and 7, 17, 27, 37 skipped, 5, 15, 25, 35 filtered.
        let expected = [
            total("amount", "7.69", "0.80", "1.60", "5.29"),
            total("items", "39", "4", "8", "27"),
            total("even", "20", "0", "0", ""),
            total("checksum", "", "", "", &written.to_string()),
        ];
        assert_eq!(totals(&engine, &execution).await, expected);
        engine.shutdown().await;
    }
}

/// Fails once, in the middle.
fn once(flag: &Arc<AtomicBool>, n: u64) -> Result<(), ItemError> {
    if n == 25 && !flag.swap(true, Ordering::SeqCst) { Err(ItemError::transient("the line dropped")) } else { Ok(()) }
}

#[tokio::test]
async fn totals_go_on_through_retries_and_restarts_and_begin_anew_by_force() {
    for retries in [0, 1] {
        let (out, failed) = (list(), Arc::new(AtomicBool::new(false)));
        let shared: Shared<u64> = Arc::clone(&out);
        let step = ChunkStep::builder("Copy")
            .reader(|_| Ok(IteratorReader::new(0..40_u64)))
            .processor(move |_| {
                let failed = Arc::clone(&failed);
                Ok(FunctionProcessor::new(move |n: u64| once(&failed, n).map(|()| Some(n))))
            })
            .writer(move |_| Ok(ListWriter::new(Arc::clone(&shared))))
            .control_total("amount", |n| *n)
            .retry(RetryPolicy::new(retries))
            .chunk_size(10);
        let job = Job::builder("Totals").step(step).build().unwrap();
        let place = TestStore::new();
        let engine = place.node([job]).await;
        let mut execution = launch(&engine, "Totals").await;
        if retries == 0 {
            assert_eq!(execution.status, Status::Failed);
            assert_eq!(totals(&engine, &execution).await, [total("amount", "190", "0", "0", "190")]);
            execution = launch(&engine, "Totals").await;
        }
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
        assert_eq!(totals(&engine, &execution).await, [total("amount", "780", "0", "0", "780")]);
        let forced = force(&engine, "Totals").await;
        assert_eq!(totals(&engine, &forced).await, [total("amount", "780", "0", "0", "780")]);
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn a_total_that_does_not_balance_fails_the_step_before_its_output_is_published() {
    // Whoever publishes tells.
    let step = ChunkStep::builder("Copy")
        .reader(|_| Ok(ListReader::new(1..=10_u64)))
        .processor(|_| Ok(FunctionProcessor::new(|n: u64| Ok((n != 4).then_some(if n == 7 { 70 } else { n })))))
        .writer(|_| Ok(FailingWriter { at: "publish" }))
        .control_total("amount", |n| *n);
    let job = Job::builder("Totals").step(step).build().unwrap();
    let place = TestStore::new();
    let engine = place.node([job]).await;
    for _ in 0..2 {
        let execution = launch(&engine, "Totals").await;
        let expected = "step 'Copy' failed: control total 'amount' does not balance: read 55, but written 114 + filtered 4 + skipped 0";
        assert_eq!(execution.exit_message.as_deref(), Some(expected));
        assert_eq!(totals(&engine, &execution).await, [total("amount", "55", "4", "0", "114")]);
    }
    engine.shutdown().await;
}

/// Records and, as the last, a trailer with their sum.
fn with_trailer(trailer: u64, failed: &Arc<AtomicBool>) -> Job {
    let failed = Arc::clone(failed);
    let step = ChunkStep::builder("Copy")
        .reader(move |_| Ok(ListReader::new((0..30).chain([1_000_000 + trailer]))))
        .processor(move |context: &StepContext| {
            let (context, failed) = (context.clone(), Arc::clone(&failed));
            Ok(FunctionProcessor::new(move |n: u64| {
                once(&failed, n)?;
                if n < 1_000_000 {
                    return Ok(Some(n));
                }
                context.put("trailer", n - 1_000_000)?;
                Ok(None)
            }))
        })
        .writer(|_| Ok(ListWriter::new(list())))
        .control_total_written("amount", |n| *n)
        .control_rule(|totals, context| {
            let trailer: u64 = context.get("trailer")?.ok_or("the trailer is missing")?;
            let written = totals.get("amount").and_then(|total| total.written);
            if written == Some(trailer.into()) {
                return Ok(());
            }
            Err(format!("the trailer says {trailer}").into())
        })
        .chunk_size(7);
    Job::builder("Trailer").step(step).build().unwrap()
}

#[tokio::test]
async fn the_authors_rule_compares_with_a_trailer_over_all_attempts() {
    for (trailer, message) in [
        (435, None),
        (436, Some("step 'Copy' failed: the rule of the control totals does not hold: the trailer says 436")),
    ] {
        let place = TestStore::new();
        let engine = place.node([with_trailer(trailer, &Arc::default())]).await;
        assert_eq!(launch(&engine, "Trailer").await.status, Status::Failed);
        let execution = launch(&engine, "Trailer").await;
        assert_eq!(execution.exit_message.as_deref(), message);
        assert_eq!(totals(&engine, &execution).await, [total("amount", "", "", "", "435")]);
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn a_number_that_cannot_be_added_fails_the_step_although_items_may_be_skipped() {
    let most = Decimal::new(i128::MAX, 0).unwrap();
    let amount = move |n: &u64| match n {
        15 => Err("no amount today".into()),
        16 => f64::NAN.try_into().map_err(oxbatch_core::BoxError::from),
        17 => Ok(most),
        n => Ok(Decimal::from(*n)),
    };
    for (first, read, message) in [
        (15, true, "control total 'amount' of what is read: no amount today"),
        (16, true, "control total 'amount' of what is read: NaN is not a finite number"),
        (17, true, "control total 'amount' of what is read: "),
        (17, false, "control total 'amount' of what is written: "),
    ] {
        let step = ChunkStep::builder("Copy")
            .reader(move |_| Ok(ListReader::new((0..10).chain(first..20))))
            .skip(SkipPolicy::new(100))
            .writer(|_| Ok(ListWriter::new(list())));
        let step = match read {
            true => step.control_total_read("amount", amount),
            false => step.control_total_written("amount", amount),
        };
        let job = Job::builder("Totals").step(step.chunk_size(10)).build().unwrap();
        let place = TestStore::new();
        let engine = place.node([job]).await;
        let execution = launch(&engine, "Totals").await;
        let told = execution.exit_message.clone().unwrap_or_default();
        assert!(told.starts_with(&format!("step 'Copy' failed: {message}")), "{told}");
        // Nothing of the failed chunk counts.
        let known = &totals(&engine, &execution).await[0];
        assert_eq!(known.read.or(known.written), Some(45_i64.into()));
        engine.shutdown().await;
    }
}

#[tokio::test]
async fn a_total_that_is_declared_between_two_attempts_is_refused_since_it_would_not_be_complete() {
    let job = |amount: bool, failed: &Arc<AtomicBool>| {
        let failed = Arc::clone(failed);
        let step = ChunkStep::builder("Copy")
            .reader(|_| Ok(ListReader::new(0..30_u64)))
            .processor(move |_| {
                let failed = Arc::clone(&failed);
                Ok(FunctionProcessor::new(move |n: u64| once(&failed, n).map(|()| Some(n))))
            })
            .writer(|_| Ok(ListWriter::new(list())))
            .chunk_size(10);
        let step = if amount { step.control_total("amount", |n| *n) } else { step };
        Job::builder("Totals").step(step).build().unwrap()
    };
    let (place, failed) = (TestStore::new(), Arc::default());
    let engine = place.node([job(false, &failed)]).await;
    assert_eq!(launch(&engine, "Totals").await.status, Status::Failed);
    engine.shutdown().await;
    let engine = place.node([job(true, &failed)]).await;
    let message = launch(&engine, "Totals").await.exit_message.unwrap();
    let expected = "step 'Copy' failed: control total 'amount' was not taken by the earlier attempts of this step, so it would not be complete; launch with force to begin anew";
    assert_eq!(message, expected);
    let forced = force(&engine, "Totals").await;
    assert_eq!(totals(&engine, &forced).await, [total("amount", "435", "0", "0", "435")]);
    engine.shutdown().await;
}

#[test]
fn totals_that_contradict_themselves_are_build_errors() {
    fn builder()
    -> oxbatch_core::step::ChunkStepBuilder<ListReader<u64>, oxbatch_core::item::PassThrough, ListWriter<u64>> {
        ChunkStep::builder("Copy")
            .reader(|_| Ok(ListReader::new(0..30_u64)))
            .writer(|_| Ok(ListWriter::new(list::<u64>())))
    }
    fn problem(step: impl oxbatch_core::step::IntoStep) -> String {
        match Job::builder("Totals").step(step).build() {
            Err(BuildError::Step { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }
    let twice = builder().control_total("a", |n| *n).control_total_read("a", |n| *n);
    assert_eq!(problem(twice), "control total 'a' is taken twice of what is read");
    let nameless = builder().control_total("", |n| *n);
    assert!(problem(nameless).contains("must have 1 to 100 characters"));
    let rule_alone = builder().control_rule(|_, _| Ok(()));
    assert_eq!(problem(rule_alone), "it has a rule for control totals, but takes none");
    let too_early = builder()
        .control_total("a", |n| *n)
        .processor(|_| Ok(FunctionProcessor::new(|n: u64| Ok(Some(n.to_string())))))
        .writer(|_| Ok(ListWriter::new(list::<String>())));
    let expected = "control total 'a' is taken of what another processor makes: declare it after the processor";
    assert_eq!(problem(too_early), expected);
}

#[tokio::test]
async fn a_footer_holds_the_sums_of_what_was_written_right_over_restarts_retries_and_skips() {
    let store = TestStore::new();
    let path = store.path("numbers.jsonl");
    let (target, broken, busy) = (path.clone(), Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let step = ChunkStep::builder("Copy")
        .reader(|_| Ok(Numbers::skipping(20, |n| n == 1)))
        .processor(move |_| {
            let (broken, busy) = (Arc::clone(&broken), Arc::clone(&busy));
            Ok(FunctionProcessor::new(move |n: u64| match n {
                3 => Err(ItemError::validation("three")),
                9 if broken.swap(false, Ordering::SeqCst) => Err(ItemError::other("broken").fatal()),
                13 if busy.swap(false, Ordering::SeqCst) => Err(ItemError::transient("busy")),
                n => Ok(Some(n)),
            }))
        })
        .control_total_written("sum", |n: &u64| *n)
        .writer(move |context| {
            let context = context.clone();
            Ok(oxbatch_formats::JsonLinesWriter::<u64>::new(&context, &target).footer(move |summary| {
                let sum = context.control_totals().get("sum").and_then(|total| total.written);
                format!("{} numbers, sum {}\n", summary.items, sum.unwrap_or_default())
            }))
        })
        .chunk_size(4)
        .retry(RetryPolicy::new(1))
        .skip(SkipPolicy::new(5));
    let job = Job::builder("Job").step(step).build().unwrap();
    let engine = store.node([job]).await;
    assert_eq!(launch(&engine, "Job").await.status, Status::Failed);
    let execution = launch(&engine, "Job").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    let text = std::fs::read_to_string(path).unwrap();
    let written: Vec<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(written, (0..20).filter(|n| ![1, 3].contains(n)).collect::<Vec<_>>());
    assert_eq!(text.lines().last(), Some("18 numbers, sum 186"));
    engine.shutdown().await;
}
