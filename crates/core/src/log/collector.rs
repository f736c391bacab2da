//! The lines of an execution that are not stored yet: a bounded buffer for each of its steps.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::level::LogLevel;
use super::line::LineBuilder;
use crate::secret::Mask;

/// Most bytes of the lines of a step that wait to be stored; further lines are dropped and counted.
pub const MAX_PENDING_BYTES: usize = 1024 * 1024;
/// Most bytes that are kept of an execution's log, compressed.
pub const DEFAULT_MAX_LOG_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes that are stored without waiting for the time to do so.
const URGENT_BYTES: usize = MAX_PENDING_BYTES / 2;
/// The target of lines of the log about itself.
const OWN_TARGET: &str = "oxbatch::log";

/// The log of an execution that runs here.
#[derive(Debug, Default)]
pub(crate) struct ExecutionLog {
    /// Of the secrets of the execution.
    mask: Mask,
    buffers: Mutex<Vec<Arc<Buffer>>>,
    signal: Arc<Signal>,
}

/// The signals of writers, and to them.
#[derive(Debug, Default)]
struct Signal {
    /// The first line since all were taken.
    first: Notify,
    /// Many bytes wait.
    urgent: Notify,
    is_first: AtomicBool,
    /// Nothing more is kept.
    is_full: AtomicBool,
}

/// The lines of a step that wait.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) step: Option<String>,
    pub(super) mask: Mask,
    pending: Mutex<Pending>,
    /// Length of what waits, to be asked without the lock.
    bytes: AtomicUsize,
    dropped: AtomicU64,
    signal: Arc<Signal>,
}

#[derive(Debug, Default)]
struct Pending {
    lines: Vec<u8>,
    /// The time of each line, and its mark.
    marks: Vec<(Timestamp, LineMark)>,
}

/// Lines that were taken out of the buffers, in the order of their times.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) lines: Vec<u8>,
    pub(crate) marks: Vec<LineMark>,
}

/// The mark of a line among others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineMark {
    pub(crate) level: LogLevel,
    /// The byte behind it.
    pub(crate) end: usize,
    /// The number of lines for which it stands: those that it says were dropped, else itself.
    pub(crate) stands_for: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Buffer {
    /// `true` if a line would be kept; else it is counted as dropped.
    pub(super) fn admits(&self) -> bool {
        let full =
            self.signal.is_full.load(Ordering::Relaxed) || self.bytes.load(Ordering::Relaxed) >= MAX_PENDING_BYTES;
        if full {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        !full
    }

    pub(super) fn push(&self, time: Timestamp, level: LogLevel, target: &str, line: &LineBuilder) {
        let mut pending = lock(&self.pending);
        line.write(&mut pending.lines, time, level, target, self.step.as_deref());
        let end = pending.lines.len();
        pending.marks.push((time, LineMark { level, end, stands_for: 1 }));
        // Under the lock: a length that is older than the next one would make the buffer full for ever.
        let before = self.bytes.swap(end, Ordering::Relaxed);
        drop(pending);
        if before < URGENT_BYTES && end >= URGENT_BYTES {
            self.signal.urgent.notify_one();
        }
        if !self.signal.is_first.swap(true, Ordering::AcqRel) {
            self.signal.first.notify_one();
        }
    }

    /// Takes what waits; a line at its end says how many were dropped.
    fn take(&self) -> Pending {
        let mut pending = lock(&self.pending);
        let mut taken = std::mem::take(&mut *pending);
        self.bytes.store(0, Ordering::Relaxed);
        drop(pending);
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let message = format_args!("{dropped} lines were dropped here: they came faster than they can be kept");
            taken.note(self.step.as_deref(), message, dropped);
        }
        taken
    }
}

impl Pending {
    /// A line of the log about itself.
    fn note(&mut self, step: Option<&str>, message: fmt::Arguments<'_>, stands_for: u64) {
        let (mut line, time) = (LineBuilder::default(), Timestamp::now());
        line.begin(&Mask::default());
        line.message(message);
        line.write(&mut self.lines, time, LogLevel::Warn, OWN_TARGET, step);
        let mark = LineMark { level: LogLevel::Warn, end: self.lines.len(), stands_for };
        self.marks.push((time, mark));
    }
}

impl ExecutionLog {
    /// A log in which secrets are masked.
    pub(crate) fn masking(mask: Mask) -> Self {
        Self { mask, ..Self::default() }
    }

    /// The buffer of a step, or of what belongs to no step.
    pub(super) fn buffer(&self, step: Option<&str>) -> Arc<Buffer> {
        let signal = Arc::clone(&self.signal);
        let buffer = Arc::new(Buffer {
            step: step.map(str::to_owned),
            mask: self.mask.clone(),
            pending: Mutex::default(),
            bytes: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            signal,
        });
        lock(&self.buffers).push(Arc::clone(&buffer));
        buffer
    }

    /// Waits until there is a first line.
    pub(crate) async fn first(&self) {
        self.signal.first.notified().await;
    }

