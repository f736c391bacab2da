//! Durations as people write them: `30s`, `5m`, `1h30m`, `30d`.

use std::time::Duration;

/// Units with their milliseconds.
const UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// Reads a duration: whole numbers, each with a unit.
///
/// # Errors
/// A sentence fragment that says what does not fit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("'{text}' is no duration: write it as 500ms, 30s, 5m, 1h30m, 30d or 4w");
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().map_err(|_| refuse())?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (_, milliseconds) = UNITS.iter().find(|(unit, _)| *unit == &rest[..unit_len]).ok_or_else(refuse)?;
        rest = &rest[unit_len..];
        total = number.checked_mul(*milliseconds).and_then(|part| total.checked_add(part)).ok_or_else(refuse)?;
    }
    if text.is_empty() { Err(refuse()) } else { Ok(Duration::from_millis(total)) }
}

/// A time that something took, for people: `0.01 s`, `12.3 s`, `2 min 05 s`.
pub(crate) fn show_seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.2} s")
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        let whole = time.as_secs();
        match whole / 3600 {
            0 => format!("{} min {:02} s", whole / 60, whole % 60),
            hours => format!("{hours} h {:02} min", whole / 60 % 60),
        }
    }
}

/// A time in whole seconds, for a line that changes all the time: `0 s`, `12 s`, `2 min 05 s`.
pub(crate) fn show_whole_seconds(time: Duration) -> String {
    if time.as_secs() < 60 { format!("{} s", time.as_secs()) } else { show_seconds(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_with_units_are_read_and_nothing_else() {
        for (text, seconds) in [("30s", 30.0), ("500ms", 0.5), ("1h30m", 5400.0), ("30d", 2_592_000.0), ("0s", 0.0)] {
            assert_eq!(parse_duration(text).unwrap().as_secs_f64(), seconds, "{text}");
        }
        for text in ["", "30", "s", "-1s", "1.5s", "1 s", "1y", "99999999999999999999s", "18446744073709551615w", "1sm"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_shown_with_what_matters() {
        let show = |seconds| show_seconds(Duration::from_secs_f64(seconds));
        assert_eq!(
            [show(0.012), show(12.34), show(125.0), show(7384.0)],
            ["0.01 s", "12.3 s", "2 min 05 s", "2 h 03 min"]
        );
        let whole = |seconds| show_whole_seconds(Duration::from_secs_f64(seconds));
        assert_eq!([whole(0.9), whole(59.9), whole(60.0)], ["0 s", "59 s", "1 min 00 s"]);
    }
}
