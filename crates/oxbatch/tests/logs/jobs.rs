//! Jobs that log: politely, hostilely, without end.
#![expect(clippy::print_stdout, reason = "a measured job reports by itself")]

use std::path::Path;
use std::time::{Duration, Instant};

use oxbatch::{BoxError, Job, JobRegistry, StepContext, TaskStep};
use tracing::{info, warn};

/// Lines of the job that logs without end.
pub(crate) const FLOOD: u64 = 400_000;
/// Lines of the job that is measured.
const PACED: u32 = 5_000_000;

fn greet(_: &StepContext) -> Result<(), BoxError> {
    info!(file = "a b.csv", rows = 7, "hello");
    warn!("two\nlines, a screen \u{1b}[2J, turned \u{202e}around, level=ERROR");
    info!(text = "x".repeat(1_000_000), "long");
    let span = tracing::Span::current();
    let thread = std::thread::spawn(move || span.in_scope(|| info!("from a thread")));
    thread.join().map_err(|_| "the thread panicked")?;
    Ok(())
}

fn count(_: &StepContext) -> Result<(), BoxError> {
    for n in 0..1_500 {
        match n % 100 {
            0 => warn!(n, "a round number"),
            _ => info!(n, "a number"),
        }
    }
    Ok(())
}

fn flood(_: &StepContext) -> Result<(), BoxError> {
    let begun = Instant::now();
    for n in 0..FLOOD {
        // Hardly to be compressed.
        info!(n, hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15), "flood");
    }
    tracing::debug!(took = ?begun.elapsed());
    Ok(())
}

fn wait(context: &StepContext) -> Result<(), BoxError> {
    info!("waiting");
    while !Path::new("go").exists() {
        context.check_stop()?;
        std::thread::sleep(Duration::from_millis(20));
    }
    info!("going");
    Ok(())
}

/// Work of about a microsecond and a line for each, to be measured: `run Pace` with and without
/// `OXBATCH_LOGS_LEVEL=off`.
fn pace(_: &StepContext) -> Result<(), BoxError> {
    let begun = Instant::now();
    for n in 0..PACED {
        let until = Instant::now() + Duration::from_nanos(900);
        while Instant::now() < until {}
        info!(n, file = "trades.csv", "a record was imported");
    }
    println!("{} lines/s", (f64::from(PACED) / begun.elapsed().as_secs_f64()).round());
    Ok(())
}

pub(crate) fn registry() -> Result<JobRegistry, BoxError> {
    Ok(JobRegistry::new([
        Job::builder("Talk").step(TaskStep::builder("Greet", greet)).build()?,
        Job::builder("Count")
            .step(TaskStep::builder("First", count))
            .step(TaskStep::builder("Second", count))
            .build()?,
        Job::builder("Flood").step(TaskStep::builder("Flood", flood)).build()?,
        Job::builder("Pace").step(TaskStep::builder("Pace", pace)).build()?,
        Job::builder("Wait").step(TaskStep::builder("Wait", wait)).build()?,
    ])?)
}
