//! The cases for every reader and writer: it goes on from every position, and is cut back at every commit.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use std::any::Any;
use std::fmt::Debug;

use futures_util::future::BoxFuture;

use super::fixture::save;
use crate::execution::{Counters, MAX_CONTEXT_BYTES};
use crate::item::{Checkpoint, DecodedBlock, EncodedOutputs, ErrorKind, ItemReader, ItemWriter, Marks, Origin};
use crate::repository::{ChunkAck, ChunkSave, ChunkTransaction, RepositoryFuture};

/// The transaction of a store that a reader or writer does not use.
#[derive(Debug)]
pub struct NoTransaction;

impl ChunkTransaction for NoTransaction {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn commit<'a>(&'a mut self, _: ChunkSave<'a>) -> RepositoryFuture<'a, ChunkAck> {
        Box::pin(std::future::ready(Ok(ChunkAck { stop_requested: false })))
    }

    fn rollback(&mut self) -> RepositoryFuture<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A checkpoint as a store gives it back: with its text, and no more than fits.
pub fn stored(checkpoint: &Checkpoint) -> Checkpoint {
    assert!(checkpoint.as_json().len() <= MAX_CONTEXT_BYTES, "a checkpoint must be small: {}", checkpoint.as_json());
    Checkpoint::new(&serde_json::from_str::<serde_json::Value>(checkpoint.as_json()).unwrap()).unwrap()
}

/// The results of a reader: its items, and its errors as text.
pub type Outcomes<T> = Vec<Result<T, String>>;

/// Reads on, at most `limit` items and errors, to the end or to an error that no item comes behind.
async fn read_on<R: ItemReader>(reader: &mut R, limit: usize) -> Outcomes<R::Item> {
    let mut outcomes = Vec::new();
    while outcomes.len() < limit {
        match reader.read().await {
            Ok(Some(item)) => outcomes.push(Ok(item)),
            Ok(None) => {
                assert!(reader.read().await.is_ok_and(|item| item.is_none()), "an end is an end");
                break;
            }
            Err(error) => {
                outcomes.push(Err(format!("{error:?}")));
                if error.kind() == ErrorKind::Other {
                    break;
                }
            }
        }
    }
    outcomes
}

/// Kills the reader at every position, and at all of them in one go: what it comes to is always the same, which is
/// returned. `make` makes the reader of an attempt.
pub async fn a_reader_goes_on_from_every_position<R>(make: impl Fn() -> R) -> Outcomes<R::Item>
where
    R: ItemReader<Item: Debug + PartialEq> + 'static,
{
    let mut reader = make();
    reader.open(None).await.unwrap();
    let straight = read_on(&mut reader, usize::MAX).await;
    reader.close().await.unwrap();

    let mut all = make();
    all.open(None).await.unwrap();
    for position in 0..=straight.len() {
        let mut reader = make();
        reader.open(None).await.unwrap();
        assert_eq!(read_on(&mut reader, position).await, straight[..position], "up to {position}");
        let checkpoint = reader.checkpoint().unwrap().unwrap();
        let again = reader.checkpoint().unwrap().unwrap();
        assert_eq!(again.as_json(), checkpoint.as_json(), "a checkpoint changes nothing");
        drop(reader);
        let checkpoint = stored(&checkpoint);
        let mut reader = make();
        reader.open(Some(&checkpoint)).await.unwrap();
        assert_eq!(read_on(&mut reader, usize::MAX).await, straight[position..], "from {position}");
        reader.close().await.unwrap();

        let next = read_on(&mut all, 1).await;
        assert_eq!(next, straight[position..straight.len().min(position + 1)], "restarted before each, at {position}");
        let checkpoint = stored(&all.checkpoint().unwrap().unwrap());
        all = make();
        all.open(Some(&checkpoint)).await.unwrap();
    }
    for start in 0..=straight.len() {
        for records in 1..=3 {
            a_split_source_holds_the_same(&make, &straight, (start, records)).await;
        }
    }
    straight
}

/// Splits the source behind the first outcomes, where it can be split, and takes blocks of so many records by two
/// readers: what comes of them is the same, and a new reader goes on behind each outcome.
async fn a_split_source_holds_the_same<R>(
    make: &impl Fn() -> R,
    straight: &Outcomes<R::Item>,
    (start, records): (usize, usize),
) where
    R: ItemReader<Item: Debug + PartialEq> + 'static,
{
    let (mut reader, mut direct) = (make(), make());
    reader.open(None).await.unwrap();
    direct.open(None).await.unwrap();
    read_on(&mut reader, start).await;
    read_on(&mut direct, start).await;
    let mut readers = reader.split(2);
    let count = readers.len().max(1);
    readers.rotate_left(start % count);
    let mut found = start;
    while let Some(shared) = readers.first_mut() {
        let (mut block, mut ended) = (DecodedBlock::default(), false);
        match shared.take(records) {
            Ok(true) => shared.decode(Marks { first: found % 3 + 1, every: 2 }, &mut block),
            Ok(false) => ended = true,
            Err(error) => block.errors.push_back((0, error)),
        }
        for outcome in 0..block.len() {
            let next = read_on(&mut direct, 1).await;
            let error = block.errors.pop_front_if(|(before, _)| *before == outcome);
            if let Some((_, error)) = error {
                assert_eq!(Err(format!("{error:?}")), next[0], "split at {start} in blocks of {records}");
                // No item comes behind it.
                ended |= error.kind() == ErrorKind::Other;
            } else {
                assert_eq!(Ok(block.items.pop_front().unwrap()), next[0], "split at {start} in blocks of {records}");
                let origin = |origin: Option<Origin>| origin.map(|origin| origin.to_string());
                assert_eq!(origin(shared.origin(outcome)), origin(direct.origin()), "at {found}");
            }
            found += 1;
            if !ended {
                let checkpoint = stored(&shared.checkpoint(outcome + 1).unwrap().unwrap());
                let mut behind = make();
                behind.open(Some(&checkpoint)).await.unwrap();
                let rest = read_on(&mut behind, usize::MAX).await;
                assert_eq!(rest, straight[found..], "behind {found} of blocks of {records}");
            }
        }
        if ended {
            assert_eq!(found, straight.len(), "split at {start} in blocks of {records}");
            return;
        }
        readers.rotate_left(1);
    }
}

/// A writer under test: one target of its own for each case.
pub trait Target {
    /// The content of the output.
    type Output: Send + Sync;
    /// The writer.
    type Writer: ItemWriter<Self::Output> + 'static;

