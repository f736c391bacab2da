//! Patterns of exit codes: `*` for any text, `?` for one character.

/// True if `pattern` fits all of `text`. Every other character than `*` and `?` stands for itself.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    // The last `*`, and the text that it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[from] => (at, from) = (at + 1, from + 1),
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    (at, from) = (star_at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&c| c == '*')
}

/// True if `earlier` fits every text that `later` fits, as far as that can be seen: never wrongly yes.
pub(crate) fn covers(earlier: &str, later: &str) -> bool {
    let (earlier, later): (Vec<char>, Vec<char>) = (earlier.chars().collect(), later.chars().collect());
    covers_from(&earlier, &later)
}

fn covers_from(earlier: &[char], later: &[char]) -> bool {
    match (earlier.first(), later.first()) {
        (None, None) => true,
        (Some('*'), _) => covers_from(&earlier[1..], later) || (!later.is_empty() && covers_from(earlier, &later[1..])),
        (Some('?'), Some(&c)) if c != '*' => covers_from(&earlier[1..], &later[1..]),
        (Some(&a), Some(&b)) if a == b => covers_from(&earlier[1..], &later[1..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_any_text_and_one_character() {
        for (pattern, text, is_fit) in [
            ("*", "", true),
            ("*", "FAILED", true),
            ("COMPLETED*", "COMPLETED", true),
            ("COMPLETED*", "COMPLETED_WITH_SKIPS", true),
            ("COMPLETED", "COMPLETED_WITH_SKIPS", false),
            ("F?ILED", "FAILED", true),
            ("?", "", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*ä?", "bäh", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(fits(pattern, text), is_fit, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_is_covered_by_a_wider_one() {
        for (earlier, later, is_covered) in [
            ("*", "FAILED", true),
            ("*", "*", true),
            ("F*", "FAILED", true),
            ("F*", "F?*", true),
            ("FAILED", "F*", false),
            ("?*", "*", false),
            ("??", "?*", false),
        ] {
            assert_eq!(covers(earlier, later), is_covered, "{earlier} {later}");
        }
    }

    proptest! {
        #[test]
        fn a_covered_pattern_fits_nothing_that_the_wider_one_does_not(
            earlier in "[ab*?]{0,5}", later in "[ab*?]{0,5}", text in "[ab]{0,6}"
        ) {
            if covers(&earlier, &later) && fits(&later, &text) {
                prop_assert!(fits(&earlier, &text));
            }
        }

        #[test]
        fn fits_as_a_plain_interpreter_does(pattern in "[ab*?]{0,6}", text in "[ab]{0,6}") {
            fn plain(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|n| plain(rest, &text[n..])),
                    Some((c, rest)) => text.split_first().is_some_and(|(t, more)| (*c == b'?' || c == t) && plain(rest, more)),
                }
            }
            prop_assert_eq!(fits(&pattern, &text), plain(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
