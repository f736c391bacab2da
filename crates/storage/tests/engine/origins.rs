//! The origin of an item: seen by its processor, carried by its errors, kept with it when it is skipped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use oxbatch_core::execution::SkipPhase;
use oxbatch_core::item::{Checkpoint, ErrorKind, FunctionProcessor, FunctionWriter, ListWriter, Origin, Position};
use oxbatch_core::repository::ChunkTransaction;
use oxbatch_core::step::{ChunkStepBuilder, ReadAhead};
use oxbatch_core::{ChunkStep, ItemError, ItemProcessor, ItemReader, ItemWriter, Job, RetryPolicy, SkipPolicy, Status};
use oxbatch_storage::TableReader;

use crate::harness::{Shared, TestStore, contents, launch, list, steps};

const NEVER: Duration = Duration::from_secs(3600);
const LINES: u64 = 40;

/// Reads the numbers 1 to `LINES`, each from the line of its number; every tenth line cannot be read.
struct Lines {
    file: Arc<Path>,
    line: u64,
}

impl Lines {
    fn new() -> Self {
        Self { file: Arc::from(Path::new("in.txt")), line: 0 }
    }
}

impl ItemReader for Lines {
    type Item = u64;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        self.line = checkpoint.map(Checkpoint::read).transpose()?.unwrap_or_default();
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<u64>, ItemError> {
        if self.line == LINES {
            return Ok(None);
        }
        self.line += 1;
        match self.line % 10 {
            0 => Err(ItemError::parse("no number").in_file(&self.file).at(format!("line {}", self.line))),
            _ => Ok(Some(self.line)),
        }
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.line).map(Some)
    }

    fn origin(&self) -> Option<Origin> {
        Some(Origin::in_file(&self.file, Position::Line(self.line)))
    }
}

/// Refuses numbers of which the last digit is 3, 6 or 7.
struct Refuses {
    inner: ListWriter<(u64, Option<u64>)>,
}

impl ItemWriter<(u64, Option<u64>)> for Refuses {
    async fn write(
        &mut self,
        outputs: &[(u64, Option<u64>)],
        transaction: &mut dyn ChunkTransaction,
    ) -> Result<(), ItemError> {
        match outputs.iter().position(|(number, _)| matches!(number % 10, 3 | 6 | 7)) {
            Some(bad) => Err(ItemError::new(ErrorKind::Constraint, "refused").at(format!("output {}", bad + 1))),
            None => self.inner.write(outputs, transaction).await,
        }
    }

    fn committed(&mut self) {
        self.inner.committed();
    }

    async fn rolled_back(&mut self) -> Result<(), ItemError> {
        self.inner.rolled_back().await
    }
}

type Setting = fn(ChunkStepBuilder<Lines, Located, Refuses>) -> ChunkStepBuilder<Lines, Located, Refuses>;

/// Tells of each number the line that it sees; fails for numbers of which the last digit is 5, once for those with 1.
struct Located {
    origin: oxbatch_core::step::ItemOrigin,
    failed: bool,
}

impl ItemProcessor<u64> for Located {
    type Output = (u64, Option<u64>);

    async fn process(&mut self, number: u64) -> Result<Option<Self::Output>, ItemError> {
        tokio::task::yield_now().await;
        match number % 10 {
            5 => Err(ItemError::validation("a five").at(format!("number {number}"))),
            1 if !std::mem::replace(&mut self.failed, true) => Err(ItemError::other("not now")),
            _ => Ok(Some((number, self.origin.get().and_then(|origin| origin.line())))),
        }
    }
}

