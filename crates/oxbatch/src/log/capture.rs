//! The layer that keeps what the author's code logs within a step: with its execution, whatever is shown elsewhere.

use std::fmt;

use oxbatch_core::log::{LineBuilder, LogLevel, LogWriter};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Fields by which lines of the crate `log` carry where they come from begin so.
const LOG_CRATE: &str = "log.";

/// Writes the events within the spans of the engine into the logs that these have brought along.
pub(super) struct Capture;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Capture {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let (Some(writer), Some(span)) = (LogWriter::of_new_span(), context.span(id)) {
            span.extensions_mut().insert(writer);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(scope) = context.event_scope(event) else { return };
        for span in scope {
            let extensions = span.extensions();
            let Some(writer) = extensions.get::<LogWriter>().cloned() else { continue };
            // Values may open spans while they are formatted.
            drop(extensions);
            let metadata = event.metadata();
            writer.write(level(*metadata.level()), metadata.target(), |line| event.record(&mut Fields(line)));
            return;
        }
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => LogLevel::Trace,
    }
}

/// The message and the fields of an event, on their way into a line.
struct Fields<'a>(&'a mut LineBuilder);

impl Fields<'_> {
    fn value(&mut self, field: &Field, value: impl serde::Serialize) {
        if !field.name().starts_with(LOG_CRATE) {
            self.0.value(field.name(), value);
        }
    }

    fn text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        match field.name() {
            "message" => self.0.message(text),
            "log.target" => self.0.target(text),
            name if name.starts_with(LOG_CRATE) => {}
            name => self.0.text(name, text),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, format_args!("{}", oxbatch_core::execution::cause_chain(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    /// Outside of an execution nothing is kept, and nothing fails.
    #[test]
    fn a_line_outside_of_a_step_belongs_to_no_log() {
        let subscriber = tracing_subscriber::registry().with(Capture);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::error_span!("step", execution.id = 1);
            let _entered = span.enter();
            tracing::info!(number = 7, "nobody keeps it");
            assert!(LogWriter::of_new_span().is_none());
        });
    }
}
