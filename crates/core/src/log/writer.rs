//! The way of a line into a log, and how the spans of steps get to their logs.

use std::cell::RefCell;
use std::sync::Arc;

use jiff::Timestamp;

use super::collector::{Buffer, ExecutionLog};
use super::level::LogLevel;
use super::line::LineBuilder;

/// A writer of lines into the log of an execution, for one of its steps. Cheap to clone.
///
/// It never waits for the store and never fails: a line that finds no space is dropped and counted.
#[derive(Debug, Clone)]
pub struct LogWriter {
    buffer: Arc<Buffer>,
}

thread_local! {
    static LINE: RefCell<LineBuilder> = RefCell::default();
    /// The log of the span that is being made on this thread.
    static ATTACHED: RefCell<Option<LogWriter>> = const { RefCell::new(None) };
}

impl LogWriter {
    pub(crate) fn of(log: &ExecutionLog, step: Option<&str>) -> Self {
        Self { buffer: log.buffer(step) }
    }

    /// The log of the span that is being made on this thread: a layer of `tracing` asks for it when it sees a new span
    /// of the engine, and writes into it what is logged within that span.
    pub fn of_new_span() -> Option<Self> {
        ATTACHED.with_borrow(Clone::clone)
    }

    /// Writes a line, whose message and fields `fill` gives.
    pub fn write(&self, level: LogLevel, target: &str, fill: impl FnOnce(&mut LineBuilder)) {
        if !self.buffer.admits() {
            return;
        }
        let time = Timestamp::now();
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => self.push(&mut line, time, level, target, fill),
            // A value that logs while it is formatted.
            Err(_) => self.push(&mut LineBuilder::default(), time, level, target, fill),
        });
    }

    fn push(
        &self,
        line: &mut LineBuilder,
        time: Timestamp,
        level: LogLevel,
        target: &str,
        fill: impl FnOnce(&mut LineBuilder),
    ) {
        line.begin(&self.buffer.mask);
        fill(line);
        self.buffer.push(time, level, target, line);
        line.end();
    }
}

/// Makes a span whose lines go into a log.
pub(crate) fn attached<T>(writer: LogWriter, make: impl FnOnce() -> T) -> T {
    let before = ATTACHED.replace(Some(writer));
    let made = make();
    ATTACHED.set(before);
    made
}
