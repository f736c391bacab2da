//! The golden table of calendars around changes of the clock, and what holds for every calendar.

use jiff::civil::Date;
use jiff::{Span, Timestamp, ToSpan};
use proptest::prelude::*;

use super::Calendar;

/// Fires as people read them: day, time, offset, one line each.
fn fires(cron: &str, zone: &str, from: &str, count: usize) -> String {
    let calendar = Calendar::new(cron, zone).unwrap_or_else(|error| panic!("{cron}: {error}"));
    let from = from.parse::<jiff::civil::DateTime>().unwrap().to_zoned(calendar.zone().clone()).unwrap().timestamp();
    let shown = calendar
        .after(from)
        .take(count)
        .map(|fire| fire.to_zoned(calendar.zone().clone()).strftime("%a %d %b %H:%M %:z").to_string());
    shown.collect::<Vec<_>>().join(", ")
}

/// Each row: cron, the moment after which it is read, and the fires that follow.
fn check(zone: &str, table: &[(&str, &str, &[&str])]) {
    for (cron, from, expected) in table {
        assert_eq!(fires(cron, zone, from, expected.len()), expected.join(", "), "{cron} in {zone} after {from}");
    }
}

#[test]
fn berlin_leaves_out_an_hour_in_march_and_shows_one_twice_in_october() {
    check(
        "Europe/Berlin",
        &[
            // 02:00 to 03:00 does not exist on 28 March 2027.
            ("30 1 * * *", "2027-03-27T12:00", &["Sun 28 Mar 01:30 +01:00", "Mon 29 Mar 01:30 +02:00"]),
            ("0 2 * * *", "2027-03-27T12:00", &["Sun 28 Mar 03:00 +02:00", "Mon 29 Mar 02:00 +02:00"]),
            ("30 2 * * *", "2027-03-27T12:00", &["Sun 28 Mar 03:00 +02:00", "Mon 29 Mar 02:30 +02:00"]),
            ("15,45 2 * * *", "2027-03-27T12:00", &["Sun 28 Mar 03:00 +02:00", "Mon 29 Mar 02:15 +02:00"]),
            ("0 3 * * *", "2027-03-27T12:00", &["Sun 28 Mar 03:00 +02:00", "Mon 29 Mar 03:00 +02:00"]),
            ("30 2,3 * * *", "2027-03-27T12:00", &["Sun 28 Mar 03:00 +02:00", "Sun 28 Mar 03:30 +02:00"]),
            ("30 * * * *", "2027-03-28T00:45", &["Sun 28 Mar 01:30 +01:00", "Sun 28 Mar 03:30 +02:00"]),
            ("*/30 2 * * *", "2027-03-27T12:00", &["Mon 29 Mar 02:00 +02:00", "Mon 29 Mar 02:30 +02:00"]),
            // 02:00 to 03:00 comes twice on 31 October 2027.
            ("30 2 * * *", "2027-10-30T12:00", &["Sun 31 Oct 02:30 +02:00", "Mon 01 Nov 02:30 +01:00"]),
            ("0 3 * * *", "2027-10-30T12:00", &["Sun 31 Oct 03:00 +01:00", "Mon 01 Nov 03:00 +01:00"]),
            (
                "30 * * * *",
                "2027-10-31T01:00",
                &[
                    "Sun 31 Oct 01:30 +02:00",
                    "Sun 31 Oct 02:30 +02:00",
                    "Sun 31 Oct 02:30 +01:00",
                    "Sun 31 Oct 03:30 +01:00",
                ],
            ),
            (
                "*/30 2 * * *",
                "2027-10-31T01:00",
                &[
                    "Sun 31 Oct 02:00 +02:00",
                    "Sun 31 Oct 02:30 +02:00",
                    "Sun 31 Oct 02:00 +01:00",
                    "Sun 31 Oct 02:30 +01:00",
                    "Mon 01 Nov 02:00 +01:00",
                ],
            ),
        ],
    );
}

