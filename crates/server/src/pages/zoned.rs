//! Moments in the zone of a schedule.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A moment in a zone, with the difference from UTC; UTC where the zone is not known.
pub(super) fn in_zone(moment: &str, zone: Option<&str>) -> String {
    let Ok(moment) = moment.parse::<Timestamp>() else { return moment.to_owned() };
    let zone = zone.and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
    moment.to_zoned(zone).strftime("%a %Y-%m-%d %H:%M:%S %:z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_the_zone_of_its_schedule() {
        assert_eq!(in_zone("2026-11-30T01:00:00Z", Some("Europe/Berlin")), "Mon 2026-11-30 02:00:00 +01:00");
        assert_eq!(in_zone("2026-11-30T01:00:00Z", None), "Mon 2026-11-30 01:00:00 +00:00");
    }
}
