//! The outcome that a batch must have, whatever happens on the way: known from its number alone.

use crate::random::mixed;

/// Numbers of a batch: from 0 up to this.
pub(crate) fn size(batch: u64) -> u64 {
    200 + mixed(&[batch, 1]) % 800
}

/// The fate of a number of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Written,
    Filtered,
    /// The processor refuses it, and it is skipped.
    Skipped,
}

pub(crate) fn fate(batch: u64, number: u64) -> Fate {
    match mixed(&[batch, number]) % 29 {
        0 => Fate::Skipped,
        1..=4 => Fate::Filtered,
        _ => Fate::Written,
    }
}

pub(crate) fn value(batch: u64, number: u64) -> i64 {
    i64::try_from(mixed(&[batch, number, 7]) % 1_000_000).unwrap_or(0)
}

/// All that is counted of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) rows: i64,
    pub(crate) distinct: i64,
    pub(crate) sum: i64,
    pub(crate) skipped: i64,
    /// Rows that the attempts of the first step say they wrote.
    pub(crate) counted: i64,
}

pub(crate) fn outcome(batch: u64) -> Outcome {
    let numbers = |fate_of: Fate| (0..size(batch)).filter(move |number| fate(batch, *number) == fate_of);
    let rows = i64::try_from(numbers(Fate::Written).count()).unwrap_or(i64::MAX);
    Outcome {
        rows,
        distinct: rows,
        sum: numbers(Fate::Written).map(|number| value(batch, number)).sum(),
        skipped: i64::try_from(numbers(Fate::Skipped).count()).unwrap_or(i64::MAX),
        counted: rows,
    }
}

/// The file of a batch.
pub(crate) fn file(batch: u64) -> String {
    let mut text = "number,value\n".to_owned();
    for number in (0..size(batch)).filter(|number| fate(batch, *number) != Fate::Filtered) {
        text.push_str(&format!("{number},{}\n", value(batch, number)));
    }
    text
}
