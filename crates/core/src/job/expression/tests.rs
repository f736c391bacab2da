//! Golden tables of date expressions: values around changes of the clocks, ends of years, leap days; and what is
//! refused.

use super::*;

fn value(expression: &str, now: &str) -> String {
    let parsed: DateExpression = expression.parse().unwrap_or_else(|error| panic!("{expression}: {error}"));
    parsed.evaluate(now.parse().unwrap()).map_or_else(|error| error.to_string(), |value| value.to_string())
}

fn check(table: &[(&str, &str, &str)]) {
    for (expression, now, expected) in table {
        assert_eq!(value(expression, now), *expected, "{expression} at {now}");
    }
}

#[test]
fn days_are_those_of_the_zone() {
    check(&[
        ("today", "2026-03-01T23:30:00Z", "2026-03-01"),
        ("today in UTC", "2026-03-01T23:30:00Z", "2026-03-01"),
        ("today in Europe/Berlin", "2026-03-01T23:30:00Z", "2026-03-02"),
        ("yesterday in Europe/Berlin", "2026-03-01T23:30:00Z", "2026-03-01"),
        ("tomorrow in Europe/Berlin", "2026-03-01T23:30:00Z", "2026-03-03"),
        ("today in America/New_York", "2026-03-01T04:59:59Z", "2026-02-28"),
        ("today in America/New_York", "2026-03-01T05:00:00Z", "2026-03-01"),
        ("today in Pacific/Kiritimati", "2026-03-01T10:00:00Z", "2026-03-02"),
        ("today in Etc/GMT+12", "2026-03-01T11:59:59Z", "2026-02-28"),
        // Samoa went over the date line: 30 December 2011 did not exist there.
        ("today in Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29"),
        ("today in Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31"),
    ]);
}

#[test]
fn terms_are_calendar_units_from_left_to_right() {
    check(&[
        ("today - 3 days", "2026-01-02T00:00:00Z", "2025-12-30"),
        ("today-3days", "2026-01-02T00:00:00Z", "2025-12-30"),
        ("today - 1 day", "2024-03-01T12:00:00Z", "2024-02-29"),
        ("today - 1 day", "2023-03-01T12:00:00Z", "2023-02-28"),
        ("today - 1 day", "2100-03-01T12:00:00Z", "2100-02-28"),
        ("today - 2 weeks", "2024-03-07T12:00:00Z", "2024-02-22"),
        ("today - 1 month", "2023-03-31T12:00:00Z", "2023-02-28"),
        ("today - 1 month", "2024-03-31T12:00:00Z", "2024-02-29"),
        ("today - 1 year", "2024-02-29T12:00:00Z", "2023-02-28"),
        ("today - 1 month - 1 day", "2024-03-31T12:00:00Z", "2024-02-28"),
        ("today - 1 day - 1 month", "2024-03-31T12:00:00Z", "2024-02-29"),
        ("yesterday + 1 day", "2025-12-31T23:59:59.999999Z", "2025-12-31"),
        ("tomorrow + 4 years", "2024-02-28T00:00:00Z", "2028-02-29"),
    ]);
}

#[test]
fn periods_begin_and_end_where_the_calendar_has_it() {
    check(&[
        ("first day of week", "2026-01-01T12:00:00Z", "2025-12-29"),
        ("last day of week", "2026-01-01T12:00:00Z", "2026-01-04"),
        ("first day of week", "2026-01-05T12:00:00Z", "2026-01-05"),
        ("first day of previous week", "2026-01-04T12:00:00Z", "2025-12-22"),
        ("first day of month", "2026-01-31T23:59:59Z", "2026-01-01"),
        ("first day of month in Europe/Berlin", "2026-01-31T23:00:00Z", "2026-02-01"),
        ("last day of month", "2024-02-01T00:00:00Z", "2024-02-29"),
        ("last day of month", "2023-02-01T00:00:00Z", "2023-02-28"),
        ("last day of previous month", "2026-01-15T00:00:00Z", "2025-12-31"),
        ("first day of next month", "2025-12-15T00:00:00Z", "2026-01-01"),
        ("first day of quarter", "2026-06-30T00:00:00Z", "2026-04-01"),
        ("last day of quarter", "2026-10-01T00:00:00Z", "2026-12-31"),
        ("first day of previous quarter", "2026-02-28T00:00:00Z", "2025-10-01"),
        ("last day of previous quarter", "2026-04-01T00:00:00Z", "2026-03-31"),
        ("first day of year", "2026-12-31T23:59:59Z", "2026-01-01"),
        ("last day of previous year in Asia/Tokyo", "2025-12-31T15:00:00Z", "2025-12-31"),
        ("first day of month - 3 months + 14 days", "2026-01-31T00:00:00Z", "2025-10-15"),
    ]);
}

#[test]
fn instants_keep_the_time_of_the_clocks_over_days_and_the_duration_over_hours() {
    check(&[
        ("now", "2026-03-29T00:30:00.123456789Z", "2026-03-29T00:30:00.123456Z"),
        ("now - 90 minutes", "2026-01-01T00:00:00Z", "2025-12-31T22:30:00.000000Z"),
        // Berlin, 29 March 2026: from 01:00 UTC on it is 03:00 there, not 02:00.
        ("now - 1 day in Europe/Berlin", "2026-03-29T10:00:00Z", "2026-03-28T11:00:00.000000Z"),
        ("now - 24 hours in Europe/Berlin", "2026-03-29T10:00:00Z", "2026-03-28T10:00:00.000000Z"),
        ("now + 1 day in Europe/Berlin", "2026-03-28T01:30:00Z", "2026-03-29T01:30:00.000000Z"),
        // 25 October 2026: 02:30 comes twice, the first time in summer time.
        ("now + 1 day in Europe/Berlin", "2026-10-24T00:30:00Z", "2026-10-25T00:30:00.000000Z"),
        ("now - 1 day in Europe/Berlin", "2026-10-25T11:00:00Z", "2026-10-24T10:00:00.000000Z"),
    ]);
}

