//! Names of files with `*` and `?`.

/// `true` if a name fits a pattern in which `*` stands for any characters and `?` for one.
pub(crate) fn matches_name(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut of) = (0, 0);
    // Where the last star stands, and the name from which it was tried.
    let mut star = None;
    while at < name.len() {
        if of < pattern.len() && pattern[of] == '*' {
            star = Some((of, at));
            of += 1;
        } else if of < pattern.len() && (pattern[of] == '?' || pattern[of] == name[at]) {
            (at, of) = (at + 1, of + 1);
        } else if let Some((star_of, star_at)) = star {
            star = Some((star_of, star_at + 1));
            (at, of) = (star_at + 1, star_of + 1);
        } else {
            return false;
        }
    }
    pattern[of..].iter().all(|left| *left == '*')
}

#[cfg(test)]
mod tests {
    use super::matches_name;

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        for (pattern, name) in
            [("*.csv", "a.csv"), ("*", ""), ("a*b*c", "aXbYbZc"), ("?.x", "ü.x"), ("**", "x"), ("abc", "abc")]
        {
            assert!(matches_name(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.csv", "a.csv.part"), ("?", ""), ("a*b", "a"), ("abc", "abcd"), ("", "a")] {
            assert!(!matches_name(pattern, name), "{pattern} {name}");
        }
        // In time that does not grow with the number of stars.
        assert!(!matches_name(&"a*".repeat(30), &"a".repeat(29)));
    }
}
