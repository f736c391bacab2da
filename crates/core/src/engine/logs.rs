//! Stores the logs of the executions of a node: a task for each of them, for which no step waits.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::state::EngineState;
use crate::event::Event;
use crate::execution::ExecutionId;
use crate::log::{ExecutionLog, LineMark, LogLevel, SEGMENT_BYTES, Taken, pack};
use crate::repository::{LogSegmentId, NewLogSegment, RepositoryError};
use crate::secret::Mask;

/// Longest time that a line waits to be stored.
const STORE_EVERY: Duration = Duration::from_secs(1);
/// Least time between two stores: a step that logs without end gets no more of the store and of the processor.
const PAUSE: Duration = Duration::from_millis(100);
/// Pause after the store has failed.
const BACK_OFF: Duration = Duration::from_secs(2);
/// The time that the end of an execution waits for its last lines.
const FINISH_WITHIN: Duration = Duration::from_secs(1);
/// The time after which the last lines are given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);
/// Most bytes of a segment before it is compressed, and so of a log in memory.
const MAX_RAW_BYTES: usize = 1024 * 1024;
/// Least bytes that are added to a segment before it is stored again.
const LEAST_ADDED: usize = 16 * 1024;
/// Lines to a byte of their compressed form, as long as nothing is known of them: a fifth.
const FIRST_RATIO: usize = 5;

/// The log of an execution that runs here, with the task that stores it.
pub(super) struct LogKeeper {
    log: Arc<ExecutionLog>,
    /// The task ends with what is there when this is dropped.
    end: CancellationToken,
    done: CancellationToken,
    _guard: DropGuard,
}

impl LogKeeper {
    /// Begins to store the log of an execution.
    pub(super) fn start(state: &Arc<EngineState>, id: ExecutionId, mask: &Mask) -> Self {
        let log = Arc::new(ExecutionLog::masking(mask.clone()));
        let (end, done) = (CancellationToken::new(), CancellationToken::new());
        let store = Store::new(Arc::clone(state), Arc::clone(&log), id);
        let task = keep(store, end.clone(), done.clone().drop_guard());
        state.tasks.spawn(task);
        Self { log, end: end.clone(), done, _guard: end.drop_guard() }
    }

    pub(super) fn log(&self) -> &Arc<ExecutionLog> {
        &self.log
    }

    /// Stores the last lines, so that they are there when the end of the execution is seen. A store that is slow or
    /// away holds up nothing: they are stored a little later then.
    pub(super) async fn finish(&self) {
        self.end.cancel();
        let _ = tokio::time::timeout(FINISH_WITHIN, self.done.cancelled()).await;
    }
}