async fn run(set: Setting, written: &Shared<(u64, Option<u64>)>) -> Vec<(SkipPhase, Option<String>)> {
    let out = Arc::clone(written);
    let step = ChunkStep::builder("Copy")
        .reader(|_| Lines::new())
        .processor(|context| Located { origin: context.item_origin(), failed: false })
        .skip(SkipPolicy::new(100))
        .retry(RetryPolicy::new(1).retry_on([ErrorKind::Other]))
        .writer(move |_| Refuses { inner: ListWriter::new(Arc::clone(&out)) })
        .chunk_size(16);
    let place = TestStore::new();
    let engine = place.node([Job::builder("Origins").step(set(step)).build().unwrap()]).await;
    let execution = launch(&engine, "Origins").await;
    assert_eq!(execution.status, Status::Completed, "{execution:?}");
    let step = steps(&engine, execution.id).await.remove(0);
    let page = engine.repository().skips(step.id, None, 1000).await.unwrap();
    engine.shutdown().await;
    page.skips.into_iter().map(|skip| (skip.item.phase, skip.item.position)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_skipped_items_says_where_each_comes_from_however_the_step_runs() {
    let settings: [Setting; 6] = [
        |step| step.read_ahead(ReadAhead::Never),
        |step| step.read_ahead(ReadAhead::Always),
        |step| step.chunk_time(NEVER),
        |step| step.processing_threads(3),
        |step| step.concurrency(5),
        |step| step.processing_threads(2).concurrency(3).chunk_time(NEVER),
    ];
    let lines = |digits: &'static [u64]| (1..=LINES).filter(|line| digits.contains(&(line % 10)));
    for (number, set) in settings.into_iter().enumerate() {
        let written = list();
        let kept = run(set, &written).await;
        let of = |phase| {
            let mut of: Vec<_> =
                kept.iter().filter(|(of, _)| *of == phase).map(|(_, at)| at.clone().unwrap()).collect();
            of.sort();
            of
        };
        let expected = |digits, text: fn(u64) -> String| {
            let mut expected: Vec<_> = lines(digits).map(text).collect();
            expected.sort();
            expected
        };
        assert_eq!(of(SkipPhase::Read), expected(&[0], |n| format!("file 'in.txt', line {n}")), "setting {number}");
        let processed = expected(&[5], |n| format!("file 'in.txt', line {n}, number {n}"));
        assert_eq!(of(SkipPhase::Process), processed, "setting {number}");
        assert_eq!(
            of(SkipPhase::Write),
            expected(&[3, 6, 7], |n| format!("file 'in.txt', line {n}")),
            "setting {number}"
        );
        let seen: Vec<_> = lines(&[1, 2, 4, 8, 9]).map(|line| (line, Some(line))).collect();
        assert_eq!(contents(&written), seen, "setting {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_fails_the_step_says_where_its_item_comes_from() {
    for threads in [1, 2] {
        let step = ChunkStep::builder("Copy")
            .reader(|_| Lines::new())
            .processor(|_| {
                FunctionProcessor::new(|number: u64| match number {
                    7 => Err(ItemError::validation("a seven")),
                    _ => Ok(Some(number)),
                })
            })
            .writer(|_| FunctionWriter::new(|_: &[u64]| Ok(())))
            .processing_threads(threads);
        let place = TestStore::new();
        let engine = place.node([Job::builder("Origins").step(step).build().unwrap()]).await;
        let message = launch(&engine, "Origins").await.exit_message.unwrap();
        assert_eq!(message, "step 'Copy' failed: failed to process: file 'in.txt', line 7: a seven");
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_a_table_comes_from_the_row_with_its_key() {
    const ROWS: &str = "SELECT 6 AS n, 'six' AS word UNION ALL SELECT 7, 'seven' UNION ALL SELECT 8, 'eight'";
    for chunk_time in [None, Some(NEVER)] {
        let step = ChunkStep::builder("Copy")
            .reader(|context| TableReader::<(i64, String)>::new(context, ROWS, ["n"]))
            .processor(|context| {
                let origin = context.item_origin();
                FunctionProcessor::new(move |(number, _): (i64, String)| {
                    let position = origin.get().map(|origin| origin.to_string());
                    assert_eq!(position, Some(format!("row with key ({number})")));
                    if number == 7 { Err(ItemError::validation("a seven")) } else { Ok(Some(number)) }
                })
            })
            .writer(|_| {
                FunctionWriter::new(|numbers: &[i64]| match numbers.contains(&8) {
                    true => Err(ItemError::new(ErrorKind::Constraint, "an eight")),
                    false => Ok(()),
                })
            })
            .skip(SkipPolicy::new(2));
        let step = if let Some(time) = chunk_time { step.chunk_time(time) } else { step };
        let place = TestStore::new();
        let engine = place.node([Job::builder("Origins").step(step).build().unwrap()]).await;
        let execution = launch(&engine, "Origins").await;
        assert_eq!(execution.status, Status::Completed, "{execution:?}");
        let step = steps(&engine, execution.id).await.remove(0);
        let page = engine.repository().skips(step.id, None, 9).await.unwrap();
        engine.shutdown().await;
        let mut kept: Vec<_> = page.skips.into_iter().map(|skip| skip.item.position.unwrap()).collect();
        kept.sort();
        assert_eq!(kept, ["row with key (7)", "row with key (8)"]);
    }
}
