//! The bytes of a file: as they are, as they were last forced, and each change between the two.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Survival;
use crate::random::Random;

/// Bytes that a disk writes whole or not at all.
const PAGE: usize = 4096;

/// The bytes of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    now: Arc<Vec<u8>>,
    forced: Arc<Vec<u8>>,
    since: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Written { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Written { at, bytes: new } => {
                let end = at + new.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(new);
            }
            Self::Length(length) => bytes.resize(*length, 0),
        }
    }

    /// The length of a file of `before` bytes after the change.
    fn length(&self, before: usize) -> usize {
        match self {
            Self::Written { at, bytes } => before.max(at + bytes.len()),
            Self::Length(length) => *length,
        }
    }
}

impl Content {
    /// Bytes that are on the disk.
    pub(crate) fn forced(bytes: Vec<u8>) -> Self {
        let bytes = Arc::new(bytes);
        Self { now: bytes.clone(), forced: bytes, since: Vec::new() }
    }

    pub(crate) fn now(&self) -> &[u8] {
        &self.now
    }

    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        self.change(Change::Written { at, bytes: bytes.to_vec() });
    }

    pub(crate) fn set_length(&mut self, length: usize) {
        self.change(Change::Length(length));
    }

    fn change(&mut self, change: Change) {
        change.apply(Arc::make_mut(&mut self.now));
        self.since.push(change);
    }

    /// All that was written is on the disk. The answer is how many changes that took.
    pub(crate) fn force(&mut self) -> usize {
        self.forced = self.now.clone();
        std::mem::take(&mut self.since).len()
    }

    /// Changes that a loss of power could take away.
    pub(crate) fn unforced(&self) -> usize {
        self.since.len()
    }

    pub(crate) fn forced_length(&self) -> usize {
        self.forced.len()
    }

    /// The content as a loss of power leaves it.
    pub(crate) fn survivor(&self, survival: Survival, random: &mut Random) -> Self {
        if self.since.is_empty() {
            return Self { now: self.forced.clone(), ..self.clone() };
        }
        Self::forced(match survival {
            Survival::Gone => self.forced.to_vec(),
            Survival::Prefix => {
                let mut bytes = self.forced.to_vec();
                self.since[..random.index(self.since.len() + 1)].iter().for_each(|change| change.apply(&mut bytes));
                bytes
            }
            Survival::Torn => self.torn(random),
        })
    }

    /// Any length that the file has had since, and of each page any version: a page that never reached the disk before
    /// a newer length is zeros.
    fn torn(&self, random: &mut Random) -> Vec<u8> {
        let lasting = random.index(self.since.len() + 1);
        let lengths = self.since[..lasting].iter();
        let length = lengths.fold(self.forced.len(), |length, change| change.length(length));
        let mut bytes = vec![0; length];
        for (number, page) in bytes.chunks_mut(PAGE).enumerate() {
            let start = number * PAGE;
            let version = self.version(start, random);
            self.fill(page, start, version, lasting);
        }
        bytes
    }

    /// Number of the changes that a page has seen: none, all, or any number between.
    fn version(&self, start: usize, random: &mut Random) -> usize {
        let touching = self.since.iter().enumerate().filter(|(_, change)| match change {
            Change::Written { at, bytes } => *at < start + PAGE && start < at + bytes.len(),
            Change::Length(_) => false,
        });
        let versions: Vec<usize> =
            BTreeSet::from_iter(std::iter::once(0).chain(touching.map(|(index, _)| index + 1))).into_iter().collect();
        match random.below(3) {
            0 => 0,
            1 => versions[versions.len() - 1],
            _ => *random.pick(&versions),
        }
    }

    /// Fills a page of zeros with its bytes after `version` changes; of those that shorten the file the first `lasting`
    /// count.
    fn fill(&self, page: &mut [u8], start: usize, version: usize, lasting: usize) {
        let mut whole = vec![0; PAGE];
        copy(&self.forced, 0, &mut whole, start);
        for (index, change) in self.since.iter().enumerate() {
            match change {
                Change::Written { at, bytes } if index < version => copy(bytes, *at, &mut whole, start),
                Change::Length(length) if index < lasting && *length < start + PAGE => {
                    whole[length.saturating_sub(start)..].fill(0);
                }
                _ => {}
            }
        }
        let length = page.len();
        page.copy_from_slice(&whole[..length]);
    }
}

/// Copies what bytes at a place of the file have in common with a page.
fn copy(bytes: &[u8], at: usize, page: &mut [u8], start: usize) {
    let (from, to) = (at.max(start), (at + bytes.len()).min(start + page.len()));
    if from < to {
        page[from - start..to - start].copy_from_slice(&bytes[from - at..to - at]);
    }
}

#[cfg(test)]
mod tests {
    use super::{Content, PAGE};
    use crate::power::disk::Survival;
    use crate::random::Random;

    fn after(survival: Survival, content: &Content) -> impl Iterator<Item = Vec<u8>> {
        (0..200).map(move |seed| content.survivor(survival, &mut Random::new(seed)).now().to_vec())
    }

    #[test]
    fn what_was_not_forced_is_gone() {
        let mut content = Content::default();
        content.write(0, b"kept");
        content.force();
        content.write(4, b" lost");
        content.set_length(2);
        assert_eq!(content.now(), b"ke");
        assert!(after(Survival::Gone, &content).all(|bytes| bytes == b"kept"));
    }

    #[test]
    fn any_number_of_the_first_changes_survives() {
        let mut content = Content::default();
        content.write(0, b"a");
        content.write(1, b"b");
        content.set_length(1);
        let seen: std::collections::BTreeSet<Vec<u8>> = after(Survival::Prefix, &content).collect();
        assert_eq!(seen, [b"".to_vec(), b"a".to_vec(), b"ab".to_vec()].into());
    }

    #[test]
    fn a_page_may_be_missing_before_a_newer_length() {
        let mut content = Content::default();
        content.write(0, &[1; PAGE]);
        content.force();
        content.write(PAGE, &[2; PAGE]);
        content.write(2 * PAGE, &[3; 10]);
        let hole = |bytes: &Vec<u8>| bytes.len() == 2 * PAGE + 10 && bytes[PAGE..2 * PAGE] == [0; PAGE];
        assert!(after(Survival::Torn, &content).any(|bytes| hole(&bytes) && bytes[2 * PAGE..] == [3; 10]));
        assert!(after(Survival::Torn, &content).all(|bytes| bytes[..PAGE] == [1; PAGE]), "what was forced stays");
    }

    #[test]
    fn bytes_behind_a_cut_do_not_come_back_with_a_later_length() {
        let mut content = Content::default();
        content.write(0, &[1; 100]);
        content.force();
        content.set_length(10);
        content.set_length(100);
        for bytes in after(Survival::Torn, &content) {
            assert!(bytes == [1; 100] || bytes[10..].iter().all(|byte| *byte == 0), "{bytes:?}");
        }
    }
}
