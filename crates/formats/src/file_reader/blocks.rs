//! The blocks of a file: one thread at a time finds whole records, several make items of them.

use std::cell::Cell;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Framer, RecordDecoder, not_text, record_error};
use crate::TextInput;
use oxbatch_core::item::{BlockReader, Checkpoint, DecodedBlock, ItemError, Marks, Origin};

/// Bytes of a block, and up to a record more: it bounds the memory of a worker, whatever the number of records.
const BLOCK_BYTES: u64 = 1024 * 1024;

/// The file that the readers of its blocks share.
struct Source<D: RecordDecoder> {
    decoder: D,
    input: TextInput,
    /// An outcome of its own, behind the last block: an error between the records, or an item that is not in one block
    /// with those before it.
    single: Option<Single<D::Item>>,
    ended: bool,
}

/// An outcome that the source has found by itself.
struct Single<I> {
    outcome: Result<I, ItemError>,
    origin: Option<Origin>,
}

/// Reads blocks of a file together with others.
pub(super) struct FileBlocks<D: RecordDecoder> {
    source: Arc<Mutex<Source<D>>>,
    decoder: D,
    /// The text of the block.
    input: TextInput,
    /// Where it begins in the window of its input, and on which line.
    start: (usize, u64),
    records: usize,
    /// The place of each outcome.
    places: Vec<Place>,
    marks: Vec<Mark>,
    /// The last place whose line was asked for.
    last_line: Cell<(usize, u64)>,
    /// An item that the source has made by itself, and the origin of what it has found so.
    single_item: Option<D::Item>,
    single_origin: Option<Origin>,
    progress: Option<f64>,
    path: Arc<Path>,
}

/// The place of an outcome.
#[derive(Clone, Copy)]
struct Place {
    /// The first byte of its record in the window.
    byte: usize,
    /// The number of its record in the block, from 1.
    record: usize,
    /// The number of its record in the file, where they are counted.
    number: u64,
}

/// A position in the block.
struct Mark {
    outcomes: usize,
    records: usize,
    checkpoint: Checkpoint,
}

/// Splits an open file among so many readers; none when its decoder cannot be forked, as it is now.
pub(super) fn split<D: RecordDecoder>(
    decoder: &D,
    input: &mut TextInput,
    path: &Arc<Path>,
    readers: usize,
) -> Option<Vec<FileBlocks<D>>> {
    let decoders: Vec<D> = (0..readers).map(|_| decoder.fork()).collect::<Option<_>>()?;
    let of_source = decoder.fork().filter(|_| !decoders.is_empty())?;
    let of_blocks = input.of_blocks();
    let input = std::mem::replace(input, input.of_blocks());
    let source = Arc::new(Mutex::new(Source { decoder: of_source, input, single: None, ended: false }));
    let reader = |decoder| FileBlocks {
        source: Arc::clone(&source),
        decoder,
        input: of_blocks.of_blocks(),
        start: (0, 1),
        records: 0,
        places: Vec::new(),
        marks: Vec::new(),
        last_line: Cell::new((0, 1)),
        single_item: None,
        single_origin: None,
        progress: None,
        path: Arc::clone(path),
    };
    Some(decoders.into_iter().map(reader).collect())
}

impl<D: RecordDecoder> Source<D> {
    /// Decodes a record that is in no block.
    #[cold]
    fn decode(&mut self, record: &Range<usize>, path: &Arc<Path>) {
        let number = self.decoder.framer().records();
        let outcome = decode(&mut self.decoder, &self.input, record).transpose();
        let position = D::Framer::shown_position(self.input.line_of(record), number);
        self.single = outcome.map(|outcome| Single { outcome, origin: Some(Origin::in_file(path, position)) });
    }

    /// Passes over the records of a block. Returns their number and their length.
    fn find_records(&mut self, records: usize, path: &Arc<Path>) -> (usize, usize) {
        let (mut found, mut length, start) = (0, 0, self.input.byte());
        while found < records && length < BLOCK_BYTES {
            match self.decoder.framer().pass(&mut self.input) {
                Ok(Some(record)) if self.input.has_lost_block() => {
                    self.decode(&record, path);
                    break;
                }
                Ok(Some(_)) => (found, length) = (found + 1, self.input.byte() - start),
                Ok(None) => {
                    self.ended = true;
                    break;
                }
                Err(error) => {
                    self.single = Some(Single { outcome: Err(error), origin: None });
                    break;
                }
            }
        }
        (found, usize::try_from(length).unwrap_or(usize::MAX))
    }
}

/// Makes an item of a record in the window.
#[inline(always)]
fn decode<D: RecordDecoder>(
    decoder: &mut D,
    input: &TextInput,
    record: &Range<usize>,
) -> Result<Option<D::Item>, ItemError> {
    let Ok(text) = std::str::from_utf8(input.bytes(record)) else { return Err(not_text(decoder, input, record)) };
    decoder.decode(text).map_err(|error| record_error(decoder, input, record, error))
}

impl<D: RecordDecoder> FileBlocks<D> {
    /// Marks the position of the source as that behind so many outcomes.
    fn mark_source(&mut self, source: &mut Source<D>, outcomes: usize) -> Result<(), ItemError> {
        let position = source.decoder.framer().position(source.input.position());
        self.marks.push(Mark { outcomes, records: 0, checkpoint: Checkpoint::new(&position)? });
        Ok(())
    }