async fn keep(mut store: Store, end: CancellationToken, _done: DropGuard) {
    let log = Arc::clone(&store.log);
    let mut failed = false;
    loop {
        let ended = tokio::select! {
            biased;
            () = end.cancelled() => true,
            () = tokio::time::sleep(BACK_OFF), if failed => false,
            () = log.first(), if !failed => tokio::select! {
                biased;
                () = end.cancelled() => true,
                () = log.urgent() => false,
                () = tokio::time::sleep(STORE_EVERY) => false,
            },
        };
        if ended {
            return store.finish().await;
        }
        failed = store.store().await.is_err();
        tokio::select! {
            () = end.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// The last segment of a log, which grows until it is long enough.
#[derive(Debug, Default)]
struct OpenSegment {
    id: Option<LogSegmentId>,
    lines: Vec<u8>,
    count: u32,
    worst: Option<LogLevel>,
    /// Compressed size when it was stored.
    packed: usize,
    is_stored: bool,
}

/// The log of an execution on its way into the store.
struct Store {
    state: Arc<EngineState>,
    log: Arc<ExecutionLog>,
    id: ExecutionId,
    open: OpenSegment,
    /// Compressed size of the segments before it.
    closed: u64,
    /// Lines that come behind the open segment, and the number of them that are in it already.
    taken: Taken,
    added: usize,
    is_full: bool,
    /// Lines that were taken and found no space.
    left_out: u64,
}

impl Store {
    fn new(state: Arc<EngineState>, log: Arc<ExecutionLog>, id: ExecutionId) -> Self {
        let open = OpenSegment { is_stored: true, ..OpenSegment::default() };
        Self { state, log, id, open, closed: 0, taken: Taken::default(), added: 0, is_full: false, left_out: 0 }
    }

    /// Stores all that waits.
    ///
    /// # Errors
    /// When the repository fails: it is tried again, and more is taken when that has succeeded.
    async fn store(&mut self) -> Result<(), RepositoryError> {
        self.store_taken().await?;
        if !self.is_full {
            self.take(self.log.take());
            self.store_taken().await?;
        }
        Ok(())
    }

    /// Stores the last lines, or says that they are lost.
    async fn finish(mut self) {
        let attempts = async {
            loop {
                match self.store_last().await {
                    Err(error) if error.is_transient() => tokio::time::sleep(PAUSE * 2).await,
                    stored => return stored,
                }
            }
        };
        let stored = tokio::time::timeout(GIVE_UP_AFTER, attempts).await;
        if !matches!(stored, Ok(Ok(()))) {
            let unsaved = if self.open.is_stored { 0 } else { u64::from(self.open.count) };
            let lines = self.waiting() + unsaved;
            self.state.events.emit(&Event::LogLinesLost { execution_id: self.id, lines });
        }
    }

    async fn store_last(&mut self) -> Result<(), RepositoryError> {
        self.store().await?;
        if self.is_full {
            let left_out = std::mem::take(&mut self.left_out);
            self.take(self.log.left_out(left_out));
            self.store_taken().await?;
        }
        Ok(())
    }

    /// The number of lines that were taken and are in no segment.
    fn waiting(&self) -> u64 {
        self.taken.marks[self.added..].iter().map(|mark| mark.stands_for).sum()
    }

    fn take(&mut self, taken: Taken) {
        (self.taken, self.added) = (taken, 0);
    }

    async fn store_taken(&mut self) -> Result<(), RepositoryError> {
        loop {
            if !self.open.is_stored {
                self.put().await?;
            }
            if self.added == self.taken.marks.len() {
                return Ok(());
            }
            if self.open.packed >= SEGMENT_BYTES - SEGMENT_BYTES / 8 || self.open.lines.len() >= MAX_RAW_BYTES {
                self.closed += self.open.packed as u64;
                self.open = OpenSegment { is_stored: true, ..OpenSegment::default() };
            }
            self.add();
        }
    }

    /// Adds lines to the open segment, as many as make it long enough by what is known of them.
    fn add(&mut self) {
        let open = &mut self.open;
        let ratio = open.lines.len().checked_div(open.packed).map_or(FIRST_RATIO, |ratio| ratio.max(1));
        let room = (SEGMENT_BYTES * ratio).min(MAX_RAW_BYTES).saturating_sub(open.lines.len()).max(LEAST_ADDED);
        let first = self.added.checked_sub(1).map_or(0, |last| self.taken.marks[last].end);
        let mut begin = first;
        while let Some(LineMark { level, end, .. }) = self.taken.marks.get(self.added).copied() {
            // The first one in any case, however long it is.
            if begin > first && end > first + room {
                break;
            }
            open.lines.extend_from_slice(&self.taken.lines[begin..end]);
            open.worst = Some(open.worst.map_or(level, |worst| worst.min(level)));
            open.count += 1;
            (begin, self.added) = (end, self.added + 1);
        }
        open.is_stored = false;
    }

    /// Stores the open segment as it is now.
    async fn put(&mut self) -> Result<(), RepositoryError> {
        let lines = std::mem::take(&mut self.open.lines);
        // A megabyte takes some milliseconds, which are those of nobody else.
        let packed = tokio::task::spawn_blocking(move || (pack(&lines), lines)).await;
        let (data, lines) = packed
            .map_err(|error| RepositoryError::Database { operation: "compress a log", source: Box::new(error) })?;
        self.open.lines = lines;
        let packed = data.len();
        let segment = NewLogSegment {
            execution_id: self.id,
            replaces: self.open.id,
            lines: self.open.count,
            worst: self.open.worst.unwrap_or(LogLevel::Info),
            data,
        };
        let id = match self.state.repository.put_log_segment(segment).await {
            Ok(id) => id,
            Err(error) => {
                self.state.report_trouble("keep the log of an execution", &error);
                return Err(error);
            }
        };
        (self.open.id, self.open.packed, self.open.is_stored) = (Some(id), packed, true);
        let max = self.state.config.max_log_bytes;
        if !self.is_full && self.closed + packed as u64 >= max {
            self.is_full = true;
            self.left_out = self.waiting();
            self.take(self.log.fill_up(max));
        }
        Ok(())
    }
}
