//! The log of an execution: the lines of its author's code, how they are collected, kept in segments and read again.

mod collector;
mod feed;
mod level;
mod line;
mod segment;
mod text;
mod writer;

pub use collector::{DEFAULT_MAX_LOG_BYTES, MAX_PENDING_BYTES};
pub(crate) use collector::{ExecutionLog, LineMark, Taken};
pub use feed::{KeptLine, LogFeed, LogFilter, LogPosition, MAX_TAIL};
pub use level::{LogLevel, UnknownLevel};
pub use line::{LineBuilder, LogLine, MAX_LINE_BYTES, MAX_TEXT_BYTES};
pub use segment::unpack;
pub(crate) use segment::{SEGMENT_BYTES, pack};
pub use text::{changes_display, one_line, plain_text, shown_line};
pub use writer::LogWriter;
pub(crate) use writer::attached;
