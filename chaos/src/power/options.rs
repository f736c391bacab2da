//! The options of a run: which cases, how many losses of power, or a single one that is to be seen again.

use std::time::{SystemTime, UNIX_EPOCH};

use super::cases::Case;
use super::disk::{Lasting, Survival};
use super::switch::Moment;

const USAGE: &str = "\
  (nothing)             before every point of order of each case, in one mode after the other
  --short               before a few of them
  --cuts N              N times, at random moments, in all modes
  --case NAME,NAME      of these cases alone
  --cut N               one moment of one case: before point of order N, wN: before change N, end: after the job
  --mode M              gone, prefix, torn: what survives of the bytes that were not forced
  --names L             at-once, in-order, by-folder: what makes a name durable
  --again N             the power goes again N times on the way to the end
  --seed N              repeats the choices of a run";

/// The options of a run.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) cases: Vec<Case>,
    pub(crate) extent: Extent,
    pub(crate) survival: Option<Survival>,
    pub(crate) lasting: Option<Lasting>,
    pub(crate) again: Option<u64>,
    pub(crate) seed: u64,
}

/// When the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Before each point of order.
    Every,
    /// Before a few.
    Short,
    /// At so many random moments.
    Random(u64),
    /// Once.
    One(Moment),
}

impl Options {
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
        let mut options = Self {
            cases: Case::ALL.to_vec(),
            extent: Extent::Every,
            survival: None,
            lasting: None,
            again: None,
            seed: now,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--short" => options.extent = Extent::Short,
                "--cuts" => options.extent = Extent::Random(number(&value()?)?),
                "--case" => options.cases = cases(&value()?)?,
                "--cut" => options.extent = Extent::One(moment(&value()?)?),
                "--mode" => options.survival = Some(survival(&value()?)?),
                "--names" => options.lasting = Some(lasting(&value()?)?),
                "--again" => options.again = Some(number(&value()?)?),
                "--seed" => options.seed = number(&value()?)?,
                _ => return Err(format!("unknown argument '{argument}'\n{USAGE}")),
            }
        }
        Ok(options)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("'{text}' is no number"))
}

fn cases(text: &str) -> Result<Vec<Case>, String> {
    let named = |name: &str| {
        let known = || Case::ALL.map(|case| case.name).join(", ");
        Case::ALL.into_iter().find(|case| case.name == name).ok_or_else(|| format!("no case '{name}': {}", known()))
    };
    text.split(',').map(named).collect()
}

fn moment(text: &str) -> Result<Moment, String> {
    match text.strip_prefix('w') {
        Some(change) => number(change).map(Moment::Change),
        None if text == "end" => Ok(Moment::End),
        None => number(text).map(Moment::Point),
    }
}

fn survival(text: &str) -> Result<Survival, String> {
    let named = Survival::ALL.into_iter().find(|survival| survival.to_string() == text);
    named.ok_or_else(|| format!("no mode '{text}': gone, prefix, torn"))
}

fn lasting(text: &str) -> Result<Lasting, String> {
    let named = Lasting::ALL.into_iter().find(|lasting| lasting.to_string() == text);
    named.ok_or_else(|| format!("names are durable at-once, in-order or by-folder, not '{text}'"))
}
