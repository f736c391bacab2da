//! The times at which an output file is forced to the disk, and their price.

use std::time::Duration;

/// The times at which a file writer forces its file to the disk.
///
/// A file that is not forced is lost with the power of the machine, all of it or any pages of it; a process that dies
/// loses nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileSync {
    /// Before each save of the step's state, which counts on it: the step resumes after a loss of power, and nothing is
    /// lost or doubled.
    ///
    /// Each save waits for the disk: some tenths of a millisecond to some milliseconds. The writer therefore has the
    /// saves of its step joined, one each [`SAVE_INTERVAL`](Self::SAVE_INTERVAL), unless the step has a
    /// [`commit_every`](oxbatch_core::step::ChunkStepBuilder::commit_every) of its own. A chunk that has to be saved by
    /// itself, because it is written to a table of the repository's database too or holds skipped items, waits for the
    /// disk.
    #[default]
    EverySave,
    /// Before each chunk is committed, and each chunk is saved by itself: a death repeats one chunk at most, where what
    /// the step does besides the file must not be repeated more often than that. Each chunk waits for the disk.
    EveryChunk,
    /// Once, before the output is published: nothing waits for the disk until then, and each chunk is saved by itself.
    /// After a loss of power the file may miss what its checkpoint counts on; the next attempt finds that out, fails
    /// with a sentence, and the job is launched with force. A restart reads back what was not forced.
    AtEnd,
}

impl FileSync {
    /// The time for which the saves of a step are joined whose output is forced before each of them.
    pub const SAVE_INTERVAL: Duration = Duration::from_millis(100);

    /// The time for which the saves of its step are to be joined.
    pub(crate) fn save_interval(self) -> Option<Duration> {
        (self == Self::EverySave).then_some(Self::SAVE_INTERVAL)
    }
}