    /// Goes to the position of the source, which is the beginning of the block.
    fn follow(&mut self, source: &mut Source<D>) -> Result<(), ItemError> {
        let position = source.decoder.framer().position(source.input.position());
        self.decoder.framer().resume(position).map(|_| ())
    }

    /// Marks the position of the decoder as that behind so many outcomes.
    fn mark(&mut self, outcomes: usize, records: usize) -> Result<(), ItemError> {
        let checkpoint = Checkpoint::new(&self.decoder.framer().position(self.input.position()))?;
        let behind = self.marks.partition_point(|mark| mark.outcomes <= outcomes);
        self.marks.insert(behind, Mark { outcomes, records, checkpoint });
        Ok(())
    }

    /// The source's own outcome is that of the block.
    fn take_single(&mut self, source: &mut Source<D>, single: Single<D::Item>) -> Result<bool, ItemError> {
        self.marks.clear();
        self.mark_source(source, 1)?;
        self.single_origin = single.origin;
        single.outcome.map(|item| {
            self.single_item = Some(item);
            true
        })
    }

    fn take_from(&mut self, source: &mut Source<D>, records: usize) -> Result<bool, ItemError> {
        self.places.clear();
        self.marks.clear();
        (self.records, self.single_item, self.single_origin) = (0, None, None);
        if let Some(single) = source.single.take() {
            return self.take_single(source, single);
        }
        if let Err(error) = source.input.recover() {
            return self.take_single(source, Single { outcome: Err(error), origin: None });
        }
        self.mark_source(source, 0)?;
        if source.ended {
            return Ok(false);
        }
        let position = source.input.position();
        self.follow(source)?;
        source.input.begin_block();
        let (found, length) = source.find_records(records, &self.path);
        source.input.end_block(length, &position, &mut self.input);
        self.start = self.input.place();
        self.last_line.set(self.start);
        self.records = found;
        self.progress = source.input.progress();
        match source.single.take_if(|_| found == 0) {
            Some(single) => self.take_single(source, single),
            None => Ok(found > 0 || !source.ended),
        }
    }

    /// The next record of the block, which the source has found before.
    #[inline(always)]
    fn next_record(&mut self) -> Result<Range<usize>, ItemError> {
        match self.decoder.framer().next(&mut self.input)? {
            Some(record) => Ok(record),
            None => Err(self.input.broken("the framer does not find the records of a block that it has found before")),
        }
    }
}

impl<D: RecordDecoder> BlockReader<D::Item> for FileBlocks<D> {
    fn take(&mut self, records: usize) -> Result<bool, ItemError> {
        let source = Arc::clone(&self.source);
        let mut source: MutexGuard<'_, _> = source.lock().unwrap_or_else(PoisonError::into_inner);
        self.take_from(&mut source, records)
    }

    fn decode(&mut self, marks: Marks, into: &mut DecodedBlock<D::Item>) {
        into.items.extend(self.single_item.take());
        self.places.reserve(self.records);
        into.items.reserve(self.records);
        let (mut outcomes, mut next_mark) = (0, marks.first);
        for record in 1..=self.records {
            let (byte, outcome) = match self.next_record() {
                Ok(range) => (range.start, decode(&mut self.decoder, &self.input, &range)),
                Err(error) => (self.start.0, Err(error)),
            };
            match outcome {
                Ok(Some(item)) => into.items.push_back(item),
                Ok(None) => continue,
                Err(error) => into.errors.push_back((outcomes, error)),
            }
            self.places.push(Place { byte, record, number: self.decoder.framer().records() });
            outcomes += 1;
            if outcomes == next_mark {
                next_mark += marks.every;
                // One that cannot be made is made again, when it is asked for.
                let _ = self.mark(outcomes, record);
            }
        }
        if self.marks.last().is_none_or(|mark| mark.outcomes < outcomes) {
            let _ = self.mark(outcomes, self.records);
        }
    }

    fn checkpoint(&mut self, outcomes: usize) -> Result<Option<Checkpoint>, ItemError> {
        let behind = self.marks.partition_point(|mark| mark.outcomes <= outcomes);
        let Some(mark) = behind.checked_sub(1).and_then(|index| self.marks.get(index)) else {
            return Err(ItemError::other("the block has no beginning"));
        };
        if mark.outcomes == outcomes {
            return Ok(Some(mark.checkpoint.clone()));
        }
        // Behind the mark the records are searched for again.
        let (before, position) = (mark.records, mark.checkpoint.read()?);
        let position = self.decoder.framer().resume(position)?;
        self.input.go_to(&position);
        let records = self.places.get(outcomes - 1).map_or(before, |place| place.record);
        for _ in before..records {
            self.next_record()?;
        }
        self.mark(outcomes, records)?;
        self.checkpoint(outcomes)
    }

    fn origin(&self, outcome: usize) -> Option<Origin> {
        let Some(place) = self.places.get(outcome) else { return self.single_origin.clone() };
        // Asked for in their order: the lines are counted once.
        let (byte, line) = Some(self.last_line.get()).filter(|(byte, _)| *byte <= place.byte).unwrap_or(self.start);
        let line = line + self.input.lines_between(byte, place.byte);
        self.last_line.set((place.byte, line));
        Some(Origin::in_file(&self.path, D::Framer::shown_position(line, place.number)))
    }

    fn progress(&self) -> Option<f64> {
        self.progress
    }
}
