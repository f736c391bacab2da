//! Traces: a span for each execution and each step, sent to an OpenTelemetry collector.
//!
//! Spans are made when what they stand for has ended, from what the repository knows of it. Their ids follow from the
//! execution, so that every node, and a later attempt, can name them. Nothing waits for the collector: what does not
//! fit into the buffer is dropped, and the log says how much.

mod client;
mod exporter;
mod links;
mod sending;
mod spans;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::trace::SpanContext;
use opentelemetry_sdk::trace::SpanData;
use oxbatch_core::engine::{EngineConfig, Event, EventConsumer};
use oxbatch_core::execution::ExecutionId;
use oxbatch_core::repository::JobRepository;
use oxbatch_core::{JobExecution, StepExecution};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use exporter::Exporter;
pub(crate) use exporter::ExporterError;
use sending::Sending;

/// Spans that wait to be sent; more are dropped.
const BUFFER: usize = 4_096;
/// Longest wait at the end of the process for spans to be sent.
const END: Duration = Duration::from_secs(3);

/// The export of traces of a process.
pub(crate) struct Traces {
    consumer: Arc<Consumer>,
    sending: JoinHandle<()>,
}

impl Traces {
    /// Starts to send spans to the collector.
    pub(crate) fn start(
        endpoint: String,
        config: &EngineConfig,
        repository: Arc<dyn JobRepository>,
    ) -> Result<Self, ExporterError> {
        let exporter = Exporter::new(endpoint, &config.version, &config.node.name)?;
        let (sender, messages) = mpsc::channel(BUFFER);
        let consumer = Arc::new(Consumer {
            messages: Mutex::new(Some(sender)),
            dropped: Arc::default(),
            running: Mutex::default(),
        });
        let sending = Sending::new(exporter, Arc::clone(&consumer.dropped), repository);
        let sending = tokio::spawn(sending.run(messages));
        Ok(Self { consumer, sending })
    }

    /// The consumer of the engine's events.
    pub(crate) fn consumer(&self) -> Arc<dyn EventConsumer> {
        Arc::clone(&self.consumer) as Arc<dyn EventConsumer>
    }

    /// Sends what waits, for a bounded time.
    pub(crate) async fn close(self) {
        drop(lock(&self.consumer.messages).take());
        if tokio::time::timeout(END, self.sending).await.is_err() {
            tracing::warn!(waited = ?END, "the collector of traces has not taken the last spans in time: they are lost");
        }
    }
}

/// An execution that runs here: what its steps' spans need.
struct Running {
    context: SpanContext,
    job_name: String,
}

/// A message to the task that sends.
enum Message {
    Step(Box<SpanData>),
    /// An execution has begun: the spans that it goes on with are to be found while the repository is there.
    Began(Box<JobExecution>),
    Ended(ExecutionId, Box<SpanData>),
    /// Another node goes on with it.
    Lost(ExecutionId),
}

/// Makes spans of events.
struct Consumer {
    /// `None` once the process ends.
    messages: Mutex<Option<mpsc::Sender<Message>>>,
    dropped: Arc<AtomicU64>,
    running: Mutex<HashMap<ExecutionId, Running>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Consumer {
    fn send(&self, message: Message) {
        let sent = lock(&self.messages).as_ref().is_some_and(|sender| sender.try_send(message).is_ok());
        if !sent {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn send_execution(&self, execution: &JobExecution) {
        if spans::context_of(execution).is_sampled() {
            self.send(Message::Ended(execution.id, Box::new(spans::of_execution(execution))));
        }
    }

    fn send_step(&self, step: &StepExecution) {
        let running = lock(&self.running);
        let Some(running) = running.get(&step.execution_id).filter(|running| running.context.is_sampled()) else {
            return;
        };
        self.send(Message::Step(Box::new(spans::of_step(step, &running.context, &running.job_name))));
    }
}

impl EventConsumer for Consumer {
    fn on_event(&self, event: &Event<'_>) {
        match *event {
            Event::ExecutionStarted { execution } => {
                let (context, job_name) = (spans::context_of(execution), execution.job_name.clone());
                if context.is_sampled() {
                    lock(&self.running).insert(execution.id, Running { context, job_name });
                    self.send(Message::Began(Box::new(execution.clone())));
                }
            }
            Event::StepFinished { step } => self.send_step(step),
            Event::ExecutionFinished { execution } => {
                lock(&self.running).remove(&execution.id);
                self.send_execution(execution);
            }
            // Its owner is dead: nobody else sends its span.
            Event::ExecutionRecovered { recovered } => self.send_execution(&recovered.lost),
            Event::LeaseLost { execution_id } => {
                lock(&self.running).remove(&execution_id);
                self.send(Message::Lost(execution_id));
            }
            _ => {}
        }
    }
}
