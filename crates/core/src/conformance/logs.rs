//! Cases of logs: segments behind each other, the last of which grows, removed with their execution.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case fails by panicking")]

use super::Backend;
use super::fixture::{LONG, Process};
use crate::execution::{ExecutionId, StatusEvent};
use crate::log::LogLevel;
use crate::repository::{
    LogPage, LogSegment, LogSegmentId, LogSize, Missing, NewLogSegment, PurgeRequest, RepositoryError,
};

fn new(execution_id: ExecutionId, worst: LogLevel, data: &[u8]) -> NewLogSegment {
    NewLogSegment { execution_id, replaces: None, lines: 2, worst, data: data.to_vec() }
}

async fn put(process: &Process, segment: NewLogSegment) -> LogSegmentId {
    process.repository.put_log_segment(segment).await.unwrap()
}

async fn read(process: &Process, id: ExecutionId, page: LogPage, level: Option<LogLevel>) -> Vec<LogSegment> {
    process.repository.log_segments(id, page, level).await.unwrap()
}

const fn after(segment: LogSegmentId, limit: u32) -> LogPage {
    LogPage::After { segment, limit }
}

/// Any node reads what another has stored, from either end, by the level of its lines.
pub async fn segments_are_read_from_a_position_on_or_from_the_end(backend: &dyn Backend) {
    let (process, other) = (Process::start(backend).await, Process::start(backend).await);
    let (id, of_another) = (process.run(1, LONG).await.execution_id(), process.run(2, LONG).await.execution_id());
    let mut ids = Vec::new();
    for (level, data) in [(LogLevel::Info, &[0, 1, 255][..]), (LogLevel::Error, b"two"), (LogLevel::Debug, b"three")] {
        ids.push(put(&process, new(id, level, data)).await);
        put(&process, new(of_another, level, b"of another")).await;
    }
    let begin = LogSegmentId(0);
    let all = read(&other, id, after(begin, 10), None).await;
    assert_eq!(all.iter().map(|segment| segment.id).collect::<Vec<_>>(), ids);
    assert_eq!(all[0], LogSegment { id: ids[0], lines: 2, data: vec![0, 1, 255] });
    assert_eq!(read(&other, id, after(ids[1], 1), None).await, all[1..2]);
    assert_eq!(read(&other, id, after(begin, 10), Some(LogLevel::Warn)).await, all[1..2]);
    assert_eq!(read(&other, id, after(begin, 10), Some(LogLevel::Info)).await, all[..2]);
    let newest: Vec<_> = read(&other, id, LogPage::Before { segment: None, limit: 2 }, None).await;
    assert_eq!(newest, [all[2].clone(), all[1].clone()]);
    let before = LogPage::Before { segment: Some(ids[1]), limit: 2 };
    assert_eq!(read(&other, id, before, None).await, all[..1]);
    assert!(read(&other, ExecutionId(i64::MAX), after(begin, 10), None).await.is_empty());
    let size = other.repository.log_size(id).await.unwrap();
    assert_eq!(size, LogSize { segments: 3, lines: 6, bytes: 3 + 3 + 5 });
}

/// The last segment is stored again when it has grown; one of another execution is never touched.
pub async fn the_last_segment_grows_in_its_place(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let (id, other) = (process.run(1, LONG).await.execution_id(), process.run(2, LONG).await.execution_id());
    let first = put(&process, new(id, LogLevel::Info, b"one")).await;
    let grown = NewLogSegment { replaces: Some(first), lines: 3, ..new(id, LogLevel::Error, b"one two") };
    assert_eq!(put(&process, grown.clone()).await, first);
    let found = read(&process, id, after(first, 10), Some(LogLevel::Error)).await;
    assert_eq!(found, [LogSegment { id: first, lines: 3, data: b"one two".to_vec() }]);
    let foreign = NewLogSegment { execution_id: other, ..grown };
    let refused = process.repository.put_log_segment(foreign).await.unwrap_err();
    assert!(matches!(refused, RepositoryError::NotFound { what: Missing::Execution, .. }), "{refused:?}");
}

/// The log of an execution goes with it, and what comes later is refused.
pub async fn a_log_is_purged_with_its_execution(backend: &dyn Backend) {
    let process = Process::start(backend).await;
    let lease = process.run(1, LONG).await;
    let id = lease.execution_id();
    let segment = put(&process, new(id, LogLevel::Info, b"one")).await;
    process.end(&lease, StatusEvent::Complete).await;
    let report = process.repository.purge(PurgeRequest { batch: 10, ..PurgeRequest::default() }).await.unwrap();
    assert_eq!(report.executions, 1);
    assert_eq!(process.repository.log_size(id).await.unwrap(), LogSize::default());
    for replaces in [None, Some(segment)] {
        let late = NewLogSegment { replaces, ..new(id, LogLevel::Info, b"late") };
        let refused = process.repository.put_log_segment(late).await.unwrap_err();
        assert!(matches!(refused, RepositoryError::NotFound { what: Missing::Execution, .. }), "{refused:?}");
    }
}