#[test]
fn new_york_leaves_out_an_hour_in_march_and_shows_one_twice_in_november() {
    check(
        "America/New_York",
        &[
            ("30 2 * * *", "2027-03-13T12:00", &["Sun 14 Mar 03:00 -04:00", "Mon 15 Mar 02:30 -04:00"]),
            ("30 2 * * SUN", "2027-03-13T12:00", &["Sun 14 Mar 03:00 -04:00", "Sun 21 Mar 02:30 -04:00"]),
            ("30 1 * * *", "2027-11-06T12:00", &["Sun 07 Nov 01:30 -04:00", "Mon 08 Nov 01:30 -05:00"]),
            (
                "0 * * * *",
                "2027-11-07T00:30",
                &["Sun 07 Nov 01:00 -04:00", "Sun 07 Nov 01:00 -05:00", "Sun 07 Nov 02:00 -05:00"],
            ),
        ],
    );
}

#[test]
fn lord_howe_changes_by_half_an_hour() {
    check(
        "Australia/Lord_Howe",
        &[
            ("15 2 * * *", "2027-10-02T12:00", &["Sun 03 Oct 02:30 +11:00", "Mon 04 Oct 02:15 +11:00"]),
            ("30 2 * * *", "2027-10-02T12:00", &["Sun 03 Oct 02:30 +11:00", "Mon 04 Oct 02:30 +11:00"]),
            ("*/15 * * * *", "2027-10-03T01:40", &["Sun 03 Oct 01:45 +10:30", "Sun 03 Oct 02:30 +11:00"]),
            ("45 1 * * *", "2027-04-03T12:00", &["Sun 04 Apr 01:45 +11:00", "Mon 05 Apr 01:45 +10:30"]),
            (
                "*/15 * * * *",
                "2027-04-04T01:40",
                &[
                    "Sun 04 Apr 01:45 +11:00",
                    "Sun 04 Apr 01:30 +10:30",
                    "Sun 04 Apr 01:45 +10:30",
                    "Sun 04 Apr 02:00 +10:30",
                ],
            ),
        ],
    );
}

#[test]
fn cairo_changes_at_midnight() {
    check(
        "Africa/Cairo",
        &[
            // There is no midnight on 30 April 2027.
            (
                "0 0 * * *",
                "2027-04-28T12:00",
                &["Thu 29 Apr 00:00 +02:00", "Fri 30 Apr 01:00 +03:00", "Sat 01 May 00:00 +03:00"],
            ),
            ("30 0 * * FRI", "2027-04-28T12:00", &["Fri 30 Apr 01:00 +03:00", "Fri 07 May 00:30 +03:00"]),
            ("0 0 30 4 *", "2027-04-28T12:00", &["Fri 30 Apr 01:00 +03:00", "Sun 30 Apr 00:00 +03:00"]),
            // The last hour of 28 October 2027 comes twice.
            (
                "30 23 * * *",
                "2027-10-27T12:00",
                &["Wed 27 Oct 23:30 +03:00", "Thu 28 Oct 23:30 +03:00", "Fri 29 Oct 23:30 +02:00"],
            ),
            ("0 0 * * *", "2027-10-27T12:00", &["Thu 28 Oct 00:00 +03:00", "Fri 29 Oct 00:00 +02:00"]),
        ],
    );
}