    /// Waits until much is to be stored.
    pub(crate) async fn urgent(&self) {
        self.signal.urgent.notified().await;
    }

    /// Nothing more is kept from now on: a line says so.
    pub(crate) fn fill_up(&self, max: u64) -> Taken {
        self.signal.is_full.store(true, Ordering::Relaxed);
        Taken::note(format_args!(
            "the log of this execution has reached {max} bytes (logs.max_per_execution); further lines are not kept"
        ))
    }

    /// The line behind the end of a full log, which says how many lines are missing, those left out before included;
    /// none where none is.
    pub(crate) fn left_out(&self, before: u64) -> Taken {
        let left_out = |buffer: &Arc<Buffer>| {
            let pending = std::mem::take(&mut *lock(&buffer.pending));
            buffer.dropped.swap(0, Ordering::Relaxed) + pending.marks.len() as u64
        };
        match before + lock(&self.buffers).iter().map(left_out).sum::<u64>() {
            0 => Taken::default(),
            lines => Taken::note(format_args!("{lines} further lines were not kept")),
        }
    }

    /// Takes what waits of all steps. Steps that have ended are forgotten with it.
    pub(crate) fn take(&self) -> Taken {
        self.signal.is_first.store(false, Ordering::Release);
        let mut buffers = lock(&self.buffers);
        // Alone here: nobody writes into it any more, and what it holds is taken now for the last time.
        let (ended, live): (Vec<_>, Vec<_>) = buffers.drain(..).partition(|buffer| Arc::strong_count(buffer) == 1);
        let taken = ended.iter().chain(&live).map(|buffer| buffer.take());
        let taken: Vec<_> = taken.filter(|pending| !pending.marks.is_empty()).collect();
        *buffers = live;
        drop(buffers);
        Taken::of(taken)
    }
}

impl Taken {
    fn note(message: fmt::Arguments<'_>) -> Self {
        let mut pending = Pending::default();
        pending.note(None, message, 0);
        Self::of(vec![pending])
    }

    fn of(mut pending: Vec<Pending>) -> Self {
        if pending.len() < 2 {
            let Pending { lines, marks } = pending.pop().unwrap_or_default();
            return Self { lines, marks: marks.into_iter().map(|(_, mark)| mark).collect() };
        }
        let mut all = Vec::new();
        for Pending { lines, marks } in &pending {
            let begins = std::iter::once(0).chain(marks.iter().map(|(_, mark)| mark.end));
            all.extend(begins.zip(marks).map(|(begin, (time, mark))| (*time, *mark, &lines[begin..mark.end])));
        }
        // Stable: lines of one moment stay in the order of their step.
        all.sort_by_key(|(time, _, _)| *time);
        let mut taken = Self::default();
        for (_, mark, line) in all {
            taken.lines.extend_from_slice(line);
            taken.marks.push(LineMark { end: taken.lines.len(), ..mark });
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{LogLine, LogWriter};

    fn lines(taken: &Taken) -> Vec<LogLine> {
        let text = std::str::from_utf8(&taken.lines).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn lines_of_several_steps_are_in_the_order_of_their_times() {
        let log = ExecutionLog::default();
        let (one, two) = (LogWriter::of(&log, Some("One")), LogWriter::of(&log, Some("Two")));
        for number in 0..3 {
            one.write(LogLevel::Info, "t", |line| line.message(format_args!("{number}")));
            two.write(LogLevel::Info, "t", |line| line.message(format_args!("{number}")));
        }
        drop(one);
        let taken = lines(&log.take());
        assert_eq!(taken.iter().map(|line| line.message.as_str()).collect::<Vec<_>>(), ["0", "0", "1", "1", "2", "2"]);
        assert_eq!(lock(&log.buffers).len(), 1, "a step that has ended is forgotten");
    }

    #[test]
    fn what_is_beyond_the_bound_is_dropped_and_counted() {
        let log = ExecutionLog::default();
        let writer = LogWriter::of(&log, Some("Step"));
        let text = "x".repeat(1_000);
        for _ in 0..2_000 {
            writer.write(LogLevel::Info, "t", |line| line.message(format_args!("{text}")));
        }
        let taken = log.take();
        assert!(taken.lines.len() < MAX_PENDING_BYTES + 4_000, "{}", taken.lines.len());
        let lines = lines(&taken);
        let last = lines.last().unwrap();
        let dropped = 2_000 - (lines.len() - 1);
        assert_eq!(last.message, format!("{dropped} lines were dropped here: they came faster than they can be kept"));
        assert_eq!((last.level, last.step.as_deref()), (LogLevel::Warn, Some("Step")));
        log.fill_up(7);
        writer.write(LogLevel::Error, "t", |line| line.message(format_args!("lost")));
        let left_out: LogLine = serde_json::from_slice(&log.left_out(0).lines).unwrap();
        assert_eq!(left_out.message, "1 further lines were not kept");
        assert!(log.left_out(0).lines.is_empty());
    }
}
