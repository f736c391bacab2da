//! Finds the items of a chunk that cannot be written, by halves.

use super::commit::Target;
use super::fill::{Room, failed};
use super::settings::Skip;
use crate::execution::{SkipPhase, SkippedItem, cause_chain};
use crate::item::{ItemError, ItemReader, ItemWriter};
use crate::step::BodyFault;

/// What the search found.
pub(super) enum Isolated {
    /// The bad items are no longer in the room; the others can be written.
    AllGood,
    /// One more bad item than may be skipped; its error.
    LimitReached(String),
}

/// Why the search ended without an answer. What it found stays found.
pub(super) enum Unsettled {
    /// A write failed by a fault that is not to be skipped; it was taken back.
    Write(ItemError),
    /// The store was away while a part was written, which says nothing of its items; it was taken back.
    Lost,
    /// A write could not be taken back: nothing may be written after it.
    NotTakenBack(BodyFault),
}

/// A part of the chunk that is still to be judged: so many items behind the good ones.
struct Part {
    length: usize,
    /// It is known to hold a bad item: what stands before it is good, and with it the write failed.
    bad: bool,
    /// The next part is the other half of one that is bad.
    first_half: bool,
}

/// Takes the items out of a chunk that cannot be written: O(k·log n) writes for k bad ones among n.
///
/// Each trial writes the items found good and a part of the rest, and is rolled back, in the database and in the writer.
/// The chunk itself is written and committed by the caller, so a stop, fault or crash in here loses nothing: nothing
/// of it is committed.
///
/// # Errors
/// [`Unsettled`] says what to do next.
pub(super) async fn isolate<W, R, O>(
    target: &mut Target<'_, W>,
    room: &mut Room<R::Item, O>,
    skip: &Skip<R>,
    first: ItemError,
    left: u64,
    skips: &mut Vec<SkippedItem>,
) -> Result<Isolated, Unsettled>
where
    R: ItemReader,
    O: Send + Sync,
    W: ItemWriter<O>,
{
    let (mut good, mut found) = (0_usize, 0_u64);
    let mut error = first;
    let mut parts = vec![Part { length: room.outputs.len(), bad: true, first_half: false }];
    while let Some(part) = parts.pop() {
        if !part.bad {
            match attempt(target, &room.outputs[..good + part.length]).await? {
                Ok(()) => {
                    good += part.length;
                    if let Some(other_half) = parts.last_mut().filter(|_| part.first_half) {
                        other_half.bad = true;
                    }
                    continue;
                }
                Err(fault) if skip.policy.allows(fault.kind()) => error = fault,
                Err(fault) => return Err(Unsettled::Write(fault)),
            }
        }
        if part.length > 1 {
            let half = part.length / 2;
            parts.push(Part { length: part.length - half, bad: false, first_half: false });
            parts.push(Part { length: half, bad: false, first_half: true });
            continue;
        }
        if found >= left {
            return Ok(Isolated::LimitReached(error.to_string()));
        }
        room.outputs.remove(good);
        let item = (good < room.inputs.len()).then(|| room.inputs.remove(good));
        found += 1;
        skips.push(skip.kept(SkipPhase::Write, item.as_ref(), &error));
    }
    Ok(Isolated::AllGood)
}

/// Writes outputs and takes them back, whether it worked or not.
async fn attempt<W, O>(target: &mut Target<'_, W>, outputs: &[O]) -> Result<Result<(), ItemError>, Unsettled>
where
    O: Send + Sync,
    W: ItemWriter<O>,
{
    let written = target.writer.write(outputs, target.transaction).await;
    let undone = target.transaction.rollback().await;
    let taken_back = target.writer.rolled_back().await;
    taken_back.map_err(|error| Unsettled::NotTakenBack(failed("roll the output back", &error)))?;
    undone.map_err(|error| {
        Unsettled::NotTakenBack(BodyFault::Failed(format!("failed to roll back: {}", cause_chain(&error))))
    })?;
    if written.is_err() && target.transaction.was_lost() {
        return Err(Unsettled::Lost);
    }
    Ok(written)
}