#[test]
fn a_day_that_a_zone_went_over_runs_at_the_begin_of_the_next_and_29_february_in_leap_years() {
    // Samoa had no 30 December 2011.
    check(
        "Pacific/Apia",
        &[(
            "30 2 * * *",
            "2011-12-28T12:00",
            &["Thu 29 Dec 02:30 -10:00", "Sat 31 Dec 00:00 +14:00", "Sat 31 Dec 02:30 +14:00"],
        )],
    );
    let of_leap_days = fires("0 2 29 2 *", "UTC", "2095-01-01T00:00", 3);
    assert_eq!(of_leap_days, "Wed 29 Feb 02:00 +00:00, Fri 29 Feb 02:00 +00:00, Wed 29 Feb 02:00 +00:00");
    let calendar = Calendar::new("0 2 29 2 *", "UTC").unwrap();
    let years: Vec<_> = calendar
        .after("2095-01-01T00:00:00Z".parse().unwrap())
        .take(3)
        .map(|fire| fire.to_zoned(jiff::tz::TimeZone::UTC).year())
        .collect();
    assert_eq!(years, [2096, 2104, 2108], "2100 is none");
}

#[test]
fn what_the_next_changes_of_the_clock_do_is_said_in_a_sentence() {
    let said = |cron, zone| {
        let calendar = Calendar::new(cron, zone).unwrap();
        let changes = calendar.clock_changes("2026-12-01T00:00:00Z".parse().unwrap()).take(2);
        changes.map(|change| change.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        said("30 2 * * *", "Europe/Berlin"),
        ["2027-03-28: 02:30 does not exist: runs at 03:00", "2027-10-31: 02:30 comes twice: runs once, at the first"]
    );
    assert_eq!(
        said("*/15 * * * *", "America/New_York"),
        [
            "2027-03-14: the clock goes from 02:00 to 03:00: what lies between does not run",
            "2027-11-07: the clock goes from 02:00 back to 01:00: what lies between runs twice"
        ]
    );
    assert_eq!(
        said("0 6 * * *", "Africa/Cairo")[0],
        "2027-04-30: the clock goes from 00:00 to 01:00, and no fire is near"
    );
    assert!(said("0 6 * * *", "UTC").is_empty());
}

const ZONES: [&str; 6] =
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia", "UTC"];

proptest! {
    #[test]
    fn a_time_of_the_day_comes_once_on_each_day(hour in 0_i8..24, minute in 0_i8..60, zone in 0..6_usize, year in 2009_i16..2040) {
        let calendar = Calendar::new(&format!("{minute} {hour} * * *"), ZONES[zone]).unwrap();
        let begin = Date::new(year, 1, 1).unwrap().to_zoned(calendar.zone().clone()).unwrap();
        let end = begin.checked_add(1.year()).unwrap();
        let before = begin.timestamp().checked_sub(Span::new().seconds(1)).unwrap();
        let fires: Vec<Timestamp> = calendar.after(before).take_while(|fire| *fire < end.timestamp()).collect();
        prop_assert!(fires.is_sorted_by(|one, next| one < next));
        let days = begin.date().until(end.date()).unwrap().get_days();
        // A day that a zone has gone over runs on the next.
        prop_assert_eq!(i64::from(days), fires.len() as i64);
        // From each moment the same fire is found.
        for pair in fires.windows(2) {
            let middle = pair[0].checked_add(pair[1].duration_since(pair[0]) / 2).unwrap();
            prop_assert_eq!(calendar.next_after(middle), Some(pair[1]));
        }
    }

    #[test]
    fn what_goes_by_the_clock_comes_at_every_moment_that_shows_its_time(step in 1_i8..60, zone in 0..6_usize, day in 0_i64..11_000) {
        let calendar = Calendar::new(&format!("*/{step} * * * *"), ZONES[zone]).unwrap();
        let begin = Timestamp::from_second(1_262_304_000 + day * 86_400).unwrap();
        let end = begin.checked_add(Span::new().hours(48)).unwrap();
        let fires: Vec<Timestamp> = calendar.after(begin).take_while(|fire| *fire <= end).collect();
        let minutes = (1..=48 * 60).map(|minute| begin.checked_add(Span::new().minutes(minute)).unwrap());
        let shown: Vec<Timestamp> = minutes
            .filter(|instant| instant.to_zoned(calendar.zone().clone()).minute() % step == 0)
            .collect();
        prop_assert_eq!(fires, shown);
    }
}
