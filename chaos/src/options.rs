//! The options of a run: its length and its seed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The options of a run.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// No round begins after so long.
    pub(crate) time: Duration,
    /// Time of faults in each round.
    pub(crate) round: Duration,
    /// Repeats the choice of faults, nodes and work, as far as a scheduler allows.
    pub(crate) seed: u64,
}

impl Options {
    /// Reads `--short`, `--minutes N`, `--seed N`.
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
        let mut options = Self { time: Duration::from_secs(600), round: Duration::from_secs(20), seed: now };
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let text = arguments.next().ok_or_else(|| format!("{argument} needs a number"))?;
                text.parse::<u64>().map_err(|_| format!("'{text}' is no number for {argument}"))
            };
            match argument.as_str() {
                // One round, with as many kinds of faults as fit.
                "--short" => (options.time, options.round) = (Duration::ZERO, Duration::from_secs(12)),
                "--minutes" => options.time = Duration::from_secs(number()? * 60),
                "--seed" => options.seed = number()?,
                _ => return Err(format!("unknown argument '{argument}': --short, --minutes N, --seed N")),
            }
        }
        Ok(options)
    }
}
