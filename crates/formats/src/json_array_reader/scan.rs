//! The end of an element of a JSON array: knows strings, escapes and nesting, leaves all else to the parser.

use memchr::memchr2;

/// An element whose end is being searched for, through as many pieces of text as it takes.
#[derive(Debug, Default)]
pub(super) struct Element {
    depth: usize,
    state: State,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Start,
    /// A number or a word.
    Scalar,
    /// Within an array or an object, outside of strings.
    Nested,
    String,
    /// Behind a backslash.
    Escape,
}

impl Element {
    /// The number of the next bytes that belong to the element, and `true` if it ends with them.
    #[inline]
    pub(super) fn scan(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match (self.state, byte) {
                (State::String, _) => match memchr2(b'"', b'\\', &bytes[at..]) {
                    None => return (bytes.len(), false),
                    Some(found) => {
                        at += found;
                        if bytes[at] == b'\\' {
                            self.state = State::Escape;
                        } else if self.depth == 0 {
                            return (at + 1, true);
                        } else {
                            self.state = State::Nested;
                        }
                    }
                },
                (State::Escape, _) => self.state = State::String,
                (State::Start | State::Nested, b'"') => self.state = State::String,
                (State::Start | State::Nested, b'[' | b'{') => {
                    self.depth += 1;
                    self.state = State::Nested;
                }
                (State::Nested, b']' | b'}') => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return (at + 1, true);
                    }
                }
                (State::Scalar, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t') => return (at, true),
                (State::Start, _) => self.state = State::Scalar,
                (State::Nested | State::Scalar, _) => {}
            }
            at += 1;
        }
        (bytes.len(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_ends_where_its_strings_and_brackets_allow_it_however_the_text_is_cut() {
        for (text, expected) in [
            ("1,2", 1),
            ("-1.5e3]", 6),
            ("null ,", 4),
            (r#""a,]}","b""#, 6),
            (r#""\"",1"#, 4),
            (r#""\\",1"#, 4),
            (r#"{"a}":"]\"}","b":[1,{}]},2"#, 24),
            ("[[],[[]]],1", 9),
        ] {
            for cut in 0..=expected {
                let mut element = Element::default();
                let (mut length, mut at_end) = element.scan(&text.as_bytes()[..cut]);
                if !at_end {
                    let (more, end) = element.scan(&text.as_bytes()[cut..]);
                    (length, at_end) = (length + more, end);
                }
                assert_eq!((length, at_end), (expected, true), "{text:?} cut at {cut}");
            }
        }
    }
}
