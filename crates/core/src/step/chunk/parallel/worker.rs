//! A thread that processes: it takes parts with as many processors as it keeps items in flight.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::parts::{Closed, Done, Part, PartError, Queue};
use crate::execution::StepPhase;
use crate::item::{ItemProcessor, ItemReader, Origin};
use crate::step::body::BodyError;
use crate::step::chunk::buffers::Buffers;
use crate::step::chunk::interrupt::{Interrupt, failed};
use crate::step::chunk::process::Processing;
use crate::step::chunk::tally::Tally;
use crate::step::chunk::totals::ReadTally;

/// A thread's processors, `of_all` that the step has: all are opened before the first item, and closed behind the last.
pub(super) async fn work<R, P>(
    mut processors: Vec<Processing<R, P>>,
    queue: Queue<R::Item, P::Output>,
    (given_up, of_all): (Arc<AtomicBool>, u32),
    opened: oneshot::Sender<Result<(), BodyError>>,
) -> Closed
where
    R: ItemReader,
    P: ItemProcessor<R::Item>,
{
    let mut open = Ok(());
    for Processing { processor, .. } in &mut processors {
        let unopened = |error| failed("open the processor", &error);
        open = open.and(processor.open(None).await.map_err(unopened)).and_then(|()| remembers_nothing(processor));
        if open.is_err() {
            break;
        }
    }
    let usable = open.is_ok();
    // Nobody listens when the step was dropped.
    let _ = opened.send(open);
    if usable {
        join_all(processors.iter_mut().map(|processing| process_parts(processing, &queue, (&given_up, of_all)))).await;
    }
    let mut closed = Vec::with_capacity(processors.len());
    for mut processing in processors {
        let result = processing.processor.close().await;
        closed.push(result.map_err(|error| failed("close the processor", &error)));
    }
    closed
}

/// The checkpoint of one of several processors would stand for some of the items.
fn remembers_nothing<I: Send, P: ItemProcessor<I>>(processor: &mut P) -> Result<(), BodyError> {
    match processor.checkpoint() {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(BodyError::Failed(
            "the processor keeps a checkpoint, so one instance must see all items: the step can have no \
             processing_threads and no concurrency"
                .to_owned(),
        )),
        Err(error) => Err(failed("take the processor's checkpoint", &error)),
    }
}

/// Takes parts until there are no more.
async fn process_parts<R, P>(
    processing: &mut Processing<R, P>,
    queue: &Queue<R::Item, P::Output>,
    (given_up, of_all): (&AtomicBool, u32),
) where
    R: ItemReader,
    P: ItemProcessor<R::Item>,
{
    loop {
        let Some(Part { items, mut done }) = queue.lock().await.recv().await else { return };
        let begun = Instant::now();
        let result = {
            let processed = AssertUnwindSafe(process_part(processing, items, given_up)).catch_unwind();
            tokio::select! {
                biased;
                // Nobody waits for it any more: a stop, or an earlier error.
                () = done.closed() => continue,
                processed = processed => processed,
            }
        };
        // A share of the step's time: the others process meanwhile.
        processing.context.scope().live.add_time(StepPhase::Process, begun.elapsed() / of_all);
        let (result, broken) = match result {
            Ok(result) => (result, false),
            Err(panic) => {
                let error = Some(PartError::Panic(panic));
                (Done { buffers: Buffers::default(), tally: Tally::new(0), totals: Vec::new(), error }, true)
            }
        };
        let _ = done.send(result);
        if broken {
            return;
        }
    }
}

async fn process_part<R, P>(
    processing: &mut Processing<R, P>,
    items: Vec<(R::Item, Option<Origin>)>,
    given_up: &AtomicBool,
) -> Done<R::Item, P::Output>
where
    R: ItemReader,
    P: ItemProcessor<R::Item>,
{
    let mut done = Done { buffers: Buffers::default(), tally: Tally::new(0), totals: Vec::new(), error: None };
    done.buffers.outputs.reserve(items.len());
    for (item, origin) in items {
        let processed = match given_up.load(Ordering::Acquire) || processing.context.is_stopping() {
            false => processing.process_item(item, || origin.clone(), &mut done.buffers, &mut done.tally).await,
            true => Err(Interrupt::Stopped),
        };
        if let Err(interrupt) = processed {
            done.error = Some(PartError::Interrupt(interrupt));
            break;
        }
    }
    done.totals = processing.totals.as_mut().map(ReadTally::seal).unwrap_or_default();
    done
}
