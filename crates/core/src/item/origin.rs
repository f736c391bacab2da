//! `Origin`: the file and the position that an item comes from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The place in its source that an item comes from: a file, and a position such as a line.
///
/// Made by a reader, in [`ItemReader::origin`](super::ItemReader::origin). A copy costs two counters at most; text is
/// made when it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    file: Option<Arc<Path>>,
    position: Option<Position>,
}

/// A position within a source.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Position {
    /// A line of a text, the first is 1.
    Line(u64),
    /// An element of a document by its number from 1, and the line on which it begins.
    Element {
        /// Its line.
        line: u64,
        /// Its number.
        number: u64,
    },
    /// Anything else, as it is shown: `key (4711)`.
    Text(Arc<str>),
    /// Anything else, whose text is made when it is shown, such as the key of a row.
    Shown(Arc<dyn ShownPosition>),
}

/// A position that can be shown.
pub trait ShownPosition: fmt::Display + fmt::Debug + Send + Sync {}

impl<T: fmt::Display + fmt::Debug + Send + Sync> ShownPosition for T {}

impl Position {
    /// A position whose text is made when it is shown.
    pub fn shown(position: impl ShownPosition + 'static) -> Self {
        Self::Shown(Arc::new(position))
    }
}

/// Two positions are equal when they read the same.
impl PartialEq for Position {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Line(one), Self::Line(other)) => one == other,
            (one, other) => one.to_string() == other.to_string(),
        }
    }
}

impl Eq for Position {}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Element { line, number } => write!(f, "line {line}, element {number}"),
            Self::Text(text) => f.write_str(text),
            Self::Shown(shown) => shown.fmt(f),
        }
    }
}

impl Origin {
    /// A position in a source that is no file.
    pub fn at(position: Position) -> Self {
        Self { file: None, position: Some(position) }
    }

    /// A position in a file.
    pub fn in_file(file: &Arc<Path>, position: Position) -> Self {
        Self { file: Some(Arc::clone(file)), position: Some(position) }
    }

    /// The same in this file, unless it names one.
    #[must_use]
    pub fn or_in_file(mut self, file: &Arc<Path>) -> Self {
        self.file.get_or_insert_with(|| Arc::clone(file));
        self
    }

    /// The place behind so many items of a source that counts them.
    pub fn behind_items(items: u64) -> Self {
        Self::at(Position::Text(format!("item {}", items.saturating_add(1)).into()))
    }

    /// The place behind a key, the values of which are given.
    pub fn behind_key(values: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
        Self::at(Position::Text(format!("behind key ({})", values.join(", ")).into()))
    }

    /// The place so many items further.
    #[must_use]
    pub fn and_items(self, items: u64) -> Self {
        let position = match &self.position {
            Some(position) => format!("{position}, and {items} items further"),
            None => format!("{items} items further"),
        };
        Self { position: Some(Position::Text(position.into())), ..self }
    }

    /// The file.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The position in the file, or in a source that is none.
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The line, where the position is one.
    pub fn line(&self) -> Option<u64> {
        match self.position {
            Some(Position::Line(line) | Position::Element { line, .. }) => Some(line),
            _ => None,
        }
    }
}

/// As in messages: `file 'orders.csv', line 17`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, &self.position) {
            (Some(file), Some(position)) => write!(f, "file '{}', {position}", file.display()),
            (Some(file), None) => write!(f, "file '{}'", file.display()),
            (None, Some(position)) => position.fmt(f),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_reads_as_the_place_of_an_error_does() {
        let file: Arc<Path> = Arc::from(Path::new("orders.csv"));
        let origin = Origin::in_file(&file, Position::Line(17));
        assert_eq!((origin.to_string(), origin.line()), ("file 'orders.csv', line 17".to_owned(), Some(17)));
        let element = Origin::at(Position::Element { line: 3, number: 2 });
        assert_eq!(element.to_string(), "line 3, element 2");
        assert_eq!(element.or_in_file(&file).to_string(), "file 'orders.csv', line 3, element 2");
        let text = Origin::at(Position::Text("key (4711)".into()));
        assert_eq!(text.to_string(), "key (4711)");
        assert_eq!(Origin::at(Position::shown(format!("key ({})", 4711))), text);
        assert_eq!(Origin::behind_key([4711, 2]).to_string(), "behind key (4711, 2)");
        let behind = Origin::behind_items(41).or_in_file(&file);
        assert_eq!(behind.to_string(), "file 'orders.csv', item 42");
        assert_eq!(behind.and_items(3).to_string(), "file 'orders.csv', item 42, and 3 items further");
    }
}
