//! `FieldTypes`: values of records, and what is known of the fields that a type leaves open.

use serde::de::DeserializeOwned;

use super::Record;
use super::row::{FieldError, Row};

/// Stands for the text of a field while it is found out which fields must be more than text; its column follows.
const MARK: &str = "oxbatch text of column ";

/// Makes values of records, and remembers which fields of a flattened struct are numbers.
///
/// A flattened struct, an untagged enum and a map of any values ask for whatever stands there, and get text. Only where
/// that is an error because a number is expected, as for a number within a flattened struct, do they get one.
#[derive(Debug, Default)]
pub(crate) struct FieldTypes {
    /// By column; shorter than the record when the rest is text.
    numbers: Vec<bool>,
}

impl FieldTypes {
    /// A record as a value: by the names of its columns, or by their position without.
    #[inline]
    pub(crate) fn decode<T: DeserializeOwned>(
        &mut self,
        record: Record<'_>,
        names: Option<&[String]>,
    ) -> Result<T, FieldError> {
        let mut decoded = T::deserialize(&mut Row::new(record, names, &self.numbers, false));
        if let Err(error) = &decoded
            && error.field.is_none()
            && self.learn::<T>(record, names)
        {
            decoded = T::deserialize(&mut Row::new(record, names, &self.numbers, false));
        }
        decoded
    }

    /// Finds the fields that are refused as text of any kind; `false` when there is none that was not known.
    #[cold]
    fn learn<T: DeserializeOwned>(&mut self, record: Record<'_>, names: Option<&[String]>) -> bool {
        let mut learnt = false;
        for _ in 0..record.fields().len() {
            let probed = T::deserialize(&mut Row::new(record, names, &self.numbers, true));
            let Some(column) = probed.err().and_then(|error| refused(&error.problem)) else { break };
            if column >= record.fields().len() || self.numbers.get(column) == Some(&true) {
                break;
            }
            self.numbers.resize(self.numbers.len().max(column + 1), false);
            self.numbers[column] = true;
            learnt = true;
        }
        learnt
    }
}

/// The text that stands for a column.
pub(super) fn mark_of(column: usize) -> String {
    format!("{MARK}{column}")
}

/// The column whose mark was refused because it is text.
fn refused(problem: &str) -> Option<usize> {
    let rest = problem.strip_prefix("invalid type: string \"")?.strip_prefix(MARK)?;
    rest.split('"').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::super::{Fields, Nulls};
    use super::*;

    fn names(fields: &[&str]) -> Vec<String> {
        fields.iter().map(|field| (*field).to_owned()).collect()
    }

    /// Decodes a record of these fields.
    fn decode<T: DeserializeOwned>(
        types: &mut FieldTypes,
        fields: &[&str],
        names: Option<&[String]>,
    ) -> Result<T, FieldError> {
        let (text, mut spans) = (fields.concat(), Fields::default());
        let mut start = 0;
        for field in fields {
            spans.push(start..start + field.len());
            start += field.len();
        }
        types.decode(Record::new(&text, &spans, &Nulls::default()), names)
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Address {
        zip: String,
        floor: Option<u32>,
        share: f64,
        #[serde(default)]
        lift: bool,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Person {
        id: u8,
        #[serde(flatten)]
        address: Address,
    }

    #[test]
    fn what_a_type_leaves_open_is_text() {
        let names = names(&["a", "b", "c", "d", "e", "f"]);
        let fields = ["00501", "NaN", "12E400", "123456789012345678901234567890", "0x10", "true"];
        let decoded: BTreeMap<String, serde_json::Value> =
            decode(&mut FieldTypes::default(), &fields, Some(&names)).unwrap();
        assert!(decoded.values().map(|value| value.as_str().unwrap()).eq(fields), "{decoded:?}");
    }

    #[test]
    fn a_flattened_struct_has_text_and_numbers_as_its_fields_ask() {
        let names = names(&["id", "zip", "floor", "share", "lift"]);
        let mut types = FieldTypes::default();
        let person = |zip: &str, floor, share, lift| Person {
            id: 1,
            address: Address { zip: zip.to_owned(), floor, share, lift },
        };
        let mut decode = |fields: [&str; 5]| decode::<Person>(&mut types, &fields, Some(&names));
        assert_eq!(decode(["1", "00501", "5", "5", "true"]).unwrap(), person("00501", Some(5), 5.0, true));
        assert_eq!(decode(["1", "5", "5", "1.5", "false"]).unwrap(), person("5", Some(5), 1.5, false));
        assert_eq!(decode(["1", "", "", "-1", "false"]).unwrap(), person("", None, -1.0, false));
        assert!(decode(["1", "x", "y", "1", "false"]).unwrap_err().problem.starts_with("invalid type: string \"y\""));
        assert!(decode(["1", "x", "1", "12E400", "false"]).is_err());
        assert!(decode(["1", "x", "123456789012345678901234567890", "1", "false"]).is_err());
    }

    #[test]
    fn a_number_that_its_type_cannot_hold_is_an_error_of_its_field() {
        let float = |text: &str| decode::<(String, f64)>(&mut FieldTypes::default(), &["x", text], None);
        for text in ["12E400", "1e-400", "0x10", ""] {
            assert_eq!(float(text).unwrap_err().field, Some(1), "{text}");
        }
        assert_eq!(float("0e5").unwrap().1, 0.0);
        assert_eq!(float("-inf").unwrap().1, f64::NEG_INFINITY);
        let whole = decode::<(u32,)>(&mut FieldTypes::default(), &["0x10"], None).unwrap_err();
        assert_eq!((whole.field, whole.problem.as_str()), (Some(0), "invalid digit found in string"));
    }
}
