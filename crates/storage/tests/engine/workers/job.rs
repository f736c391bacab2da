//! A job over a file with everything in it that a file may have, and all that comes of it.

use std::collections::HashSet;
use std::fmt::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oxbatch_core::execution::{ControlTotal, Counters, SkippedItem};
use oxbatch_core::item::Checkpoint;
use oxbatch_core::step::{ChunkStepBuilder, ReadAhead};
use oxbatch_core::{
    ChunkStep, ItemError, ItemProcessor, ItemReader, Job, RetryPolicy, SkipPolicy, Status, Step, StepContext, TaskStep,
};
use oxbatch_formats::{CsvReader, CsvWriter, FileSync, FilesReader};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::harness::{Shared, TestStore, contents, launch, list, steps};

/// A fault that ends the first attempt; the second one meets none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// The processor fails at this number.
    Fails(u64),
    /// It panics there.
    Panics(u64),
    /// The author's way of reading a field panics there.
    PanicsInReading(u64),
    /// The author's way of writing a field panics there.
    PanicsInWriting(u64),
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) rows: u64,
    pub(super) chunk: u32,
    /// One of so many rows is odd in one of the ways that there are.
    pub(super) oddity: u64,
    /// The skip policy's, where there is one.
    pub(super) limit: Option<u64>,
    pub(super) trouble: Trouble,
    pub(super) keeps_totals: bool,
    pub(super) has_header: bool,
    /// The files over which the rows are spread.
    pub(super) files: u64,
}

/// The ways in which a row is odd.
const WAYS: u64 = 10;
/// Longest record of the file, in bytes.
const LONGEST: u32 = 2_000;

impl Plan {
    fn is_odd(&self, number: u64, way: u64) -> bool {
        number.is_multiple_of(self.oddity) && number / self.oddity % WAYS == way
    }

    /// Writes the input into a folder.
    fn write(&self, folder: &Path) {
        let rows = self.rows.div_ceil(self.files);
        for file in 0..self.files {
            let numbers = (file * rows).min(self.rows)..((file + 1) * rows).min(self.rows);
            std::fs::write(folder.join(format!("{file}.csv")), self.text(numbers)).unwrap();
        }
    }

    fn text(&self, numbers: Range<u64>) -> String {
        let mut text = if self.has_header { "name,number\n".to_owned() } else { String::new() };
        let skips = self.limit.is_some();
        for n in numbers {
            let row = match n {
                _ if self.is_odd(n, 0) => format!("\"on\ntwo, \"\"lines\"\"{n}\",{n}\r\n"),
                _ if self.is_odd(n, 1) => format!("\n\nblank lines,{n}\n"),
                _ if self.is_odd(n, 2) && skips => format!("no number,x{n}\n"),
                _ if self.is_odd(n, 3) && skips => format!("more,fields,{n}\n"),
                _ if self.is_odd(n, 4) && skips => format!("\"bad\"quote,{n}\n"),
                _ if self.is_odd(n, 5) => format!("{},{n}\n", "long".repeat(300)),
                _ if self.is_odd(n, 6) && skips => format!("\"{}\",{n}\n", "too long\n".repeat(300)),
                _ => format!("name{n},{n}\n"),
            };
            text.write_str(&row).unwrap();
        }
        text
    }
}

static PANICS_IN_READING: AtomicU64 = AtomicU64::new(u64::MAX);
static PANICS_IN_WRITING: AtomicU64 = AtomicU64::new(u64::MAX);

fn read_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    assert!(number != PANICS_IN_READING.load(Ordering::SeqCst), "{number} is too many to read");
    Ok(number)
}

fn write_number<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    assert!(*number != PANICS_IN_WRITING.load(Ordering::SeqCst), "{number} is too many to write");
    serializer.serialize_u64(*number)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    name: String,
    #[serde(deserialize_with = "read_number")]
    number: u64,
}

