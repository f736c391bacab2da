//! A look at the first items of a step: read and processed, shown side by side, neither written nor stored.

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use serde_json::Value;

use super::settings::Factory;
use crate::execution::{SkipPhase, cause_chain};
use crate::item::{ErrorKind, ItemError, ItemProcessor, ItemReader, ShownJson};
use crate::step::context::StepContext;
use crate::step::item_origin::ItemOrigin;
use crate::step::preview::{PreviewOutcome, PreviewRun, PreviewedItem, ReadToEnd};
use crate::step::shared::Side;

/// Shows an item as JSON.
fn shown(what: &str, value: &impl Serialize) -> Value {
    serde_json::to_value(ShownJson(value))
        .unwrap_or_else(|error| Value::String(format!("({what} cannot be shown as JSON: {error})")))
}

fn failure(what: &str, error: &ItemError) -> String {
    format!("failed to {what}: {error}")
}

/// Builds reader and processor, and shows what they make of the first items.
pub(super) fn run_preview<'a, R, P>(
    reader: &'a Factory<R>,
    processor: &'a Factory<P>,
    run: PreviewRun,
) -> LocalBoxFuture<'a, Result<ReadToEnd, String>>
where
    R: ItemReader<Item: Serialize> + 'static,
    P: ItemProcessor<R::Item, Output: Serialize> + 'static,
{
    async move {
        let mut reader = build("reader", reader, &run.context)?;
        let origin = ItemOrigin::default();
        let for_processor = run.context.for_processor(Side::Processing, &origin);
        let mut processor = build("processor", processor, &for_processor)?;
        let end = match open(&mut reader, &mut processor).await {
            Ok(()) => look(&mut reader, &mut processor, &origin, &run).await,
            Err(error) => Err(error),
        };
        let reader_closed = reader.close().await.map_err(|error| failure("close the reader", &error));
        let processor_closed = processor.close().await.map_err(|error| failure("close the processor", &error));
        let end = end?;
        reader_closed.and(processor_closed).map(|()| end)
    }
    .boxed_local()
}

fn build<T>(what: &str, factory: &Factory<T>, context: &StepContext) -> Result<T, String> {
    factory(context).map_err(|error| format!("failed to build the {what}: {}", cause_chain(error.as_ref())))
}

async fn open<R, P>(reader: &mut R, processor: &mut P) -> Result<(), String>
where
    R: ItemReader,
    P: ItemProcessor<R::Item>,
{
    reader.open(None).await.map_err(|error| failure("open the reader", &error))?;
    processor.open(None).await.map_err(|error| failure("open the processor", &error))
}

async fn look<R, P>(
    reader: &mut R,
    processor: &mut P,
    origin: &ItemOrigin,
    run: &PreviewRun,
) -> Result<ReadToEnd, String>
where
    R: ItemReader<Item: Serialize>,
    P: ItemProcessor<R::Item, Output: Serialize>,
{
    for _ in 0..run.items {
        if run.context.is_stopping() {
            return Ok(ReadToEnd::No);
        }
        let item = match reader.read().await {
            Ok(Some(item)) => item,
            Ok(None) => return Ok(ReadToEnd::Yes),
            Err(error) => {
                run.show(PreviewedItem { input: None, outcome: failed(SkipPhase::Read, &error) });
                // The reader stands where it was: it would fail on the same item for ever.
                if error.kind() == ErrorKind::Transient {
                    return Err(failure("read", &error));
                }
                continue;
            }
        };
        let input = Some(shown("the item", &item));
        if origin.is_wanted() {
            origin.set(reader.origin());
        }
        let outcome = match processor.process(item).await {
            Ok(Some(output)) => PreviewOutcome::Output(shown("the output", &output)),
            Ok(None) => PreviewOutcome::Filtered,
            Err(error) => failed(SkipPhase::Process, &error.with_origin(reader.origin().as_ref())),
        };
        run.show(PreviewedItem { input, outcome });
    }
    Ok(ReadToEnd::No)
}

fn failed(phase: SkipPhase, error: &ItemError) -> PreviewOutcome {
    PreviewOutcome::Failed {
        phase,
        position: error.location(),
        raw: error.raw().map(str::to_owned),
        error: error.cause_text(),
    }
}