    /// The outputs to write, at least four.
    fn outputs(&self) -> Vec<Self::Output>;

    /// The writer of a new attempt.
    fn writer(&self) -> Self::Writer;

    /// The transaction of a new attempt.
    fn transaction(&self) -> BoxFuture<'_, Box<dyn ChunkTransaction>> {
        Box::pin(std::future::ready(Box::new(NoTransaction) as Box<dyn ChunkTransaction>))
    }

    /// All that stands in the target once the writer has published it.
    fn contents(&self) -> BoxFuture<'_, Vec<u8>>;

    /// Leaves in the target what a death in the middle of a write may leave there.
    fn leave_garbage(&self) {}
}

/// The course of an attempt to commit a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Committed,
    /// Written and rolled back without a flush, as in the search for a bad item.
    Tried,
    RolledBack,
    DiesInWrite,
    DiesBeforeFlush,
    DiesBeforeCommit,
    DiesAfterCommit,
}

const FATES: [Fate; 6] = [
    Fate::Tried,
    Fate::RolledBack,
    Fate::DiesInWrite,
    Fate::DiesBeforeFlush,
    Fate::DiesBeforeCommit,
    Fate::DiesAfterCommit,
];

/// Interrupts the writer in every way at every chunk, in chunks of several sizes: what stands in the target is always
/// what an uninterrupted writer of the same chunks has left there, which is returned for chunks of one item. `new`
/// makes an empty target.
pub async fn a_writer_is_cut_back_at_every_chunk<T: Target>(new: impl Fn() -> T) -> Vec<u8> {
    let mut of_single_items = Vec::new();
    let count = new().outputs().len();
    for size in [1, 3, count] {
        let target = new();
        write_all(&target, size, |_, _| Fate::Committed).await;
        let straight = target.contents().await;
        let chunks = count.div_ceil(size);
        for fate in FATES {
            // The chunk behind the last one is the end of the output.
            for struck in 0..=chunks {
                let target = new();
                write_all(
                    &target,
                    size,
                    |chunk, time| {
                        if chunk == struck && time == 0 { fate } else { Fate::Committed }
                    },
                )
                .await;
                let found = target.contents().await;
                assert!(found == straight, "{fate:?} at chunk {struck} of {size} items: {}", shown(&found, &straight));
            }
            let target = new();
            write_all(&target, size, |_, time| if time == 0 { fate } else { Fate::Committed }).await;
            let found = target.contents().await;
            assert!(found == straight, "{fate:?} at each chunk of {size} items: {}", shown(&found, &straight));
        }
        if size == 1 {
            of_single_items = straight;
        }
    }
    of_single_items
}

