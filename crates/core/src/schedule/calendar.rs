//! Calendars: a cron text in a named time zone, and the instants at which it fires.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Cron, ScheduleError};
use crate::job::expression::parse::named_zone;

/// The longest range of the clock that a change has ever left out is a day: Samoa went over the date line.
const LONGEST_GAP: SignedDuration = SignedDuration::from_hours(25);
/// Segments of the clock between its changes that are searched for an instant: for centuries.
const MOST_SEGMENTS: usize = 2_000;

/// The instants at which a schedule fires: the times of a cron text in a time zone.
///
/// A time of the day (`30 2 * * *`) comes once a day: where the clocks leave it out, at the first moment behind the
/// gap; where they show it twice, at the first of the two. What comes every so often (`*/15 * * * *`: its hour,
/// minute or second says `*`) goes by the clock: there is none in a gap, and both of what is shown twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    cron: Cron,
    zone: TimeZone,
    zone_name: String,
}

impl Calendar {
    /// The calendar of a cron text and the IANA name of a zone.
    ///
    /// # Errors
    /// A sentence that names the field, or the zone that there is not.
    pub fn new(cron: &str, zone: &str) -> Result<Self, ScheduleError> {
        let found = named_zone(zone).map_err(|_| ScheduleError::Zone { name: zone.to_owned() })?;
        Ok(Self { cron: cron.parse()?, zone: found, zone_name: zone.to_owned() })
    }

    /// The cron text.
    pub fn cron(&self) -> &Cron {
        &self.cron
    }

    /// The zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first fire after an instant; `None` where time ends.
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        if self.cron.is_by_the_clock() { self.next_by_the_clock(instant) } else { self.next_of_day(instant) }
    }

    /// The fires after an instant, in their order.
    pub fn after(&self, instant: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.next_after(instant), |last| self.next_after(*last))
    }

    /// Times of the day are those of a clock without changes, each moved to where the zone's clock shows it.
    fn next_of_day(&self, instant: Timestamp) -> Option<Timestamp> {
        let local = self.zone.to_datetime(instant);
        // A time within a gap that has just ended lies before what the clock shows now.
        let gap_is_near = self
            .zone
            .preceding(instant)
            .next()
            .is_some_and(|change| instant.duration_since(change.timestamp()) <= LONGEST_GAP);
        let mut from = if gap_is_near { local.checked_sub(LONGEST_GAP).ok()? } else { local };
        let mut inclusive = true;
        loop {
            from = self.cron.next(from, inclusive)?;
            inclusive = false;
            let found = self.instant_of(from)?;
            if found > instant {
                return Some(found);
            }
        }
    }

    /// The instant at which the clock shows a time first, or the end of the gap in which it does not.
    pub(super) fn instant_of(&self, local: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            jiff::tz::AmbiguousOffset::Gap { .. } => {
                // Read as if the clock had been changed before, it lies before the change.
                let before = ambiguous.earlier().ok()?;
                self.zone.following(before).next().map(|change| change.timestamp())
            }
            _ => ambiguous.earlier().ok(),
        }
    }

    /// Between two changes the clock goes as one without.
    fn next_by_the_clock(&self, instant: Timestamp) -> Option<Timestamp> {
        let (mut from, mut inclusive) = (instant, false);
        for _ in 0..MOST_SEGMENTS {
            let offset = self.zone.to_offset(from);
            let end = self.zone.following(from).next().map(|change| change.timestamp());
            let found = self.cron.next(offset.to_datetime(from), inclusive)?;
            let found = offset.to_timestamp(found).ok()?;
            match end {
                Some(end) if found >= end => (from, inclusive) = (end, true),
                _ => return Some(found),
            }
        }
        None
    }
}

/// `30 2 * * * in Europe/Berlin`
impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.cron, self.zone_name)
    }
}

#[cfg(test)]
mod tests;
