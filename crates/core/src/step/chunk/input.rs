//! The source of the items: the reader itself, or a thread that reads ahead of the chunk and can be waited for.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::block::{Block, Next};
use super::interrupt::{Interrupt, failed, unless_stopped};
use super::side_thread::SideThread;
use crate::item::{Checkpoint, ErrorKind, ItemError, ItemReader, Origin};
use crate::step::body::BodyError;
use crate::step::context::StepContext;
use crate::step::overlay::Overlay;
use crate::step::shared::Side;

/// Items that a reader on a thread of its own may be ahead: they hide the cost of handing items over.
const ITEMS_AHEAD: usize = 64;

/// The outcome of a read.
pub(super) enum Read<I> {
    Item(I),
    /// There is no more.
    End,
    /// The time of the chunk is over; the read goes on.
    Late,
    /// It could not be read, and is kept as skipped.
    Skipped,
    /// A stop was requested while it waited: the chunk ends behind the last item.
    Stopped,
    /// The block is over: the chunk goes on with the next one.
    BlockEnd,
}

/// The source of the items.
pub(super) enum Input<R: ItemReader> {
    /// Read when they are asked for.
    Direct(R),
    /// Read a block at a time: the one in hand, which is decoded.
    Block(Block<R::Item>),
    /// Between two blocks.
    NoBlock,
    /// Read by a thread of its own. A read cannot be given up in the middle: only so can a chunk be sealed on time.
    Handed(Handed<R>),
}

/// A reader on a thread of its own.
pub(super) struct Handed<R: ItemReader> {
    messages: mpsc::Receiver<Message<R::Item>>,
    /// Asks the reader to go on after an error.
    go_on: mpsc::Sender<()>,
    thread: SideThread<R>,
    context: StepContext,
    faulty: bool,
    checkpoint: Result<Option<Checkpoint>, ItemError>,
    progress: Option<f64>,
    origin: Option<Origin>,
}

/// An item and the state of its reader behind it: they travel together.
struct Message<I> {
    outcome: Result<Option<I>, ItemError>,
    checkpoint: Result<Option<Checkpoint>, ItemError>,
    progress: Option<f64>,
    origin: Option<Origin>,
    context: Option<Overlay>,
    job_context: Option<Overlay>,
}

impl<R: ItemReader + 'static> Input<R> {
    /// Goes on by a thread of its own.
    pub(super) fn on_its_own_thread(self, context: &StepContext) -> Result<Self, Interrupt> {
        let Self::Direct(mut reader) = self else { return Ok(self) };
        let (sender, messages) = mpsc::channel(ITEMS_AHEAD);
        let (go_on, on) = mpsc::channel(1);
        let scope = context.clone();
        let checkpoint = reader.checkpoint();
        let progress = reader.progress();
        let thread = SideThread::start("input", context, move |runtime| {
            runtime.block_on(hand_over(&mut reader, &scope, sender, on));
            reader
        })?;
        let (context, faulty) = (context.clone(), false);
        Ok(Self::Handed(Handed { messages, go_on, thread, context, faulty, checkpoint, progress, origin: None }))
    }
}

