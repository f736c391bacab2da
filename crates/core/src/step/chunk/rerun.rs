//! Re-running what a step skipped: the kept items take the reader's place, all else of the step stays as it is.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};

use super::definition::{ChunkBody, FromRaw, Rerun, RunKept};
use super::kept_ids::KeptIds;
use super::settings::{FromJson, ItemSettings};
use crate::execution::{ExecutionId, SkipPhase, StoredSkip};
use crate::item::{Checkpoint, ItemError, ItemProcessor, ItemReader, ItemWriter, Origin, Position};
use crate::repository::{JobRepository, PendingSkips};
use crate::step::body::{BodyEnd, BodyError, BodyRun};
use crate::step::context::StepContext;

/// Kept items that are read from the repository at once.
const PAGE: u32 = 500;

/// The re-runs as the builder of a step has been given them.
pub(super) struct DeclaredRerun<I> {
    /// The function that reads items back, and a `RunKept` of the parts that are set at the time; its type shows
    /// whether they still are.
    pub(super) items: Option<(FromJson<I>, Box<dyn Any>)>,
    pub(super) from_raw: Option<FromRaw<I>>,
}

impl<I> Default for DeclaredRerun<I> {
    fn default() -> Self {
        Self { items: None, from_raw: None }
    }
}

impl<I: Send> DeclaredRerun<I> {
    /// The re-run of a step with these parts.
    pub(super) fn build<R, P, W>(self, skips: bool) -> Result<Option<Rerun<R, P, W>>, String>
    where
        R: ItemReader<Item = I> + 'static,
        P: ItemProcessor<I> + 'static,
        W: 'static,
    {
        let Some((from_json, run)) = self.items else {
            return match self.from_raw {
                Some(_) => Err("it can parse skipped items, but has no rerun_skips".to_owned()),
                None => Ok(None),
            };
        };
        if !skips {
            return Err("it has rerun_skips, but no skip policy: nothing is ever skipped".to_owned());
        }
        match run.downcast::<RunKept<R, P, W>>() {
            Ok(run) => Ok(Some(Rerun { from_json, from_raw: self.from_raw, run: *run })),
            Err(_) => Err("rerun_skips must come after the processor, the writer and the item listener".to_owned()),
        }
    }
}

/// Runs `body` with the kept items in the place of its reader.
pub(super) fn run_kept<R, P, W>(
    body: &ChunkBody<R, P, W>,
    run: BodyRun,
) -> LocalBoxFuture<'_, Result<BodyEnd, BodyError>>
where
    R: ItemReader + 'static,
    P: ItemProcessor<R::Item> + 'static,
    W: ItemWriter<P::Output> + 'static,
{
    async move {
        let (Some(rerun), Some(of)) = (&body.rerun, run.context.rerun_of()) else {
            return Err(BodyError::Failed("the step has no skipped items to re-run".to_owned()));
        };
        let (from_json, from_raw) = (rerun.from_json, rerun.from_raw.clone());
        let ids = KeptIds::default();
        let ids_of_reader = ids.clone();
        let reader = move |context: &StepContext| {
            Ok(KeptReader::<R> {
                repository: Arc::clone(context.repository()),
                of,
                step_name: context.step_name().to_owned(),
                from_json,
                from_raw: from_raw.clone(),
                page: VecDeque::new(),
                position: KeptPosition::default(),
                origin: None,
                ids: ids_of_reader.clone(),
                ended: false,
            })
        };
        let items: ItemSettings<KeptReader<R>> = body.items.of_another_reader();
        let kept = ChunkBody {
            reader: Arc::new(reader),
            processor: Arc::clone(&body.processor),
            writer: Arc::clone(&body.writer),
            settings: body.settings.clone(),
            items,
            totals: body.totals.clone(),
            rerun: None,
            preview: None,
            kept_ids: Some(ids),
        };
        kept.run_parts(run).await
    }
    .boxed_local()
}

/// The position of a [`KeptReader`].
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct KeptPosition {
    after: i64,
}

/// Reads the skipped items that an execution has kept of a step and that nobody has re-run yet.
pub(super) struct KeptReader<R: ItemReader> {
    repository: Arc<dyn JobRepository>,
    of: ExecutionId,
    step_name: String,
    from_json: FromJson<R::Item>,
    from_raw: Option<FromRaw<R::Item>>,
    page: VecDeque<StoredSkip>,
    position: KeptPosition,
    /// Of the item that was read last.
    origin: Option<Origin>,
    ids: KeptIds,
    ended: bool,
}

impl<R: ItemReader> KeptReader<R> {
    async fn next(&mut self) -> Result<Option<StoredSkip>, ItemError> {
        if self.page.is_empty() && !self.ended {
            let request = PendingSkips {
                execution_id: self.of,
                step_name: self.step_name.clone(),
                rerunnable: true,
                raw: self.from_raw.is_some(),
                after: Some(self.position.after),
                limit: PAGE,
            };
            let page = self.repository.pending_skips(request).await.map_err(|error| match error.is_transient() {
                true => ItemError::transient(error),
                false => ItemError::other(error),
            })?;
            self.ended = page.next.is_none();
            self.page = page.skips.into();
        }
        Ok(self.page.pop_front())
    }
}

impl<R: ItemReader> ItemReader for KeptReader<R> {
    type Item = R::Item;

    async fn open(&mut self, checkpoint: Option<&Checkpoint>) -> Result<(), ItemError> {
        if let Some(checkpoint) = checkpoint {
            self.position = checkpoint.read()?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<R::Item>, ItemError> {
        let Some(StoredSkip { id, item, .. }) = self.next().await? else { return Ok(None) };
        self.position.after = id;
        self.ids.add(id);
        let text = item.item.unwrap_or_default();
        self.origin = item.position.as_deref().map(|position| Origin::at(Position::Text(position.into())));
        let at = item.position.unwrap_or_else(|| format!("skipped item {id}"));
        match (item.phase, &self.from_raw) {
            (SkipPhase::Read, Some(from_raw)) => match from_raw(&text) {
                Ok(item) => Ok(Some(item)),
                Err(error) => Err(ItemError::parse(error).at(at).with_whole_raw(text)),
            },
            _ => (self.from_json)(&text).map(Some).map_err(|error| {
                // No error of the item: it stays where it is until the type fits again.
                let message = format!(
                    "the JSON that was kept of skipped item {id} does not fit the step's item ({error}); was its type changed since?"
                );
                ItemError::other(message).at(at)
            }),
        }
    }

    fn checkpoint(&mut self) -> Result<Option<Checkpoint>, ItemError> {
        Checkpoint::new(&self.position).map(Some)
    }

    fn origin(&self) -> Option<Origin> {
        self.origin.clone()
    }
}
