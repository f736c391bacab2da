//! Several types of records in one file: the type of a record, known by a tag of its own.

use oxbatch_core::item::ItemError;

/// A type of records: its tag, and what makes items of them.
pub(super) struct RecordType<D> {
    pub(super) tag: String,
    pub(super) decode: D,
}

/// The types of records that a file may hold.
pub(super) struct RecordTypes<D> {
    types: Vec<RecordType<D>>,
    /// The tag is the beginning of the text, not all of it.
    by_prefix: bool,
}

impl<D> RecordTypes<D> {
    pub(super) fn new(by_prefix: bool) -> Self {
        Self { types: Vec::new(), by_prefix }
    }

    #[cfg(feature = "csv")]
    pub(super) fn by_prefix(&mut self) {
        self.by_prefix = true;
    }

    pub(super) fn add(&mut self, tag: String, decode: D) {
        self.types.push(RecordType { tag, decode });
    }

    #[cfg(feature = "fixed-width")]
    pub(super) fn iter(&self) -> impl Iterator<Item = &RecordType<D>> {
        self.types.iter()
    }

    #[cfg(feature = "fixed-width")]
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut RecordType<D>> {
        self.types.iter_mut()
    }

    /// The type of a record, by the text that holds its tag.
    #[inline]
    pub(super) fn of(&mut self, text: &str) -> Option<&mut D> {
        let by_prefix = self.by_prefix;
        let is_it = |tag: &str| if by_prefix { text.starts_with(tag) } else { text == tag };
        self.types.iter_mut().find(|found| is_it(&found.tag)).map(|found| &mut found.decode)
    }

    /// The tags, for a message.
    pub(super) fn tags(&self) -> Vec<String> {
        self.types.iter().map(|known| format!("'{}'", known.tag)).collect()
    }

    /// There must be types, and each must be found.
    pub(super) fn check(&self) -> Result<(), ItemError> {
        if self.types.is_empty() {
            return Err(ItemError::other("no record type is declared"));
        }
        for (index, RecordType { tag, .. }) in self.types.iter().enumerate() {
            let hides = |earlier: &&RecordType<D>| match self.by_prefix {
                true => tag.starts_with(&earlier.tag),
                false => *tag == earlier.tag,
            };
            if let Some(earlier) = self.types[..index].iter().find(hides) {
                let problem = format!("record type '{tag}' is never found: '{}' stands before it", earlier.tag);
                return Err(ItemError::other(problem));
            }
        }
        Ok(())
    }
}
