//! The log as it is read: filtered, from a position on, or its end alone.

use std::fmt;
use std::str::FromStr;

use super::level::LogLevel;
use super::line::LogLine;
use super::segment::unpack;
use crate::execution::ExecutionId;
use crate::repository::{JobRepository, LogPage, LogSegment, LogSegmentId, RepositoryError};

/// Most lines of the end of a log that can be asked for.
pub const MAX_TAIL: u32 = 10_000;
/// Segments that are read at once: a few megabytes of lines.
const SEGMENTS: u32 = 4;

/// A position in a log: behind a line of a segment. Written `SEGMENT-LINE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LogPosition {
    /// The segment.
    pub segment: i64,
    /// Lines of it that come before.
    pub line: u32,
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.segment, self.line)
    }
}

impl FromStr for LogPosition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = text.split_once('-').filter(|(segment, line)| number(segment) && number(line));
        let parsed =
            parsed.and_then(|(segment, line)| Some(Self { segment: segment.parse().ok()?, line: line.parse().ok()? }));
        parsed.ok_or_else(|| "must be the position of a line, such as 12-345".to_owned())
    }
}

/// The lines that are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Lines of this level and of more severe ones; all without it.
    pub level: Option<LogLevel>,
    /// Lines of this step alone.
    pub step: Option<String>,
}

impl LogFilter {
    fn fits(&self, line: &LogLine) -> bool {
        self.level.is_none_or(|level| line.level <= level)
            && self.step.as_ref().is_none_or(|step| line.step.as_ref() == Some(step))
    }
}

/// A line with the position behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptLine {
    /// The position behind it, from which the next lines are read.
    pub position: LogPosition,
    /// The line.
    pub line: LogLine,
}

/// A reader of the log of an execution, which goes on where it was.
#[derive(Debug, Clone)]
pub struct LogFeed {
    id: ExecutionId,
    filter: LogFilter,
    position: LogPosition,
}

impl LogFeed {
    /// A feed that begins behind a position, or with the first line.
    pub fn new(id: ExecutionId, filter: LogFilter, after: Option<LogPosition>) -> Self {
        Self { id, filter, position: after.unwrap_or_default() }
    }

    /// The position behind what was read.
    pub fn position(&self) -> LogPosition {
        self.position
    }

    /// The next lines, as many as a few segments hold; none when there are no further ones by now.
    ///
    /// # Errors
    /// When the repository fails, or a segment cannot be read.
    pub async fn next(&mut self, repository: &dyn JobRepository) -> Result<Vec<KeptLine>, RepositoryError> {
        loop {
            let page = LogPage::After { segment: LogSegmentId(self.position.segment), limit: SEGMENTS };
            let segments = repository.log_segments(self.id, page, self.filter.level).await?;
            let at = self.position;
            let mut found = Vec::new();
            for segment in &segments {
                self.position = LogPosition { segment: segment.id.0, line: segment.lines };
                found.extend(self.lines(segment)?.into_iter().filter(|line| line.position > at));
            }
            if !found.is_empty() || self.position == at {
                return Ok(found);
            }
        }
    }

    /// The last lines that fit; the feed goes on behind them.
    ///
    /// # Errors
    /// When the repository fails, or a segment cannot be read.
    pub async fn tail(&mut self, repository: &dyn JobRepository, lines: u32) -> Result<Vec<KeptLine>, RepositoryError> {
        let (wanted, at) = (usize::try_from(lines.min(MAX_TAIL)).unwrap_or(usize::MAX), self.position);
        let (mut before, mut blocks) = (None, Vec::new());
        let (mut count, mut end) = (0, at);
        while count < wanted {
            let page = LogPage::Before { segment: before, limit: SEGMENTS };
            let segments = repository.log_segments(self.id, page, self.filter.level).await?;
            let Some(oldest) = segments.last() else { break };
            before = Some(oldest.id);
            for segment in &segments {
                end = end.max(LogPosition { segment: segment.id.0, line: segment.lines });
                let mut block = self.lines(segment)?;
                block.retain(|line| line.position > at);
                count += block.len();
                blocks.push(block);
            }
            if oldest.id.0 <= at.segment {
                break;
            }
        }
        self.position = end;
        let mut found: Vec<_> = blocks.into_iter().rev().flatten().collect();
        found.drain(..found.len().saturating_sub(wanted));
        Ok(found)
    }

    /// The lines of a segment that fit.
    fn lines(&self, segment: &LogSegment) -> Result<Vec<KeptLine>, RepositoryError> {
        let corrupt = |source: Box<dyn std::error::Error + Send + Sync>| RepositoryError::Corrupt {
            what: format!("segment {} of the log of execution {}", segment.id.0, self.id),
            source,
        };
        let text = unpack(&segment.data).map_err(|problem| corrupt(problem.into()))?;
        let mut found = Vec::new();
        for (number, line) in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
            let line: LogLine = serde_json::from_slice(line).map_err(|error| corrupt(error.into()))?;
            if self.filter.fits(&line) {
                let line_number = u32::try_from(number + 1).unwrap_or(u32::MAX);
                found.push(KeptLine { position: LogPosition { segment: segment.id.0, line: line_number }, line });
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        let position = LogPosition { segment: 12, line: 345 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for text in ["", "12", "12-", "-3", "a-1", "1--2", "+1-2", "1-99999999999"] {
            assert!(text.parse::<LogPosition>().is_err(), "{text}");
        }
    }
}
