//! The parts of a chunk step, once it is built.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use super::kept_ids::KeptIds;
use super::settings::{Factory, FromJson, ItemSettings, Rules, Settings};
use super::totals::Totals;
use crate::item::{BoxError, ItemProcessor, ItemReader};
use crate::step::body::{BodyEnd, BodyError, BodyRun};
use crate::step::preview::{PreviewRun, ReadToEnd};

/// The body of a chunk step: how its parts are built and its rules.
pub(super) struct ChunkBody<R: ItemReader, P: ItemProcessor<R::Item>, W> {
    pub(super) reader: Factory<R>,
    pub(super) processor: Factory<P>,
    pub(super) writer: Factory<W>,
    pub(super) settings: Settings,
    pub(super) items: ItemSettings<R>,
    pub(super) totals: Option<Arc<Totals<R::Item, P::Output>>>,
    pub(super) rerun: Option<Rerun<R, P, W>>,
    pub(super) preview: Option<RunPreview<R, P>>,
    /// The rows that the reader reads from, where they are kept items.
    pub(super) kept_ids: Option<KeptIds>,
}

impl<R: ItemReader, P: ItemProcessor<R::Item>, W> ChunkBody<R, P, W> {
    /// The rules for items that fail.
    pub(super) fn rules(&self) -> Rules<R> {
        let (retry, classify) = (self.settings.retry.clone(), self.settings.classify.clone());
        Rules { retry, skip: self.items.skip.clone(), classify }
    }
}

/// Reads an item from the raw text that could not be read.
pub(super) type FromRaw<I> = Arc<dyn Fn(&str) -> Result<I, BoxError> + Send + Sync>;
/// Runs a step over its kept items. It exists for steps alone that ask for it: the loop is compiled a second time.
pub(super) type RunKept<R, P, W> =
    for<'a> fn(&'a ChunkBody<R, P, W>, BodyRun) -> LocalBoxFuture<'a, Result<BodyEnd, BodyError>>;

/// The re-run of the skipped items of a built step.
pub(super) struct Rerun<R: ItemReader, P: ItemProcessor<R::Item>, W> {
    pub(super) from_json: FromJson<R::Item>,
    pub(super) from_raw: Option<FromRaw<R::Item>>,
    pub(super) run: RunKept<R, P, W>,
}

/// Reads and processes the first items. It exists for steps alone that ask for it: their items can be shown.
pub(super) type RunPreview<R, P> =
    for<'a> fn(&'a Factory<R>, &'a Factory<P>, PreviewRun) -> LocalBoxFuture<'a, Result<ReadToEnd, String>>;