#[test]
fn a_time_of_the_day_that_the_clocks_leave_out_moves_on_and_of_two_it_is_the_first() {
    check(&[
        ("yesterday at 22:00 in Europe/Berlin", "2026-01-01T12:00:00Z", "2025-12-31T21:00:00.000000Z"),
        ("today at 02:30 in Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-29T01:30:00.000000Z"),
        ("today at 02:30 in Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-25T00:30:00.000000Z"),
        ("today at 2:30 in America/New_York", "2026-03-08T12:00:00Z", "2026-03-08T07:30:00.000000Z"),
        ("today at 01:30 in America/New_York", "2026-11-01T12:00:00Z", "2026-11-01T05:30:00.000000Z"),
        // Lord Howe sets its clocks by half an hour: 02:15 on 4 October 2026 becomes 02:45.
        ("today at 02:15 in Australia/Lord_Howe", "2026-10-04T00:00:00Z", "2026-10-03T15:45:00.000000Z"),
        // Cairo sets them at midnight: 24 April 2026 begins at 01:00.
        ("today at 00:00 in Africa/Cairo", "2026-04-24T12:00:00Z", "2026-04-23T22:00:00.000000Z"),
        ("first day of month at 00:00", "2024-02-29T23:59:59Z", "2024-02-01T00:00:00.000000Z"),
    ]);
}

#[test]
fn what_lies_outside_of_the_years_has_no_value() {
    for expression in ["today + 8000 years", "today - 2026 years", "now - 3000 years", "now + 96000 months"] {
        assert_eq!(value(expression, "2026-06-01T00:00:00Z"), ExpressionError::OutOfRange.to_string(), "{expression}");
    }
    assert_eq!(value("today - 2025 years", "2026-06-01T00:00:00Z"), "0001-06-01");
    assert_eq!(value("first day of year + 7973 years", "2026-06-01T00:00:00Z"), "9999-01-01");
}

#[test]
fn what_is_no_expression_is_refused_with_the_part_that_does_not_fit() {
    for (text, expected) in [
        ("", "found the end"),
        (
            "todya",
            "expected now, today, yesterday, tomorrow, or first or last day of a week, month, quarter or year, found 'todya'",
        ),
        ("Today", "found 'Today'"),
        ("2026-01-01", "found '2026'"),
        ("today yesterday", "found 'yesterday'"),
        ("today -", "expected a number of units after + or -, found the end"),
        ("today - days", "found 'days'"),
        ("today - 3", "expected a unit of time: minutes, hours, days, weeks, months or years, found the end"),
        ("today - 3 fortnights", "found 'fortnights'"),
        ("today - 100001 days", "100001 is more than 100000"),
        ("today - 99999999999999999999 days", "is more than 100000"),
        ("today - 2 hours", "a day has no hours: begin with 'now'"),
        ("first day of month + 1 minute", "a day has no minutes"),
        ("now at 06:00", "'now' has a time of its own"),
        ("today at", "expected a time such as 06:30 after 'at', found the end"),
        ("today at noon", "found 'noon'"),
        ("today at 24:00", "24:00 is no time of the day"),
        ("today at 6:5", "6:5 is no time of the day"),
        ("today at 06:00 at 07:00", "found 'at'"),
        ("today at 06:00 - 1 day", "found '-'"),
        ("first month", "expected 'day of' after 'first' or 'last', found 'month'"),
        ("first day in month", "expected 'of' after 'day'"),
        (
            "last day of decade",
            "expected week, month, quarter or year, alone or after previous or next, found 'decade'",
        ),
        ("today in", "expected the name of a time zone after 'in', found the end"),
        ("today in Berlin", "there is no time zone 'Berlin'"),
        ("today in Europe/Berlin now", "there is no time zone 'Europe/Berlin now'"),
        ("today in ../Europe/Berlin", "there is no time zone '../Europe/Berlin'"),
        ("today in +02:00", "there is no time zone '+02:00'"),
        ("today; now", "found ';'"),
        ("hoje às três", "found 'hoje'"),
    ] {
        let error = text.parse::<DateExpression>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert_eq!("x".repeat(201).parse::<DateExpression>(), Err(ExpressionError::TooLong));
}

#[test]
fn an_expression_is_shown_as_it_was_written() {
    let expression: DateExpression = " first day of  month in Europe/Berlin ".parse().unwrap();
    assert_eq!(expression.to_string(), "first day of  month in Europe/Berlin");
}

proptest::proptest! {
    #[test]
    fn no_text_and_no_moment_makes_it_panic(
        text in "(now|today|first day of|last|yesterday| |previous|month|week|[+-]|[0-9]{1,6}|days|hours|years|at|[0-9]{1,2}:[0-9]{2}|in|Europe/Berlin|\\PC){0,9}",
        seconds in -62_135_596_800_i64..253_402_207_200,
    ) {
        if let Ok(expression) = text.parse::<DateExpression>() {
            let now = Timestamp::from_second(seconds).unwrap();
            let _ = expression.evaluate(now);
        }
    }
}
