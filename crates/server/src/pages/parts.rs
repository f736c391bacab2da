//! The parts that pages share and that write their own markup: moments, statuses, pictures; and numbers in words.
//!
//! Only these stand in a template with `|safe`: what they write is escaped, or is no text of anybody.

use std::fmt;

use jiff::Timestamp;

use super::text::shown;
use crate::view::StatusView;

/// A moment: UTC in the page, and in the browser's zone where there is a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Moment {
    At(Timestamp),
    /// A text that is no moment is shown as it is.
    Text(String),
}

impl Moment {
    pub(super) fn at(moment: Timestamp) -> Self {
        Self::At(moment)
    }

    /// The moment of a view, which is RFC 3339.
    pub(super) fn of(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Text(text.to_owned()), Self::At)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::At(moment) => format!("{moment:.0}"),
            Self::Text(text) => return f.write_str(&shown(text)),
        };
        let (day, time) = text.trim_end_matches('Z').split_once('T').unwrap_or((&text, ""));
        write!(f, "<time datetime=\"{text}\">{day} {time} <abbr>UTC</abbr></time>")
    }
}

/// A status: a colour, a mark and its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Badge(pub(super) StatusView);

impl StatusView {
    /// The status as the interface writes it.
    pub(crate) const fn word(self) -> &'static str {
        self.status().as_str()
    }

    /// A shape, for those who see no colours.
    pub(crate) const fn mark(self) -> &'static str {
        match self {
            Self::Starting => "○",
            Self::Started => "▶",
            Self::Stopping => "◐",
            Self::Stopped => "■",
            Self::Failed => "✕",
            Self::Completed => "✓",
            Self::Abandoned => "–",
        }
    }

    /// The name of its colours in the style sheet.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Starting => "wait",
            Self::Started => "run",
            Self::Stopping | Self::Stopped => "stop",
            Self::Failed => "fail",
            Self::Completed => "done",
            Self::Abandoned => "gone",
        }
    }
}

impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(status) = self;
        let (class, mark, word) = (status.class(), status.mark(), status.word());
        write!(f, "<span class=\"badge {class}\"><i aria-hidden=\"true\">{mark}</i>{word}</span>")
    }
}

/// Markup that was made here, of escaped texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Markup(pub(super) String);

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Seconds in words.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration that is shown is bounded")]
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 0.9995 => format!("{:.0} ms", seconds * 1000.0),
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {:02} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {:02} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// The time between two moments of views.
pub(super) fn between(start: &str, end: Option<&str>, now: Timestamp) -> Option<String> {
    let start: Timestamp = start.parse().ok()?;
    let end: Timestamp = match end {
        Some(end) => end.parse().ok()?,
        None => now,
    };
    Some(duration(end.duration_since(start).as_secs_f64()))
}

/// A number with its thousands apart.
pub(super) fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = String::from(if number < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate in words.
#[expect(clippy::cast_possible_truncation, reason = "a rate that is shown is bounded")]
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        few if few < 10.0 => format!("{few:.1}/s"),
        many => format!("{}/s", count(many.round() as i64)),
    }
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share.clamp(0.0, 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_in_words() {
        assert_eq!(
            ["", "-"].map(|sign| format!("{sign}1234567").parse().map(count)),
            [Ok("1,234,567".to_owned()), Ok("-1,234,567".to_owned())]
        );
        assert_eq!([0, 999, 1_000].map(count), ["0", "999", "1,000"]);
        let words = [0.0, 0.41, 2.0, 59.4, 65.0, 3_725.0, 90_000.0].map(duration);
        assert_eq!(words, ["0 ms", "410 ms", "2.0 s", "59 s", "1 min 05 s", "1 h 02 min", "1 d 1 h"]);
        assert_eq!([rate(0.25), rate(31_415.9), percent(0.714)], ["0.2/s", "31,416/s", "71 %"]);
    }

    #[test]
    fn a_moment_is_in_utc_and_a_status_has_a_word_and_a_shape() {
        let moment = Moment::of("2026-11-30T06:52:10.123456Z").to_string();
        assert_eq!(moment, "<time datetime=\"2026-11-30T06:52:10Z\">2026-11-30 06:52:10 <abbr>UTC</abbr></time>");
        assert_eq!(Moment::of("<soon>").to_string(), "&lt;soon&gt;");
        let badge = Badge(StatusView::Failed).to_string();
        assert!(badge.contains("fail") && badge.contains("✕") && badge.contains("FAILED"), "{badge}");
        assert_eq!(
            between("2026-11-30T06:00:00Z", Some("2026-11-30T06:01:05Z"), Timestamp::UNIX_EPOCH).as_deref(),
            Some("1 min 05 s")
        );
    }
}
