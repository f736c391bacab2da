//! The messages between the threads of a step with several processors.

use std::any::Any;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::item::Origin;
use crate::step::body::BodyError;
use crate::step::chunk::buffers::Buffers;
use crate::step::chunk::interrupt::Interrupt;
use crate::step::chunk::kept::KeptSkips;
use crate::step::chunk::sealed::Seal;
use crate::step::chunk::tally::Tally;
use crate::step::chunk::totals::Sums;

/// Items for one processor, and where what they come to is awaited.
pub(super) struct Part<I, O> {
    /// Each with its origin.
    pub(super) items: Vec<(I, Option<Origin>)>,
    pub(super) done: oneshot::Sender<Done<I, O>>,
}

/// The outputs of a part, up to its first error.
pub(super) struct Done<I, O> {
    pub(super) buffers: Buffers<I, O>,
    pub(super) tally: Tally,
    pub(super) totals: Vec<Sums>,
    pub(super) error: Option<PartError>,
}

/// The reason for which a part ended before its end.
pub(super) enum PartError {
    Interrupt(Interrupt),
    Panic(Box<dyn Any + Send>),
}

/// The parts of the chunks, in the order in which they were read.
pub(super) enum Feed<I, O> {
    Part(oneshot::Receiver<Done<I, O>>),
    /// The retries and the unreadable items between two parts.
    Read {
        retries: i64,
        skips: KeptSkips,
    },
    /// The chunk ends here.
    Seal(Box<Seal>),
    /// The reading ends here.
    Interrupt(Interrupt),
}

/// Parts that wait for a processor.
pub(super) type Queue<I, O> = Arc<Mutex<mpsc::Receiver<Part<I, O>>>>;
/// The error of each processor that could not be closed.
pub(super) type Closed = Vec<Result<(), BodyError>>;
