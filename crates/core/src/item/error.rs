//! The error of a reader, processor or writer that cannot handle an item.

use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;

use super::Origin;
use crate::execution::cause_chain;

/// The words before the raw text of a record in the message of an error, which ends with it.
pub const RAW_TEXT: &str = "; raw text: ";

/// Longest raw text kept with an error in bytes.
const MAX_RAW_BYTES: usize = 4 * 1024;

/// Any error of user code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The kind of an error; policies match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input is not of its format.
    Parse,
    /// The item breaks a rule.
    Validation,
    /// The next attempt may succeed.
    Transient,
    /// The target refused the item.
    Constraint,
    /// Anything else.
    Other,
    /// A kind of the author's own.
    Custom(&'static str),
}

/// An error with an item: its kind, its cause and, where known, where it is and how it reads.
///
/// Any `std::error::Error` becomes one of kind [`ErrorKind::Other`] by `?`; a step may [know
/// better](crate::step::ChunkStepBuilder::classify_errors). It becomes a [`BoxError`] by `?` as well, which a task
/// returns.
pub struct ItemError {
    kind: ErrorKind,
    file: Option<String>,
    position: Option<String>,
    /// Of 32 bits, so that an error stays small: a line beyond four billions is in the position alone.
    line: Option<NonZeroU32>,
    raw: Option<String>,
    raw_is_whole: bool,
    fatal: bool,
    source: BoxError,
}

fn short(line: u64) -> Option<NonZeroU32> {
    u32::try_from(line).ok().and_then(NonZeroU32::new)
}

impl ItemError {
    /// An error of a kind, from a message or an error.
    pub fn new(kind: ErrorKind, cause: impl Into<BoxError>) -> Self {
        let (file, position, line, raw) = (None, None, None, None);
        Self { kind, file, position, line, raw, raw_is_whole: false, fatal: false, source: cause.into() }
    }

    /// An error of kind [`ErrorKind::Other`], from a message or an error.
    pub fn other(cause: impl Into<BoxError>) -> Self {
        Self::new(ErrorKind::Other, cause)
    }

    /// An error of kind [`ErrorKind::Parse`], from a message or an error.
    pub fn parse(cause: impl Into<BoxError>) -> Self {
        Self::new(ErrorKind::Parse, cause)
    }

    /// An error of kind [`ErrorKind::Validation`], from a message or an error.
    pub fn validation(cause: impl Into<BoxError>) -> Self {
        Self::new(ErrorKind::Validation, cause)
    }

    /// An error of kind [`ErrorKind::Transient`], from a message or an error.
    pub fn transient(cause: impl Into<BoxError>) -> Self {
        Self::new(ErrorKind::Transient, cause)
    }

    /// Says that the source or the target is broken for good: whatever is asked of it next fails as well. Such an error
    /// is neither repeated nor skipped, whatever the policies of the step: it fails.
    #[must_use]
    pub fn fatal(mut self) -> Self {
        self.fatal = true;
        self
    }

    /// The same of a kind that its cause tells.
    #[must_use]
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// True if it [stays](Self::fatal).
    pub fn is_fatal(&self) -> bool {
        self.fatal
    }

    /// Says where the item stands: `line 17`, `key 4711`.
    #[must_use]
    pub fn at(mut self, position: impl Into<String>) -> Self {
        self.position = Some(position.into());
        self
    }

    /// Says on which line of its file the item begins; the first is 1. The [position](Self::at) for people is another
    /// matter.
    #[must_use]
    pub fn on_line(mut self, line: u64) -> Self {
        self.line = short(line);
        self
    }

