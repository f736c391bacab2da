//! The placeholders of a statement in the spelling of SQLite.

/// Writes `?1` in the place of each `$1`, but for those in texts, quoted names and comments.
pub(super) fn for_sqlite(statement: &str) -> String {
    let mut out = String::with_capacity(statement.len());
    let mut rest = statement;
    while let Some(at) = rest.find(['$', '\'', '"', '-', '/']) {
        out.push_str(&rest[..at]);
        let from = &rest[at..];
        let length = match from.as_bytes() {
            [b'$', digit, ..] if digit.is_ascii_digit() => {
                out.push('?');
                rest = &from[1..];
                continue;
            }
            [quote @ (b'\'' | b'"'), ..] => from[1..].find(char::from(*quote)).map(|end| end + 2),
            [b'-', b'-', ..] => from.find('\n'),
            [b'/', b'*', ..] => from.find("*/").map(|end| end + 2),
            _ => Some(1),
        };
        let (passed, behind) = from.split_at(length.unwrap_or(from.len()));
        out.push_str(passed);
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::for_sqlite;

    #[test]
    fn placeholders_are_translated_and_nothing_else() {
        for (statement, translated) in [
            ("a = $1 AND b > $12", "a = ?1 AND b > ?12"),
            ("a = '$1' || $2 || 'it''s $3'", "a = '$1' || ?2 || 'it''s $3'"),
            ("\"$1\" = $1 -- not $2\n+ $3", "\"$1\" = ?1 -- not $2\n+ ?3"),
            ("/* $1 */ $1 - $2 / $3", "/* $1 */ ?1 - ?2 / ?3"),
            ("'ü$1' = $1 -- $2", "'ü$1' = ?1 -- $2"),
            ("$$ '", "$$ '"),
        ] {
            assert_eq!(for_sqlite(statement), translated);
        }
    }
}