/// A row with what the processor has seen before.
#[derive(Debug, Serialize)]
struct Seen {
    name: String,
    #[serde(serialize_with = "write_number")]
    number: u64,
    seen: u64,
    /// Empty, or a struct that cannot be written.
    odd: Option<Odd>,
}

#[derive(Debug, Serialize)]
enum Odd {
    Variant(u8, u8),
}

/// Sees all items in their order, and counts them in what it remembers, in its outputs and in the contexts.
struct Counting {
    plan: Plan,
    first_attempt: bool,
    context: StepContext,
    seen: u64,
    stumbled: HashSet<u64>,
}

impl ItemProcessor<Row> for Counting {
    type Output = Seen;

    const NEEDS_ALL_ITEMS: bool = true;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        if let Some(checkpoint) = checkpoint {
            self.seen = checkpoint.read()?;
        }
        Ok(())
    }

    async fn process(&mut self, Row { name, number }: Row) -> Result<Option<Seen>, ItemError> {
        match self.plan.trouble {
            Trouble::Fails(at) if at == number && self.first_attempt => return Err(ItemError::other("not today")),
            Trouble::Panics(at) if at == number => assert!(!self.first_attempt, "{number} is too many"),
            _ => {}
        }
        if number % 701 == 5 {
            self.context.put("last", number)?;
            self.context.put_into_job("last", number)?;
        }
        if self.plan.is_odd(number, 7) && self.stumbled.insert(number) {
            return Err(ItemError::transient("stumbles"));
        }
        if self.plan.is_odd(number, 8) && self.plan.limit.is_some() {
            return Err(ItemError::validation(format!("{number} is too odd")));
        }
        self.seen += 1;
        let odd = (self.plan.is_odd(number, 9) && self.plan.limit.is_some()).then_some(Odd::Variant(1, 2));
        Ok((number % 5 != 4).then_some(Seen { name, number, seen: self.seen, odd }))
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.seen).map(Some)
    }
}

/// All that comes of a job: over all attempts, and in its output.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    attempts: Vec<Attempt>,
    /// The entries of the contexts at the end.
    told: Vec<Option<u64>>,
    output: Option<String>,
}

impl Outcome {
    /// The first difference, shortened.
    pub(super) fn difference(&self, expected: &Self) -> String {
        let of = |outcome: &Self| {
            let attempts = outcome.attempts.iter().flat_map(|attempt| {
                let Attempt { status, message, counters, totals, skips } = attempt;
                let first = format!("{status} {message:?} {counters:?} {totals:?}");
                std::iter::once(first).chain(skips.iter().map(|skip| format!("{skip:?}")))
            });
            let output = outcome.output.iter().flat_map(|text| text.lines().map(str::to_owned));
            attempts.chain([format!("{:?}", outcome.told)]).chain(output).collect::<Vec<_>>()
        };
        let (found, expected) = (of(self), of(expected));
        let count = found.len().max(expected.len());
        let line = |all: &[String], index| all.get(index).map_or("nothing", |line: &String| line).to_owned();
        let different = (0..count).find(|index| found.get(*index) != expected.get(*index)).unwrap_or(count);
        let short = |text: String| text.chars().take(600).collect::<String>();
        format!("{} instead of {}", short(line(&found, different)), short(line(&expected, different)))
    }
}

#[derive(Debug, PartialEq)]
struct Attempt {
    status: Status,
    message: Option<String>,
    counters: Counters,
    totals: Vec<ControlTotal>,
    skips: Vec<SkippedItem>,
}

fn job(plan: &Plan, (input, output): (PathBuf, PathBuf), workers: Option<u32>, told: Shared<Option<u64>>) -> Job {
    let has_header = plan.has_header;
    let of_file = move |path: &Path| {
        let reader = CsvReader::<Row>::new(path).max_record_bytes(LONGEST);
        if has_header { reader } else { reader.without_headers() }
    };
    let step = match plan.files {
        1 => step(plan, ChunkStep::builder("Work").reader(move |_| of_file(&input.join("0.csv"))), output, workers),
        _ => {
            let pattern = input.join("*.csv").to_string_lossy().into_owned();
            let reader = move |_: &StepContext| FilesReader::new(&pattern, of_file);
            step(plan, ChunkStep::builder("Work").reader(reader), output, workers)
        }
    };
    let tell = TaskStep::builder("Tell", move |context| {
        told.lock().unwrap().push(context.get_from_job::<u64>("last")?);
        Ok(())
    });
    Job::builder("Job").step(step).step(tell).build().unwrap()
}

