//! Property: whatever fails, stops or dies and in whatever order, the outcome is that of a loop that never failed.

mod blocks;
mod job;
mod plan;

use std::sync::{Arc, Mutex};

use oxbatch_core::repository::PageRequest;
use oxbatch_core::{Decimal, Engine, JobExecution, Status};
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use self::job::{Counted, Node, Output, Pending, job};
use self::plan::{Plan, counted_too_early, plans};
use crate::harness::{LONG, ON_POSTGRES, TestStore, begin, contents, list, steps};
use crate::lifeline::Lifeline;

/// Starts a node of its own, as another process would.
async fn start(place: &TestStore, plan: &Plan, out: &Output, (pending, counted): &(Pending, Counted)) -> Process {
    let (tell, died) = unbounded_channel();
    let node = Node::new(out, tell);
    let (engine, lifeline) = place.mortal([job(plan, &node, pending, counted)]).await;
    *node.engine.lock().unwrap() = Some(engine.clone());
    Process { engine, node, died, lifeline }
}

/// A node as a process of its own: it can die.
struct Process {
    engine: Engine,
    node: Node,
    died: UnboundedReceiver<()>,
    lifeline: Lifeline,
}

/// All executions, oldest first.
async fn executions(engine: &Engine) -> Vec<JobExecution> {
    let page = PageRequest { before: None, limit: 100 };
    let mut all = engine.repository().executions(Default::default(), page).await.unwrap().executions;
    all.reverse();
    all
}

async fn check(plan: Plan) {
    let (out, place) = (list(), TestStore::new());
    let pending: Pending = Arc::new(Mutex::new(plan.troubles.clone()));
    let pending = (pending, list());
    let mut process = start(&place, &plan, &out, &pending).await;
    let mut id = begin(&process.engine, "Model").await;
    loop {
        let dies = tokio::select! {
            biased;
            execution = process.engine.wait(id, LONG) => {
                let execution = execution.unwrap();
                assert!(!execution.status.is_running(), "{execution:?}");
                false
            }
            Some(()) = process.died.recv() => true,
        };
        if dies {
            let Process { engine, node, lifeline, .. } = process;
            node.die(plan.loses_power);
            lifeline.cut(&engine).await;
            process = start(&place, &plan, &out, &pending).await;
            // What it was about to do it does now.
            node.bury();
        }
        settled(&plan, &process.engine, &out).await;
        let mut attempts = executions(&process.engine).await;
        assert!(attempts.len() <= plan.troubles.len() + 1, "each trouble ends one attempt at most: {attempts:?}");
        let last = attempts.pop().unwrap();
        if last.status == Status::Completed {
            // The successor of what a dead node left may have been faster than this look.
            break;
        }
        id = match last.status {
            // A node that has died has a successor for what it left.
            status if status.is_running() => last.id,
            Status::Failed | Status::Stopped => begin(&process.engine, "Model").await,
            other => panic!("ended {other}"),
        };
    }
    finished(&plan, &process.engine, &out).await;
    #[cfg(feature = "postgres")]
    if let (true, Some(database)) = (plan.table, place.database()) {
        let rows = database.query("SELECT output::text FROM outputs ORDER BY outputs.output");
        let rows: Vec<u64> = rows.iter().map(|row| row.parse().unwrap()).collect();
        assert_eq!(rows, plan.model(plan.items));
    }
    if plan.counts {
        let seen = (0..plan.items).filter(|n| !plan.cannot_read(*n) && !plan.cannot_process(*n)).count() as u64;
        let processed = plan.has_one_processor().then_some(seen).filter(|seen| *seen > 0);
        let written = Some(plan.model(plan.items).len() as u64).filter(|written| *written > 0);
        assert_eq!(contents(&pending.1), [Some(plan.items), processed, written], "read, processed, written");
    }
    process.node.engine.lock().unwrap().take();
    process.engine.shutdown().await;
}