    /// Says in which file the item stands. What has been said already stays: the reader within another knows best.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        self.file.get_or_insert_with(|| path.display().to_string());
        self
    }

    /// Adds the item as it stands in the source; long text is cut.
    #[must_use]
    pub fn with_raw(mut self, raw: impl Into<String>) -> Self {
        let mut raw = raw.into();
        let whole = raw.len() <= MAX_RAW_BYTES;
        // What stands for bytes that are no text is not what stands in the source.
        self.raw_is_whole = whole && !raw.contains(char::REPLACEMENT_CHARACTER);
        if !whole {
            raw.truncate(raw.floor_char_boundary(MAX_RAW_BYTES));
            raw.push('…');
        }
        self.raw = Some(raw);
        self
    }

    /// Adds the origin of its item, unless its file is known. A position that it has itself stays behind that of the
    /// item: `line 17, order 4711`.
    #[must_use]
    pub(crate) fn with_origin(mut self, origin: Option<&Origin>) -> Self {
        let Some(origin) = origin.filter(|_| self.file.is_none()) else { return self };
        self.file = origin.file().map(|file| file.display().to_string());
        self.line = origin.line().and_then(short);
        self.position = match (origin.position(), self.position.take()) {
            (Some(line), Some(within)) => Some(format!("{line}, {within}")),
            (Some(line), None) => Some(line.to_string()),
            (None, position) => position,
        };
        self
    }

    /// Says that the raw text is not all that is lost with this error: the beginning of a record, or one record of a
    /// group. A re-run of the skipped items leaves it alone. A reader over another one that makes one item of several
    /// says so of the other's errors.
    #[must_use]
    pub fn raw_is_part(mut self) -> Self {
        self.raw_is_whole = false;
        self
    }

    /// The same error, with another cause around its own.
    #[must_use]
    pub(super) fn caused_by(mut self, around: impl FnOnce(BoxError) -> BoxError) -> Self {
        self.source = around(self.source);
        self
    }

    /// As [`with_raw`](Self::with_raw), for a text that was kept before and is bounded.
    #[must_use]
    pub(crate) fn with_whole_raw(mut self, raw: String) -> Self {
        (self.raw, self.raw_is_whole) = (Some(raw), true);
        self
    }

    /// True if [`raw`](Self::raw) is all of the text, so that it can be read again.
    pub(crate) fn raw_is_whole(&self) -> bool {
        self.raw_is_whole
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The file in which the item stands.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The position of the item, the file included: `file 'orders.csv', line 17`.
    pub fn location(&self) -> Option<String> {
        match (&self.file, &self.position) {
            (Some(file), Some(position)) => Some(format!("file '{file}', {position}")),
            (Some(file), None) => Some(format!("file '{file}'")),
            (None, position) => position.clone(),
        }
    }

    /// The position of the item in its file.
    pub fn position(&self) -> Option<&str> {
        self.position.as_deref()
    }

    /// The line of its file on which the item begins, where it is known.
    pub fn line(&self) -> Option<u64> {
        self.line.map(|line| line.get().into())
    }

    /// The item as it stands in the source.
    pub fn raw(&self) -> Option<&str> {
        self.raw.as_deref()
    }

    /// The whole chain of causes, without place and raw text.
    pub fn cause_text(&self) -> String {
        cause_chain(self.source.as_ref())
    }

    /// The cause.
    pub fn cause(&self) -> &(dyn std::error::Error + 'static) {
        self.source.as_ref()
    }
}

/// Place, the whole chain of causes, raw text.
impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = self.location() {
            write!(f, "{location}: ")?;
        }
        f.write_str(&cause_chain(self.source.as_ref()))?;
        match &self.raw {
            Some(raw) => write!(f, "{RAW_TEXT}{raw:?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

/// For places where any error is expected, such as a task: the kind goes with it.
impl From<ItemError> for BoxError {
    fn from(error: ItemError) -> Self {
        Box::new(Classified(error))
    }
}

/// An error of which the kind is known, as any error.
#[derive(Debug)]
struct Classified(ItemError);

impl fmt::Display for Classified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Classified {}

/// The [`ItemError`] that an error was made of.
pub(crate) fn as_item_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a ItemError> {
    error.downcast_ref::<Classified>().map(|Classified(error)| error)
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for ItemError {
    fn from(error: E) -> Self {
        Self::other(error)
    }
}
