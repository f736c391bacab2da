//! In place of the export of traces in a program that was built without it: its setting is refused.

use std::sync::Arc;

use oxbatch_core::engine::{EngineConfig, EventConsumer};
use oxbatch_core::repository::JobRepository;

/// There is none.
pub(crate) enum Traces {}

/// The reason why there is none.
#[derive(Debug, thiserror::Error)]
#[error("this program was built without the export of traces: build it with the feature otlp")]
pub(crate) struct ExporterError;

impl Traces {
    pub(crate) fn start(_: String, _: &EngineConfig, _: Arc<dyn JobRepository>) -> Result<Self, ExporterError> {
        Err(ExporterError)
    }

    pub(crate) fn consumer(&self) -> Arc<dyn EventConsumer> {
        match *self {}
    }

    pub(crate) async fn close(self) {
        match self {}
    }
}
