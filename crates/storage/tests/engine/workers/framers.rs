//! Framers that panic, while one thread finds the records for all, or while a worker finds those of its block again.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oxbatch_core::item::ListWriter;
use oxbatch_core::{ChunkStep, ItemError, Job, Status};
use oxbatch_formats::{DecodeError, FilePosition, FileReader, Framer, LineFramer, RecordDecoder, TextInput};

use super::faults::numbers;
use crate::harness::{TestStore, contents, launch, list, steps};

/// Lines of numbers whose framer panics at one of them, once: where records are found, or where they are found again.
struct Panicking {
    lines: LineFramer,
    at: &'static str,
    armed: Arc<AtomicBool>,
    in_passing: bool,
}

impl Panicking {
    fn panic_at(&self, input: &TextInput, record: Option<&Range<usize>>) {
        let is_it = record.is_some_and(|record| input.bytes(record) == self.at.as_bytes());
        assert!(!is_it || !self.armed.swap(false, Ordering::SeqCst), "no more than {}", self.at);
    }
}

impl Framer for Panicking {
    type Position = FilePosition;

    fn next(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        let record = self.lines.next(input)?;
        if !self.in_passing {
            self.panic_at(input, record.as_ref());
        }
        Ok(record)
    }

    fn pass(&mut self, input: &mut TextInput) -> Result<Option<Range<usize>>, ItemError> {
        let record = self.lines.next(input)?;
        if self.in_passing {
            self.panic_at(input, record.as_ref());
        }
        Ok(record)
    }

    fn position(&self, file: FilePosition) -> FilePosition {
        file
    }

    fn resume(&mut self, position: FilePosition) -> Result<FilePosition, ItemError> {
        Ok(position)
    }
}

struct Numbers(Panicking);

impl RecordDecoder for Numbers {
    type Item = u64;
    type Framer = Panicking;

    fn framer(&mut self) -> &mut Panicking {
        &mut self.0
    }

    fn decode(&mut self, line: &str) -> Result<Option<u64>, DecodeError> {
        Ok(Some(line.parse()?))
    }

    fn fork(&self) -> Option<Self> {
        let Panicking { lines, at, armed, in_passing } = &self.0;
        let (lines, armed) = (lines.clone(), Arc::clone(armed));
        Some(Self(Panicking { lines, at, armed, in_passing: *in_passing }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_framer_that_panics_fails_the_step_behind_the_items_before_and_a_restart_goes_on() {
    for (workers, in_passing) in [(1, true), (2, true), (7, true), (1, false), (2, false), (7, false)] {
        let (place, out, armed) = (TestStore::new(), list(), Arc::new(AtomicBool::new(true)));
        let (input, written) = (numbers(&place, 9_000), Arc::clone(&out));
        let job = Job::builder("Panics")
            .step(
                ChunkStep::builder("Panics")
                    .reader(move |_| {
                        let lines = LineFramer::new();
                        let framer = Panicking { lines, at: "4321", armed: Arc::clone(&armed), in_passing };
                        FileReader::with_decoder(&input, Numbers(framer))
                    })
                    .writer(move |_| ListWriter::new(Arc::clone(&written)))
                    .chunk_size(10)
                    .workers(workers),
            )
            .build()
            .unwrap();
        let engine = place.node([job]).await;
        let failed = launch(&engine, "Panics").await;
        let message = steps(&engine, failed.id).await[0].exit_message.clone().unwrap();
        assert!(failed.status == Status::Failed && message.contains("no more than 4321"), "{message}");
        let before = contents(&out);
        assert_eq!(before, (0..before.len() as u64).collect::<Vec<_>>(), "{workers} workers, {in_passing}");
        assert_eq!(launch(&engine, "Panics").await.status, Status::Completed);
        assert_eq!(contents(&out), (0..9_000).collect::<Vec<_>>(), "{workers} workers, {in_passing}");
        engine.shutdown().await;
    }
}