/// Checks that the committed items are a prefix of the model at every moment; those behind it were never saved.
async fn settled(plan: &Plan, engine: &Engine, out: &Output) {
    let all = executions(engine).await;
    let running = all.last().is_some_and(|last| last.status.is_running());
    let mut read = 0;
    for execution in all {
        for step in steps(engine, execution.id).await {
            assert!(step.counters.balances(), "{step:?}");
            read += step.counters.read + step.counters.read_skip;
        }
    }
    let (model, written) = (plan.model(u64::try_from(read).unwrap()), contents(out));
    assert!(written.starts_with(&model), "{written:?} instead of {model:?}");
    if !running && plan.saves_each_chunk() {
        assert_eq!(written, model);
    }
}

/// Outputs, counters, skipped items and control totals are the model's, over all attempts together.
async fn finished(plan: &Plan, engine: &Engine, out: &Output) {
    let model = plan.model(plan.items);
    assert_eq!(contents(out), model);
    let (mut read, mut written, mut filtered, mut skipped, mut kept) = (0, 0, 0, 0, Vec::new());
    for execution in executions(engine).await {
        for step in steps(engine, execution.id).await {
            read += step.counters.read;
            written += step.counters.write;
            filtered += step.counters.filter;
            skipped += step.counters.skip();
            let skips = engine.repository().skips(step.id, None, 1000).await.unwrap().skips;
            kept.extend(skips.into_iter().map(|skip| skip.item.item.unwrap().parse::<u64>().unwrap()));
        }
    }
    let numbers = |count: i64| u64::try_from(count).unwrap();
    let bad: Vec<u64> = (0..plan.items).filter(|n| plan.is_bad(*n)).collect();
    let readable = (0..plan.items).filter(|n| !plan.cannot_read(*n));
    assert_eq!(numbers(read), readable.clone().count() as u64);
    assert_eq!(numbers(written), model.len() as u64);
    assert_eq!(numbers(skipped), bad.len() as u64);
    let unread = i64::try_from(plan.items).unwrap() - read;
    assert_eq!(read, written + filtered + skipped - unread);
    // Each bad item is kept once. Within a chunk those that cannot be processed stand before those that cannot be written.
    kept.sort_unstable();
    assert_eq!(kept, bad);
    // The last attempt may have found it complete, and told what was counted alone.
    let mut step = None;
    for execution in executions(engine).await {
        step = steps(engine, execution.id).await.into_iter().find(|step| step.step_name == "Model").or(step);
    }
    let step = step.unwrap();
    let totals = [("items", Some(readable.sum::<u64>()), None), ("outputs", None, Some(model.iter().sum::<u64>()))];
    for (name, read, written) in totals {
        let total = step.control_totals.iter().find(|total| total.name == name).unwrap();
        let decimal = |sum: Option<u64>| sum.map(|sum| sum.to_string().parse::<Decimal>().unwrap());
        assert_eq!((total.read, total.written), (decimal(read), decimal(written)), "{name}");
    }
}

fn run_case(plan: Plan) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(check(plan));
    // Threads of dead nodes may still wait for what comes no more.
    runtime.shutdown_background();
}

/// Threads decide if the fault shows: `what_a_reader_puts_into_the_jobs_context_before_its_first_item_…` is
/// the same without luck.
#[test]
fn items_that_are_read_before_the_first_chunk_of_an_attempt_are_counted_in_the_jobs_context() {
    for _ in 0..if ON_POSTGRES { 1 } else { 5 } {
        run_case(counted_too_early());
    }
}

/// Cases that run at the same time: each waits for the disk and for its own threads most of the time.
const RUNNERS: u32 = 4;

#[test]
fn whatever_goes_wrong_every_item_is_settled_exactly_once() {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96_u32);
    // Each case has a database of its own, which PostgreSQL takes its time to create.
    let cases = if ON_POSTGRES { asked / 6 } else { asked }.div_ceil(RUNNERS);
    let run = || {
        let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
        let tested = TestRunner::new(config).run(&plans(), |plan| {
            run_case(plan);
            Ok(())
        });
        // Boxed: the error carries the whole plan.
        tested.map_err(Box::new)
    };
    std::thread::scope(|scope| {
        let runners: Vec<_> = (0..RUNNERS).map(|_| scope.spawn(run)).collect();
        for runner in runners {
            if let Err(failure) = runner.join().unwrap() {
                panic!("{failure}");
            }
        }
    });
}
