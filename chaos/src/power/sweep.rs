//! Many losses of power: which, by how many workers, and what they came to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tempfile::TempDir;

use super::cases::Case;
use super::disk::{Disk, Lasting, Survival};
use super::options::{Extent, Options};
use super::switch::{Moment, Passed};
use super::trial::{Cut, Steady, Trial, Verdict};
use super::watchdog::Watchdog;
use crate::random::{Random, mixed};

/// Trials at once: most of their time is that of one process.
const WORKERS: usize = 2;
/// Points of order at which the short run cuts each case; a server needs several times as long.
const SHORT: u64 = 5;
const SHORT_OF_SERVERS: u64 = 2;
/// The first failures are shown in full.
const SHOWN: usize = 3;

/// A case, ready to be tried.
struct Ready {
    case: Case,
    image: Disk,
    steady: Steady,
}

/// The result of all trials.
#[derive(Default)]
struct Totals {
    cuts: usize,
    struck: usize,
    facts: usize,
    failed: Vec<String>,
}

/// Runs what the options ask for; an error tells what failed.
pub(crate) fn run(options: &Options) -> Result<String, String> {
    let start = Instant::now();
    println!("power-loss: seed {}", options.seed);
    let folder = folder()?;
    let mut ready = Vec::new();
    let watchdog = Watchdog::start();
    for case in &options.cases {
        let _watched = watchdog.watch(format!("the case {} without a loss of power", case.name));
        let image = Trial::image(case, folder.path()).map_err(|fault| format!("{}: {fault}", case.name))?;
        let trial = Trial { case, image: &image, folder: folder.path() };
        let steady = trial.steady().map_err(|fault| format!("{}: {fault}", case.name))?;
        ready.push(Ready { case: *case, image, steady });
    }
    let cuts = cuts(options, &ready);
    let totals = Mutex::new(Totals::default());
    let next = AtomicUsize::new(0);
    let worked: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let worker = || Work { options, ready: &ready, cuts: &cuts, watchdog: &watchdog }.run(&next, &totals);
        let workers: Vec<_> = (0..WORKERS.min(cuts.len())).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err("a worker panicked".to_owned())))
            .collect()
    });
    worked.into_iter().collect::<Result<(), String>>()?;
    let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    let summary = format!(
        "{} losses of power in {} cases, {} of them before the end of the job, {} facts that had been told; {:.0} s",
        totals.cuts,
        ready.len(),
        totals.struck,
        totals.facts,
        start.elapsed().as_secs_f64()
    );
    if totals.failed.is_empty() {
        return Ok(summary);
    }
    Err(format!("{} of {summary}\n{}", totals.failed.len(), totals.failed.join("\n")))
}

/// A folder that the user of a server can reach what is in.
fn folder() -> Result<TempDir, String> {
    let folder = tempfile::Builder::new().prefix("oxbatch-power-").tempdir().map_err(|error| error.to_string())?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).map_err(|error| error.to_string())?;
    Ok(folder)
}

/// The losses of power that are asked for, each with the place of its case.
fn cuts(options: &Options, ready: &[Ready]) -> Vec<(usize, Cut)> {
    let mut cuts = Vec::new();
    for (place, Ready { case, steady: Steady { passed, .. }, .. }) in ready.iter().enumerate() {
        let moments: Vec<Moment> = match options.extent {
            Extent::Every => (1..=passed.points).map(Moment::Point).chain([Moment::End]).collect(),
            Extent::Short => few(case, *passed, mixed(&[options.seed, place as u64])),
            Extent::Random(number) => {
                let share = number / ready.len() as u64 + u64::from(number % ready.len() as u64 > place as u64);
                let mut random = Random::new(mixed(&[options.seed, place as u64]));
                (0..share).map(|_| anywhere(*passed, &mut random)).collect()
            }
            Extent::One(moment) => vec![moment],
        };
        for (number, moment) in (0..).zip(moments) {
            let seed = match options.extent {
                Extent::One(_) => options.seed,
                _ => mixed(&[options.seed, place as u64, number]),
            };
            cuts.push((place, cut(options, moment, place as u64 + number, seed)));
        }
    }
    cuts
}

/// A loss of power at a moment; where the options leave it open, one mode comes after the other.
fn cut(options: &Options, moment: Moment, number: u64, seed: u64) -> Cut {
    let mut random = Random::new(mixed(&[seed, 7]));
    let turn = |count: u64| usize::try_from(number / count % 3).unwrap_or(0);
    let again = if matches!(options.extent, Extent::Random(_)) { random.below(5).saturating_sub(2) } else { 0 };
    Cut {
        moment,
        survival: options.survival.unwrap_or(Survival::ALL[turn(1)]),
        lasting: options.lasting.unwrap_or(Lasting::ALL[turn(3)]),
        seed,
        again: options.again.unwrap_or(again),
    }
}

/// Points of order that are spread over the whole.
fn few(case: &Case, passed: Passed, seed: u64) -> Vec<Moment> {
    let count = if case.has_postgres() { SHORT_OF_SERVERS } else { SHORT };
    let mut random = Random::new(seed);
    (0..count).map(|part| Moment::Point(1 + (part * passed.points + random.below(passed.points)) / count)).collect()
}

fn anywhere(passed: Passed, random: &mut Random) -> Moment {
    match random.below(8) {
        0 => Moment::End,
        1..=3 => Moment::Point(1 + random.below(passed.points)),
        _ => Moment::Change(1 + random.below(passed.changes)),
    }
}

/// The work that all workers share.
struct Work<'a> {
    options: &'a Options,
    ready: &'a [Ready],
    cuts: &'a [(usize, Cut)],
    watchdog: &'a Watchdog,
}

impl Work<'_> {
    /// Tries one cut after the other until none is left.
    fn run(&self, next: &AtomicUsize, totals: &Mutex<Totals>) -> Result<(), String> {
        let Self { options, ready, cuts, watchdog } = *self;
        let folder = folder()?;
        while let Some((place, cut)) = cuts.get(next.fetch_add(1, Ordering::SeqCst)) {
            let Ready { case, image, steady } = &ready[*place];
            let trial = Trial { case, image, folder: folder.path() };
            let command = reproduction(case, cut);
            let _watched = watchdog.watch(command.clone());
            let verdict = trial
                .cut(*cut, &steady.outcome)
                .unwrap_or_else(|fault| Verdict { faults: vec![fault], ..Verdict::default() });
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            totals.cuts += 1;
            totals.struck += usize::from(verdict.struck);
            totals.facts += verdict.facts.len();
            if matches!(options.extent, Extent::One(_)) {
                println!("{}", verdict.report);
            }
            if verdict.faults.is_empty() {
                if totals.cuts.is_multiple_of(100) {
                    println!("power-loss: {} of {} done, {} failed", totals.cuts, cuts.len(), totals.failed.len());
                }
                continue;
            }
            let faults = verdict.faults.join("\n  ");
            if totals.failed.len() < SHOWN && !matches!(options.extent, Extent::One(_)) {
                println!("{}", verdict.report);
            }
            println!("power-loss: {command}\n  {faults}");
            totals.failed.push(command);
        }
        Ok(())
    }
}

/// The command with which a loss of power is seen again.
fn reproduction(case: &Case, cut: &Cut) -> String {
    let Cut { moment, survival, lasting, seed, again } = cut;
    let again = if *again > 0 { format!(" --again {again}") } else { String::new() };
    let name = case.name;
    format!("scripts/power-loss --case {name} --cut {moment} --mode {survival} --names {lasting} --seed {seed}{again}")
}