impl<R: ItemReader + 'static> Input<R> {
    /// The next item, or what there is instead at the `deadline` or on a stop; a reader that is read directly is waited
    /// for at the deadline.
    #[inline]
    pub(super) async fn read(
        &mut self,
        deadline: Option<Instant>,
        context: &StepContext,
    ) -> Result<Result<Read<R::Item>, ItemError>, Interrupt> {
        match self {
            Self::Direct(reader) => match unless_stopped(context, reader.read()).await {
                Some(read) => Ok(read.map(|item| item.map_or(Read::End, Read::Item))),
                None if R::CANCEL_SAFE => Ok(Ok(Read::Stopped)),
                // Nobody knows where it stands now: the items since the last chunk are read again by the next attempt.
                None => Err(Interrupt::Stopped),
            },
            Self::Block(block) => Ok(block.read().map(|next| match next {
                Next::Item(item) => Read::Item(item),
                Next::End => Read::End,
                Next::BlockEnd => Read::BlockEnd,
            })),
            Self::NoBlock => Ok(Ok(Read::BlockEnd)),
            Self::Handed(handed) => Ok(handed.read(deadline).await),
        }
    }

    /// The position behind the last item that was taken.
    #[inline]
    pub(super) fn checkpoint(&mut self) -> Result<Option<Checkpoint>, BodyError> {
        let checkpoint = match self {
            Self::Direct(reader) => reader.checkpoint(),
            Self::Block(block) => block.checkpoint(),
            Self::NoBlock => Ok(None),
            Self::Handed(handed) => std::mem::replace(&mut handed.checkpoint, Ok(None)),
        };
        let checkpoint = checkpoint.map_err(|error| failed("take the reader's checkpoint", &error))?;
        if let Self::Handed(handed) = self {
            handed.checkpoint = Ok(checkpoint.clone());
        }
        Ok(checkpoint)
    }

    #[inline]
    pub(super) fn progress(&self) -> Option<f64> {
        match self {
            Self::Direct(reader) => reader.progress(),
            Self::Block(block) => block.progress(),
            Self::NoBlock => None,
            Self::Handed(handed) => handed.progress,
        }
    }

    /// The origin of the last item that was taken.
    #[inline]
    pub(super) fn origin(&self) -> Option<Origin> {
        match self {
            Self::Direct(reader) => reader.origin(),
            Self::Block(block) => block.origin(),
            Self::NoBlock => None,
            Self::Handed(handed) => handed.origin.clone(),
        }
    }
}

impl<R: ItemReader + 'static> Input<R> {
    /// Closes the reader, unless its thread does not end within `at_most`.
    pub(super) async fn close(self, at_most: Duration) -> Result<(), BodyError> {
        let reader = match self {
            Self::Direct(reader) => Some(reader),
            Self::Block(_) | Self::NoBlock => None,
            Self::Handed(Handed { messages, go_on, thread, .. }) => {
                drop((messages, go_on));
                thread.join(at_most).await
            }
        };
        match reader {
            Some(mut reader) => reader.close().await.map_err(|error| failed("close the reader", &error)),
            None => Ok(()),
        }
    }
}

impl<R: ItemReader + 'static> Handed<R> {
    async fn read(&mut self, deadline: Option<Instant>) -> Result<Read<R::Item>, ItemError> {
        if std::mem::take(&mut self.faulty) {
            // The channel has room for the one signal that is ever due.
            let _ = self.go_on.try_send(());
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Ok(Read::Late);
        }
        let message = match self.messages.try_recv() {
            Ok(message) => Some(message),
            Err(_) => tokio::select! {
                biased;
                () = self.context.stopping() => return Ok(Read::Stopped),
                message = self.messages.recv() => message,
                () = until(deadline) => return Ok(Read::Late),
            },
        };
        let Some(message) = message else {
            // Without a message it has panicked, which goes on here, or it has said that there is no more.
            self.thread.ended().await;
            return Ok(Read::End);
        };
        (self.checkpoint, self.progress, self.origin) = (message.checkpoint, message.progress, message.origin);
        let scope = self.context.scope();
        if let Some(change) = message.context {
            scope.context.take_over(&change);
        }
        if let Some(change) = message.job_context {
            scope.job.context.take_over(&change);
        }
        self.faulty = message.outcome.is_err();
        Ok(message.outcome?.map_or(Read::End, Read::Item))
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn hand_over<R: ItemReader>(
    reader: &mut R,
    context: &StepContext,
    messages: mpsc::Sender<Message<R::Item>>,
    mut on: mpsc::Receiver<()>,
) {
    let scope = context.scope();
    let contexts = [&scope.context, &scope.job.context];
    loop {
        contexts.iter().for_each(|context| context.mark(Side::Reading));
        let outcome = tokio::select! {
            biased;
            outcome = reader.read() => outcome,
            // Nobody waits for it any more.
            () = messages.closed() => return,
        };
        let (ended, faulty) = (matches!(outcome, Ok(None)), outcome.is_err());
        if outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Transient) {
            // The read comes again, and with it what it puts.
            contexts.iter().for_each(|context| context.undo(Side::Reading));
        }
        let message = Message {
            outcome,
            checkpoint: reader.checkpoint(),
            progress: reader.progress(),
            origin: reader.origin(),
            context: scope.context.take_change_of(Side::Reading),
            job_context: scope.job.context.take_change_of(Side::Reading),
        };
        if messages.send(message).await.is_err() || ended || (faulty && on.recv().await.is_none()) {
            return;
        }
    }
}
