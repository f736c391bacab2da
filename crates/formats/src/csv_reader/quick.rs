//! The quick way through a record: its end and its fields in one pass, where nothing about it is special.

use memchr::memchr;

use super::dialect::Dialect;
use crate::record_fields::Fields;

/// Bytes that are compared at once.
const WORD: usize = 8;
/// The lowest bit of each byte.
const LOW: u64 = 0x0101_0101_0101_0101;
/// All bits of each byte but the highest.
const REST: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// The highest bit of each byte that equals `byte`.
#[inline(always)]
fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (LOW * u64::from(byte));
    !(((difference & REST) + REST) | difference | REST)
}

impl Dialect {
    /// Returns whether records can be read the quick way.
    pub(super) fn is_quick(&self) -> bool {
        self.delimiter.len() == 1 && self.escape.is_none() && !self.trimmed
    }

    /// Takes the fields of the record that a text begins with. Returns the length of the record without its end; `None`
    /// when the end is not in the text, or when the record must be read the long way: a quote is doubled, or stands
    /// where it should not.
    #[inline]
    pub(super) fn take_record(&self, text: &[u8], fields: &mut Fields) -> Option<usize> {
        fields.clear();
        let delimiter = self.delimiter.first();
        // Without quotes, the end of a line stands for them: it is searched for in any case.
        let quote = self.quote.unwrap_or(b'\n');
        let mut start = 0;
        'fields: loop {
            if self.quote.is_some() && *text.get(start)? == quote {
                let close = start + 1 + memchr(quote, &text[start + 1..])?;
                let behind = *text.get(close + 1)?;
                fields.push_quoted(start + 1..close);
                match behind {
                    b'\n' | b'\r' => return Some(close + 1),
                    _ if behind != delimiter => return None,
                    _ => start = close + 2,
                }
                continue 'fields;
            }
            let mut at = start;
            loop {
                let word = u64::from_le_bytes(*text.get(at..)?.first_chunk::<WORD>()?);
                let mut found = equal(word, delimiter) | equal(word, b'\n') | equal(word, b'\r') | equal(word, quote);
                while found != 0 {
                    let here = at + (found.trailing_zeros() / 8) as usize;
                    found &= found - 1;
                    let byte = text[here];
                    if byte == delimiter {
                        fields.push(start..here);
                        start = here + 1;
                        if self.quote.is_some() && *text.get(start)? == quote {
                            continue 'fields;
                        }
                    } else if matches!(byte, b'\n' | b'\r') {
                        fields.push(start..here);
                        return Some(here);
                    } else {
                        return None;
                    }
                }
                at += WORD;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect::tests::plain;
    use super::super::scan::{End, Scan};
    use super::*;
    use crate::record_fields::{Nulls, Record};

    #[test]
    fn the_quick_way_finds_what_the_long_way_finds() {
        let nulls = Nulls::default();
        let pieces = ["a", ",", "\n", "\"", "bcdefghij", "\r\n"];
        let mut quick = 0;
        for dialect in [plain(), Dialect { quote: None, ..plain() }, Dialect { lenient: true, ..plain() }] {
            for number in 0..pieces.len().pow(5) {
                let text: String = (0..5).map(|at| pieces[number / pieces.len().pow(at) % pieces.len()]).collect();
                let text = format!("b{text}\n behind it");
                let mut fields = Fields::default();
                let Some(length) = dialect.take_record(text.as_bytes(), &mut fields) else { continue };
                quick += 1;
                let end = Scan::new(&dialect).scan(text.as_bytes(), true);
                assert_eq!(end, (length + 1, Some(End::Record)), "{text:?}");
                let mut expected = Fields::default();
                dialect.split(&text[..length], &mut expected).unwrap();
                let all = |fields: &Fields| -> Vec<String> {
                    let record = Record::new(&text, fields, &nulls);
                    (0..fields.len()).map(|index| record.get(index).unwrap().to_owned()).collect()
                };
                assert_eq!(all(&fields), all(&expected), "{text:?}");
            }
        }
        assert!(quick > 5_000, "{quick}");
    }
}
