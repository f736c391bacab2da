//! Values as JSON text: a number that JSON does not have is an error, and never `null`.

use serde::ser::Error as _;
use serde::{Serialize, Serializer};

use super::guard::{Guard, Guarded};
use super::{BoxError, ItemError};

/// A value to be written as JSON: NaN and the infinite numbers, of which `serde_json` makes `null`, are errors.
///
/// ```
/// use oxbatch::item::FiniteJson;
///
/// assert_eq!(serde_json::to_string(&FiniteJson(&[1.5, 2.0]))?, "[1.5,2.0]");
/// assert!(serde_json::to_string(&FiniteJson(&[f64::NAN])).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug)]
pub struct FiniteJson<'a, T: ?Sized>(pub &'a T);

impl<T: Serialize + ?Sized> Serialize for FiniteJson<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Guarded::new(self.0, Refused).serialize(serializer)
    }
}

/// Appends a value as JSON, for the writers of formats that are JSON or hold it.
///
/// # Errors
/// An error of the item, of kind [`ErrorKind::Validation`](super::ErrorKind::Validation), that names the field: the
/// value has a number that is not finite, or something else that is no JSON.
#[inline]
pub fn write_json<T: Serialize + ?Sized>(value: &T, buffer: &mut Vec<u8>) -> Result<(), ItemError> {
    serde_json::to_writer(buffer, &FiniteJson(value)).map_err(|_| ItemError::validation(json_problem(value)))
}

/// The reason for which a value cannot be written as JSON, with the path to it.
#[cold]
fn json_problem<T: Serialize + ?Sized>(value: &T) -> BoxError {
    let mut nowhere = serde_json::Serializer::new(std::io::sink());
    match serde_path_to_error::serialize(&FiniteJson(value), &mut nowhere) {
        Ok(()) => "the value cannot be written as JSON".into(),
        Err(error) => match error.path().to_string() {
            path if path == "." || path == "?" => error.into_inner().into(),
            path => format!("'{path}': {}", error.inner()).into(),
        },
    }
}

/// A value as JSON that is not read back: for people, or to tell values apart. A number that is not finite is a text.
#[derive(Debug)]
pub struct ShownJson<'a, T: ?Sized>(pub &'a T);

impl<T: Serialize + ?Sized> Serialize for ShownJson<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Guarded::new(self.0, Shown).serialize(serializer)
    }
}

#[derive(Clone, Copy)]
struct Refused;

impl Guard for Refused {
    #[cold]
    fn not_finite<S: Serializer>(self, _: S, value: f64) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(format_args!("{value} is a number that JSON cannot hold")))
    }
}

#[derive(Clone, Copy)]
struct Shown;

impl Guard for Shown {
    #[cold]
    fn not_finite<S: Serializer>(self, serializer: S, value: f64) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::value::RawValue;

    use super::*;

    #[derive(Serialize)]
    enum Shape {
        Unit,
        Newtype(f64),
        Tuple(f32, f64),
        Struct { x: f64 },
    }

    #[derive(Serialize)]
    struct Wrapper(f64);

    #[derive(Serialize)]
    struct Pair(f32, f64);

    #[derive(Serialize)]
    struct Flat {
        #[serde(flatten)]
        rest: BTreeMap<String, f64>,
    }

    #[test]
    fn a_number_that_is_not_finite_is_a_fault_wherever_it_stands() {
        let bad = f64::NAN;
        type Case = (&'static str, fn(f64) -> String);
        let values: [Case; 12] = [
            ("", |number| problem(&number)),
            ("", |number| problem(&(number as f32))),
            ("", |number| problem(&Some(number))),
            ("[1]", |number| problem(&[0.0, number])),
            ("[1]", |number| problem(&(0.0, number))),
            ("a", |number| problem(&BTreeMap::from([("a", number)]))),
            ("", |number| problem(&Wrapper(number))),
            ("[0]", |number| problem(&Pair(number as f32, 0.0))),
            ("", |number| problem(&Shape::Newtype(number))),
            ("", |number| problem(&Shape::Tuple(0.0, number))),
            ("", |number| problem(&Shape::Struct { x: number })),
            ("", |number| problem(&Flat { rest: BTreeMap::from([("b".to_owned(), number)]) })),
        ];
        for (index, (path, value)) in values.iter().enumerate() {
            assert_eq!(value(1.5), "", "value {index}");
            for number in [bad, f64::INFINITY, f64::NEG_INFINITY] {
                let found = value(number);
                assert!(
                    found.ends_with(&format!("{number} is a number that JSON cannot hold")),
                    "value {index}: {found}"
                );
                assert!(path.is_empty() || found.contains(path), "value {index}: {found}");
            }
        }
    }

    fn problem<T: Serialize>(value: &T) -> String {
        let mut buffer = Vec::new();
        match write_json(value, &mut buffer) {
            Ok(()) => {
                assert_eq!(String::from_utf8(buffer).unwrap(), serde_json::to_string(value).unwrap());
                String::new()
            }
            Err(error) => error.cause_text(),
        }
    }

    #[test]
    fn all_else_is_written_as_it_was() {
        let raw = RawValue::from_string("{ \"n\": 123456789012345678901234567890 }".to_owned()).unwrap();
        let value = (
            ('a', "b", [1_u8; 2], i128::MIN, u128::MAX, true, ()),
            (Some(None::<u8>), raw, Shape::Unit, BTreeMap::from([(1, Shape::Struct { x: 1.0 })])),
            serde_json::json!({"a": [1, 2.5, null, {"b": "c"}]}),
        );
        assert_eq!(problem(&value), "");
    }

    #[test]
    fn what_is_shown_to_people_names_the_number() {
        let shown = serde_json::to_value(ShownJson(&[f64::NAN, f64::INFINITY, 1.0])).unwrap();
        assert_eq!(shown, serde_json::json!(["NaN", "inf", 1.0]));
    }
}
