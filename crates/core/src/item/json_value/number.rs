//! Numbers of JSON as they are written, and what a 64-bit number keeps of them.

use memchr::{memchr_iter, memchr2};

/// Most digits that a double needs to be known by: more than these are not those of a double.
const DOUBLE_DIGITS: usize = 17;
/// A run of digits and a point that is shorter has no more than [`DOUBLE_DIGITS`].
const LONG_RUN: usize = DOUBLE_DIGITS + 1;
/// Every run of [`LONG_RUN`] bytes has two next to each other that are multiples of this.
const STRIDE: usize = 8;
/// A number with no long run in it and a smaller negative exponent is not too small for an `f32`.
const SMALL_EXPONENT: usize = 20;

/// True if there may be a number in a text that a type would change. Cheap: few bytes of an ordinary record are looked
/// at.
#[inline]
pub(super) fn may_be_inexact(text: &str) -> bool {
    let bytes = text.as_bytes();
    (has_long_run(bytes) || has_small_exponent(bytes)) && tokens(text).any(|(_, token)| is_suspicious(token))
}

#[inline]
fn has_long_run(text: &[u8]) -> bool {
    let mut before = false;
    for at in (0..text.len()).step_by(STRIDE) {
        // `/` lies between the point and the digits, and is told apart only where it matters.
        let here = text[at].wrapping_sub(b'.') <= b'9' - b'.';
        if before && here && run_around(text, at) >= LONG_RUN {
            return true;
        }
        before = here;
    }
    false
}

/// The length of the run that a byte is in, as far as it matters.
fn run_around(text: &[u8], at: usize) -> usize {
    let part_of_number = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
    let before = text[..at].iter().rev().take_while(part_of_number).count();
    before + text[at..].iter().take(LONG_RUN).take_while(part_of_number).count()
}

#[inline]
fn has_small_exponent(text: &[u8]) -> bool {
    memchr_iter(b'-', text).any(|at| {
        let follows_exponent = at > 1 && text[at - 1].eq_ignore_ascii_case(&b'e') && is_of_number(text[at - 2]);
        follows_exponent && {
            let digits =
                text[at + 1..].iter().skip_while(|byte| **byte == b'0').take_while(|byte| byte.is_ascii_digit());
            let exponent = digits.take(3).fold(0, |exponent, digit| exponent * 10 + usize::from(digit - b'0'));
            exponent >= SMALL_EXPONENT
        }
    })
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E')
}

/// The numbers of a JSON text and where they begin, those within strings left out.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            match bytes.get(at)? {
                b'"' => at = string_end(bytes, at + 1),
                byte if byte.is_ascii_digit() || *byte == b'-' => {
                    let length = bytes[at..].iter().take_while(|byte| is_of_number(**byte)).count();
                    let token = (at, &text[at..at + length]);
                    at += length;
                    return Some(token);
                }
                _ => at += 1,
            }
        }
    })
}

fn string_end(text: &[u8], mut at: usize) -> usize {
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        if text[at + found] == b'"' {
            return at + found + 1;
        }
        at += found + 2;
    }
    text.len()
}

/// True if any type may change a number.
fn is_suspicious(token: &str) -> bool {
    loses_digits(token) || vanishes(token, true)
}

/// True if a type without an opinion, which takes an integer of 64 bits or a double, keeps less than is written.
pub(super) fn loses_digits(token: &str) -> bool {
    let whole = !token.contains(['.', 'e', 'E']);
    if whole && (token.parse::<i64>().is_ok() || token.parse::<u64>().is_ok()) {
        return false;
    }
    // What is no number at all is the parser's to refuse.
    let Ok(double) = token.parse::<f64>() else { return false };
    let written = Digits::of(token);
    if written == Digits::of(&format!("{double:e}")) {
        return false;
    }
    // A double may be written with more digits than it takes, `0.10000000000000001`: nothing of it is lost.
    let of_double = !whole && written.digits.len() <= DOUBLE_DIGITS && double.is_normal();
    !of_double
}

/// True if a number that is not 0 would be 0 as an `f64`, or an `f32`.
pub(super) fn vanishes(token: &str, single: bool) -> bool {
    let zero = match single {
        true => token.parse::<f32>().is_ok_and(|number| number == 0.0),
        false => token.parse::<f64>().is_ok_and(|number| number == 0.0),
    };
    zero && !Digits::of(token).digits.is_empty()
}

/// A number as `0.digits` times a power of ten, without zeros at either end.
#[derive(Debug, PartialEq, Eq)]
struct Digits {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Digits {
    fn of(token: &str) -> Self {
        let (negative, token) = match token.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, token),
        };
        let (number, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        digits.truncate(digits.len() - digits.iter().rev().take_while(|digit| **digit == b'0').count());
        let length = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        let exponent = match digits.is_empty() {
            true => 0,
            // One that does not fit is far beyond any double, on either side.
            false => exponent.parse::<i64>().unwrap_or(i64::MAX / 2) + length(whole.len()) - length(zeros),
        };
        Self { negative, digits, exponent }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_within_strings_are_none() {
        let text = r#"{"1":"2\"3","\\":-4.5e+6,"a":[7,true,"\\\\8"],"b":9}"#;
        let found: Vec<_> = tokens(text).map(|(at, token)| (&text[at..at + token.len()], token)).collect();
        assert_eq!(found, [("-4.5e+6", "-4.5e+6"), ("7", "7"), ("9", "9")]);
        assert_eq!(tokens("\"\\").count(), 0);
    }

    proptest! {
        /// A check that is too quick to read all of a record must overlook no number.
        #[test]
        fn no_number_is_overlooked(before in "[ a-z]{0,40}", token in "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,30})?([eE][-+]?[0-9]{1,4})?") {
            // One that is too large for a double is the parser's to refuse.
            prop_assume!(token.parse::<f64>().unwrap().is_finite());
            let text = format!("{{\"{before}\":{token}}}");
            prop_assert_eq!(may_be_inexact(&text), is_suspicious(&token));
        }

        /// A double that is written in either usual way is read as it is.
        #[test]
        fn a_double_is_no_fault(bits in any::<u64>()) {
            let double = f64::from_bits(bits);
            prop_assume!(double.is_finite());
            prop_assert!(!loses_digits(&serde_json::to_string(&double).unwrap()));
            if double.is_normal() {
                let text = format!("{double:.16e}");
                prop_assert!(!loses_digits(&text));
            }
        }
    }
}
