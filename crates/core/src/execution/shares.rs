//! The shares of a chunk step's time that its phases take, and the one that it waits for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A phase of a chunk step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepPhase {
    /// The reader.
    Read,
    /// The processor.
    Process,
    /// The writer: writing and flushing.
    Write,
    /// The save of a chunk: forcing files to the disk, and the commit.
    Commit,
}

impl StepPhase {
    /// All phases in their order.
    pub const ALL: [Self; 4] = [Self::Read, Self::Process, Self::Write, Self::Commit];

    /// Its name as a noun.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "reading",
            Self::Process => "processing",
            Self::Write => "writing",
            Self::Commit => "committing",
        }
    }
}

/// The shares of the time that the phases of a chunk step are busy. They add up to 1, whether the phases take turns or
/// run side by side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PhaseShares {
    /// Of the reader.
    pub read: f64,
    /// Of the processor; of several the mean.
    pub process: f64,
    /// Of the writer.
    pub write: f64,
    /// Of the saves.
    pub commit: f64,
}

impl PhaseShares {
    /// The shares of times, in the order of [`StepPhase::ALL`]; `None` when nothing was measured.
    pub fn of(times: [Duration; 4]) -> Option<Self> {
        let [read, process, write, commit] = times.map(|time| time.as_secs_f64());
        let all = read + process + write + commit;
        (all > 0.0).then(|| Self { read: read / all, process: process / all, write: write / all, commit: commit / all })
    }

    /// The phase that takes most, and its share.
    pub fn bottleneck(&self) -> (StepPhase, f64) {
        let shares = [self.read, self.process, self.write, self.commit];
        let mut most = (StepPhase::Read, self.read);
        for (phase, share) in StepPhase::ALL.into_iter().zip(shares) {
            if share > most.1 {
                most = (phase, share);
            }
        }
        most
    }

    /// The bottleneck in a sentence: `writing takes 71 % of the time`.
    pub fn sentence(&self) -> String {
        let (phase, share) = self.bottleneck();
        format!("{} takes {:.0} % of the time", phase.as_str(), share * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_that_takes_most_is_named() {
        let seconds = |times: [u64; 4]| PhaseShares::of(times.map(Duration::from_secs));
        assert_eq!(seconds([0; 4]), None);
        let shares = seconds([1, 2, 7, 0]).unwrap();
        assert_eq!((shares.read, shares.process, shares.write, shares.commit), (0.1, 0.2, 0.7, 0.0));
        assert_eq!(shares.bottleneck(), (StepPhase::Write, 0.7));
        assert_eq!(shares.sentence(), "writing takes 70 % of the time");
        assert_eq!(seconds([0, 0, 0, 3]).unwrap().sentence(), "committing takes 100 % of the time");
        assert_eq!(seconds([5, 5, 0, 0]).unwrap().bottleneck().0, StepPhase::Read);
    }
}