fn shown(found: &[u8], straight: &[u8]) -> String {
    format!("{:?} instead of {:?}", String::from_utf8_lossy(found), String::from_utf8_lossy(straight))
}

/// An attempt and what it stands on.
struct Attempt<W> {
    writer: W,
    transaction: Box<dyn ChunkTransaction>,
}

impl<W> Attempt<W> {
    async fn begin<T: Target<Writer = W>>(target: &T, checkpoint: Option<&Checkpoint>) -> Self
    where
        W: ItemWriter<T::Output>,
    {
        let (mut writer, transaction) = (target.writer(), target.transaction().await);
        writer.open(checkpoint).await.unwrap();
        Self { writer, transaction }
    }

    async fn roll_back<O: Send + Sync>(&mut self)
    where
        W: ItemWriter<O>,
    {
        self.transaction.rollback().await.unwrap();
        self.writer.rolled_back().await.unwrap();
    }
}

/// The outputs of every other chunk, as an encoder of the writer makes them, where it has one.
fn encode<O: Send + Sync, W: ItemWriter<O> + 'static>(
    writer: &W,
    outputs: &[O],
    chunk: usize,
) -> Option<EncodedOutputs> {
    let mut encoder = writer.encoder().filter(|_| chunk % 2 == 1)?.fork()?;
    let mut encoded = EncodedOutputs::default();
    encoder.encode(outputs, &mut encoded).unwrap();
    encoded.outputs = outputs.len();
    Some(encoded)
}

/// Writes all, as the engine does; `fate` tells how each attempt at a chunk goes.
async fn write_all<T: Target>(target: &T, size: usize, fate: impl Fn(usize, usize) -> Fate) {
    let outputs = target.outputs();
    let chunks: Vec<_> = outputs.chunks(size).collect();
    let mut saved = None;
    let mut attempt = Attempt::begin(target, None).await;
    let (mut chunk, mut time) = (0, 0);
    loop {
        let fate = fate(chunk, time);
        let Attempt { writer, transaction } = &mut attempt;
        let at_end = chunk == chunks.len();
        match chunks.get(chunk) {
            // Half of it is on its way.
            Some(outputs) if fate == Fate::DiesInWrite => {
                let half = &outputs[..outputs.len().div_ceil(2)];
                writer.write(half, transaction.as_mut()).await.unwrap();
            }
            Some(outputs) => match encode(writer, outputs, chunk) {
                Some(encoded) => writer.write_encoded(&encoded, transaction.as_mut()).await.unwrap(),
                None => writer.write(outputs, transaction.as_mut()).await.unwrap(),
            },
            None => {
                transaction.make_next_durable();
                writer.finish(transaction.as_mut()).await.unwrap();
            }
        }
        time += 1;
        let dies = match fate {
            Fate::Tried => {
                attempt.roll_back().await;
                false
            }
            Fate::DiesInWrite | Fate::DiesBeforeFlush => true,
            _ => {
                let checkpoint = writer.flush().await.unwrap().as_ref().map(stored);
                match fate {
                    Fate::Committed | Fate::DiesAfterCommit => {
                        let counters = Counters { commit: 1, ..Counters::default() };
                        transaction.commit(save("{}", &counters)).await.unwrap();
                        saved = checkpoint;
                        (chunk, time) = (chunk + 1, 0);
                        if fate == Fate::Committed {
                            writer.committed();
                        }
                        if at_end && fate == Fate::Committed {
                            break;
                        }
                        fate == Fate::DiesAfterCommit
                    }
                    Fate::RolledBack => {
                        attempt.roll_back().await;
                        false
                    }
                    _ => true,
                }
            }
        };
        if dies {
            drop(attempt);
            if fate == Fate::DiesInWrite {
                target.leave_garbage();
            }
            attempt = Attempt::begin(target, saved.as_ref()).await;
            if chunk > chunks.len() {
                // The end is committed already: it is committed once more.
                (chunk, time) = (chunks.len(), 1);
            }
        }
    }
    attempt.writer.publish().await.unwrap();
    // Dies before the end of the step is recorded, twice.
    for _ in 0..2 {
        drop(attempt);
        attempt = Attempt::begin(target, saved.as_ref()).await;
        attempt.writer.finish(attempt.transaction.as_mut()).await.unwrap();
        saved = attempt.writer.flush().await.unwrap().as_ref().map(stored);
        attempt.transaction.commit(save("{}", &Counters::default())).await.unwrap();
        attempt.writer.committed();
        attempt.writer.publish().await.unwrap();
    }
    attempt.writer.close().await.unwrap();
}
