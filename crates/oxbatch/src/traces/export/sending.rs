//! The task that collects spans and sends them, some at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::Link;
use opentelemetry_sdk::trace::SpanData;
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::JobRepository;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

use super::exporter::Exporter;
use super::{Message, links};

/// Longest time that a span waits for others.
const EVERY: Duration = Duration::from_secs(2);
/// Spans that are sent at once.
const BATCH: usize = 512;

/// Executions whose links are kept until they end.
const MOST_LINKS: usize = 10_000;

/// The state of the task.
pub(super) struct Sending {
    exporter: Exporter,
    dropped: Arc<AtomicU64>,
    repository: Arc<dyn JobRepository>,
    links: HashMap<ExecutionId, Vec<Link>>,
    batch: Vec<SpanData>,
    /// `true` while the collector takes nothing: that is logged once.
    fails: bool,
}

impl Sending {
    pub(super) fn new(exporter: Exporter, dropped: Arc<AtomicU64>, repository: Arc<dyn JobRepository>) -> Self {
        Self { exporter, dropped, repository, links: HashMap::new(), batch: Vec::new(), fails: false }
    }

    /// Sends until there are no more messages.
    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        loop {
            let Some(first) = messages.recv().await else { return };
            self.take(first).await;
            let due = Instant::now() + EVERY;
            let mut ends = false;
            while !ends && self.batch.len() < BATCH {
                match tokio::time::timeout_at(due, messages.recv()).await {
                    Ok(Some(message)) => self.take(message).await,
                    Ok(None) => ends = true,
                    Err(_) => break,
                }
            }
            self.send().await;
        }
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Began(execution) => {
                let links = links::find(&execution, self.repository.as_ref()).await;
                // Those of ends that were dropped would stay for ever.
                if self.links.len() >= MOST_LINKS {
                    self.links.clear();
                }
                if !links.is_empty() {
                    self.links.insert(execution.id, links);
                }
            }
            Message::Step(span) => self.batch.push(*span),
            Message::Ended(id, mut span) => {
                span.links.links = self.links.remove(&id).unwrap_or_default();
                self.batch.push(*span);
            }
            Message::Lost(id) => drop(self.links.remove(&id)),
        }
    }

    async fn send(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let spans = batch.len();
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            warn!(dropped, "the collector of traces is too slow: spans were dropped");
        }
        match self.exporter.export(batch).await {
            Ok(()) if self.fails => {
                self.fails = false;
                info!("the collector of traces takes spans again");
            }
            Ok(()) => {}
            Err(error) if !self.fails => {
                self.fails = true;
                warn!(spans, error, "the collector of traces does not take spans: they are lost until it does");
            }
            Err(_) => {}
        }
    }
}
