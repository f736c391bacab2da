//! The plan of a case of the model, and the result of a loop that never fails.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

/// Events that go wrong, once each: at the item of this number, or when the writer has come to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// The reader cannot be opened.
    OpenReader,
    /// The writer cannot be opened.
    OpenWriter,
    /// The read fails and may be repeated.
    Read(u64),
    /// The reader cannot say where it stands.
    Checkpoint(u64),
    /// The processor fails.
    Process(u64),
    /// The processor panics.
    Panic(u64),
    /// The writer fails after half of its chunk.
    Write(u64),
    /// The writer cannot hand its output over.
    Flush(u64),
    /// The writer cannot make its output durable.
    Sync(u64),
    /// The writer panics.
    PanicOfWriter(u64),
    /// The output cannot be finished.
    Finish,
    /// The output cannot be published.
    Publish,
    /// A stop is requested.
    Stop(u64),
    /// The node dies while it processes.
    Die(u64),
    /// The node dies between a write and its commit.
    DieWriting(u64),
}

/// When what was written is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saves {
    EachChunk,
    /// As seldom as possible.
    Never,
    /// At moments that nobody knows.
    Often,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) items: u64,
    pub(super) chunk_size: u32,
    /// A chunk holds so many bytes; an item has as many as its last digit says, and one more.
    pub(super) chunk_bytes: Option<u64>,
    pub(super) chunk_time: Option<Duration>,
    pub(super) retries: u32,
    pub(super) ahead: bool,
    pub(super) threads: u32,
    pub(super) in_flight: u32,
    /// Workers that share the input, where nothing else is set that they take the place of.
    pub(super) workers: Option<u32>,
    /// Most items that one of them takes at once.
    pub(super) block: u64,
    pub(super) saves: Saves,
    /// The outputs go into a table as well, in the transaction of their chunk or of several.
    pub(super) table: bool,
    /// A node that dies takes with it what it had not made durable.
    pub(super) loses_power: bool,
    pub(super) troubles: BTreeSet<Trouble>,
    /// Reader, processor and writer count in the contexts what they do.
    pub(super) counts: bool,
    /// Items that can never be read, those that can never be processed, and those whose outputs can never be written.
    bad: BTreeSet<(u8, u64)>,
}

impl Plan {
    pub(super) fn cannot_read(&self, n: u64) -> bool {
        self.bad.contains(&(0, n))
    }

    pub(super) fn cannot_process(&self, n: u64) -> bool {
        !self.cannot_read(n) && self.bad.contains(&(1, n))
    }

    pub(super) fn cannot_write(&self, n: u64) -> bool {
        !self.cannot_read(n) && !self.cannot_process(n) && !n.is_multiple_of(3) && self.bad.contains(&(2, n))
    }

    /// Returns whether an item is skipped, wherever.
    pub(super) fn is_bad(&self, n: u64) -> bool {
        self.cannot_read(n) || self.cannot_process(n) || self.cannot_write(n)
    }

    /// Returns whether its processor sees all items, and so may put something into the contexts.
    pub(super) fn has_one_processor(&self) -> bool {
        self.threads == 1 && self.in_flight == 1
    }

    /// The workers of the step. A reader that puts something into the contexts has its place among the items, so its
    /// input is not shared.
    pub(super) fn workers(&self) -> Option<u32> {
        self.workers.filter(|_| self.has_one_processor() && self.chunk_time.is_none() && !self.counts)
    }

    /// The outputs of the first items when nothing goes wrong but with themselves.
    pub(super) fn model(&self, items: u64) -> Vec<u64> {
        let settled = (0..items).filter(|n| !n.is_multiple_of(3) && !self.is_bad(*n));
        settled.map(|n| n * 2).collect()
    }

    /// Returns whether nothing stands behind the saved items once an attempt has ended: neither chunks that wait for a
    /// save nor those that a panic or a death has left.
    pub(super) fn saves_each_chunk(&self) -> bool {
        let leaves =
            |trouble: &Trouble| matches!(trouble, Trouble::Die(_) | Trouble::DieWriting(_) | Trouble::PanicOfWriter(_));
        self.saves == Saves::EachChunk && !self.troubles.iter().any(leaves)
    }
}

fn trouble(items: u64) -> impl Strategy<Value = Trouble> {
    (0..15_u8, 0..items).prop_map(|(kind, at)| match kind {
        0 => Trouble::OpenReader,
        1 => Trouble::OpenWriter,
        2 => Trouble::Read(at),
        3 => Trouble::Checkpoint(at),
        4 => Trouble::Process(at),
        5 => Trouble::Panic(at),
        6 => Trouble::Write(at),
        7 => Trouble::Flush(at),
        8 => Trouble::PanicOfWriter(at),
        9 => Trouble::Finish,
        10 => Trouble::Publish,
        11 => Trouble::Stop(at),
        12 => Trouble::Die(at),
        13 => Trouble::Sync(at),
        _ => Trouble::DieWriting(at),
    })
}

pub(super) fn plans() -> impl Strategy<Value = Plan> {
    let saves = prop_oneof![Just(Saves::EachChunk), Just(Saves::Never), Just(Saves::Often)];
    let time = prop_oneof![3 => Just(None), 1 => (1..200_u64).prop_map(|time| Some(Duration::from_micros(time)))];
    let limits = (1..13_u32, prop::option::weighted(0.3, 1..40_u64), time);
    let saves = (saves, any::<bool>(), prop::bool::weighted(0.3), any::<bool>());
    let workers = (prop_oneof![2 => Just(1), 1 => 2..5_u32], prop_oneof![2 => Just(1), 1 => 2..6_u32]);
    let shared = (prop_oneof![Just(None), Just(Some(1)), Just(Some(2)), Just(Some(7))], 1..20_u64);
    (1..60_u64, limits, 0..3_u32, any::<bool>(), (workers, shared), saves).prop_flat_map(
        |(
            items,
            (chunk_size, chunk_bytes, chunk_time),
            retries,
            ahead,
            ((threads, in_flight), (workers, block)),
            (saves, loses_power, counts, table),
        )| {
            let bad = prop::collection::btree_set((0..3_u8, 0..items), 0..6);
            (prop::collection::btree_set(trouble(items), 0..6), bad).prop_map(move |(troubles, bad)| Plan {
                items,
                chunk_size,
                chunk_bytes,
                chunk_time,
                retries,
                ahead,
                threads,
                in_flight,
                workers,
                block,
                saves,
                table,
                loses_power,
                counts,
                troubles,
                bad,
            })
        },
    )
}

/// A plan that has failed once, on a busy machine: the reader of the attempt that begins at the last item has counted
/// it before the step took note of the job's context as it was stored, so that the change was not saved.
pub(super) fn counted_too_early() -> Plan {
    use Trouble::{DieWriting, Finish, OpenReader, Write};
    Plan {
        items: 21,
        chunk_size: 4,
        chunk_bytes: None,
        chunk_time: None,
        retries: 2,
        ahead: false,
        threads: 1,
        in_flight: 4,
        workers: None,
        block: 1,
        saves: Saves::Never,
        table: false,
        loses_power: true,
        troubles: BTreeSet::from([OpenReader, Write(1), Finish, DieWriting(20)]),
        counts: true,
        bad: BTreeSet::from([(0, 4), (0, 5), (2, 15)]),
    }
}