fn step<R: ItemReader<Item = Row> + 'static, P, W>(
    plan: &Plan,
    step: ChunkStepBuilder<R, P, W>,
    output: PathBuf,
    workers: Option<u32>,
) -> Step {
    let of_processor = plan.clone();
    let step = step
        .processor(move |context| {
            // The second execution has the next id, whatever the first one's.
            let first_attempt = context.execution_id().0 == 1;
            let (plan, context) = (of_processor.clone(), context.clone());
            Counting { plan, first_attempt, context, seen: 0, stumbled: HashSet::new() }
        })
        .writer(move |context| CsvWriter::<Seen>::new(context, &output).sync(FileSync::AtEnd))
        .chunk_size(plan.chunk)
        // What is saved must not depend on how long it takes.
        .commit_every(Duration::ZERO)
        .retry(RetryPolicy::new(2));
    let step = match workers {
        Some(workers) => step.workers(workers),
        None => step.read_ahead(ReadAhead::Never),
    };
    let step = match plan.limit {
        Some(limit) => step.skip(SkipPolicy::new(limit)),
        None => step,
    };
    let step = if plan.keeps_totals {
        let step = step.control_total_read("numbers", |row: &Row| row.number);
        step.control_total_written("seen", |seen: &Seen| seen.number)
    } else {
        step
    };
    Step::try_from(step).unwrap()
}

/// Runs the job, each attempt with another number of workers, the last one until it is complete or fails as before.
pub(super) async fn outcome(plan: &Plan, workers: &[Option<u32>]) -> Outcome {
    let (place, told) = (TestStore::new(), list());
    let (input, output) = (place.path("input"), place.path("output.csv"));
    std::fs::create_dir(&input).unwrap();
    plan.write(&input);
    let mut attempts: Vec<Attempt> = Vec::new();
    for attempt in 0..3 {
        let workers = workers[attempt % workers.len()];
        let at = |trouble: Option<u64>| if attempt == 0 { trouble.unwrap_or(u64::MAX) } else { u64::MAX };
        let reading = if let Trouble::PanicsInReading(number) = plan.trouble { Some(number) } else { None };
        let writing = if let Trouble::PanicsInWriting(number) = plan.trouble { Some(number) } else { None };
        PANICS_IN_READING.store(at(reading), Ordering::SeqCst);
        PANICS_IN_WRITING.store(at(writing), Ordering::SeqCst);
        let job = job(plan, (input.clone(), output.clone()), workers, Arc::clone(&told));
        let engine = place.node([job]).await;
        let execution = launch(&engine, "Job").await;
        let step = steps(&engine, execution.id).await.remove(0);
        let skips = engine.repository().skips(step.id, None, 10_000).await.unwrap().skips;
        engine.shutdown().await;
        // Each job has a folder of its own.
        let folder = place.path("").to_string_lossy().into_owned();
        let nameless = |text: String| text.replace(&folder, "");
        let skips = skips.into_iter().map(|skip| {
            let mut item = skip.item;
            item.position = item.position.map(nameless);
            item
        });
        attempts.push(Attempt {
            status: step.status,
            message: step.exit_message.map(nameless),
            counters: step.counters,
            totals: step.control_totals.iter().cloned().collect(),
            skips: skips.collect(),
        });
        if step.status == Status::Completed {
            break;
        }
    }
    let output = std::fs::read_to_string(&output).ok();
    Outcome { attempts, told: contents(&told), output }
}
