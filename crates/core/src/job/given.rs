//! Parameters as a caller gives them: names with values whose types are yet to be detected or checked.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{DateTime, DateTimeError, ParameterType, ParameterValue};

/// The refusal of a reference for a parameter that is no secret.
const NO_SECRET: &str = "is not declared secret: it takes a value, and no reference";

/// A value as it was given. `Debug` leaves it out: it may be that of a secret.
#[derive(Clone, PartialEq)]
pub enum GivenValue {
    /// A text whose type is open: from a command line. A number is what JSON takes for one, so `00123` is a string;
    /// dates are detected.
    Text(String),
    /// A JSON string: a date or a string.
    JsonString(String),
    /// A JSON number as it was written.
    JsonNumber(String),
    /// The name of a secret, for a parameter that the job declares secret: `{"secret": "NAME"}` in JSON.
    SecretReference(String),
    /// A JSON value that no parameter can have: `true`, `null`, an array or an object, by the name of its kind.
    Unfit(&'static str),
    /// A value that already has its type.
    Typed(ParameterValue),
}

/// The parameters of a launch as they were given, in their order; a name may stand twice and is then refused.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GivenParameters {
    /// Names and values.
    pub entries: Vec<(String, GivenValue)>,
}

impl GivenParameters {
    /// Adds a value that already has its type.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<ParameterValue>) -> Self {
        self.entries.push((name.to_owned(), GivenValue::Typed(value.into())));
        self
    }

    /// Adds a reference to a named secret, for a parameter that the job declares secret.
    #[must_use]
    pub fn with_secret_reference(mut self, name: &str, secret: &str) -> Self {
        self.entries.push((name.to_owned(), GivenValue::SecretReference(secret.to_owned())));
        self
    }

    /// Reads the JSON object of a launch body; numbers keep their text, so that none is silently rounded.
    ///
    /// # Errors
    /// When the text is no JSON object. A single value that is wrong is left to the resolution, which names it.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }
}

impl GivenValue {
    /// Detects the type of the value, as for a job that declares no parameters.
    ///
    /// # Errors
    /// A sentence fragment that says what does not fit.
    pub fn detect(self) -> Result<ParameterValue, String> {
        match self {
            Self::Text(text) if is_number(&text) => {
                number_value(&text).map_err(|error| format!("{error} (as a text it is written NAME:string=…)"))
            }
            Self::Text(text) => string_or_date(text),
            Self::JsonString(text) => string_or_date(text),
            Self::JsonNumber(text) => number_value(&text),
            Self::SecretReference(_) => Err(NO_SECRET.to_owned()),
            Self::Unfit(kind) => Err(format!("must be a string, a number or a date, not {kind}")),
            Self::Typed(ParameterValue::Secret(_)) => Err(NO_SECRET.to_owned()),
            Self::Typed(value) => Ok(value),
        }
    }

    /// Reads the value as the declared type. A whole number serves as a float where it loses nothing.
    ///
    /// # Errors
    /// A sentence fragment that says what does not fit.
    pub fn convert(self, expected: ParameterType) -> Result<ParameterValue, String> {
        if expected == ParameterType::String {
            match self {
                Self::Text(text) | Self::JsonString(text) => return Ok(ParameterValue::String(text)),
                _ => {}
            }
        }
        match (expected, self.detect()?) {
            (ParameterType::Float, ParameterValue::Integer(number)) => exact_float(number)
                .map(ParameterValue::Float)
                .ok_or_else(|| format!("must be of type FLOAT, and {number} cannot be one without losing digits")),
            (expected, value) if value.kind() == expected => Ok(value),
            (ParameterType::DateTime, ParameterValue::String(text)) => Err(format!(
                "must be of type DATETIME, such as 2024-01-31 or 2024-01-31T08:00:00Z, not '{}'",
                shorten(&text)
            )),
            (expected, value) => {
                Err(format!("must be of type {expected}, not the {} {}", value.kind(), shorten(&value.to_string())))
            }
        }
    }
}

impl fmt::Debug for GivenValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(…)",
            Self::JsonString(_) => "JsonString(…)",
            Self::JsonNumber(_) => "JsonNumber(…)",
            Self::SecretReference(name) => return f.debug_tuple("SecretReference").field(name).finish(),
            Self::Unfit(kind) => kind,
            Self::Typed(_) => "Typed(…)",
        })
    }
}

fn string_or_date(text: String) -> Result<ParameterValue, String> {
    match DateTime::parse(&text) {
        Ok(instant) => Ok(ParameterValue::DateTime(instant)),
        Err(DateTimeError::NotADate) => Ok(ParameterValue::String(text)),
        Err(error) => Err(format!("{error}: {}", shorten(&text))),
    }
}

/// True if a text is written as a JSON number; `inf`, `nan` and `.5` are not.
fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && serde_json::from_str::<&RawValue>(text).is_ok()
}

fn number_value(text: &str) -> Result<ParameterValue, String> {
    if text.contains(['.', 'e', 'E']) {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && !(number == 0.0 && has_digits(text)) => {
                Ok(ParameterValue::Float(number))
            }
            _ => Err(format!("is out of range for a 64-bit float: {}", shorten(text))),
        }
    } else {
        text.parse().map(ParameterValue::Integer).map_err(|_| {
            format!("is out of range for a 64-bit integer ({} to {}): {}", i64::MIN, i64::MAX, shorten(text))
        })
    }
}

/// True if a digit other than 0 stands before the exponent: such a number is not 0, however small.
fn has_digits(number: &str) -> bool {
    number.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| matches!(byte, b'1'..=b'9'))
}

fn exact_float(number: i64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "the loss is what is tested for")]
    let float = number as f64;
    #[expect(clippy::cast_possible_truncation, reason = "whole by construction")]
    let back = float as i128;
    (back == i128::from(number)).then_some(float)
}

/// At most 40 characters of a value, for messages.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl<'de> Deserialize<'de> for GivenParameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = GivenParameters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object of parameters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((name, raw)) = map.next_entry::<String, Box<RawValue>>()? {
                    entries.push((name, from_raw(raw.get()).map_err(serde::de::Error::custom)?));
                }
                Ok(GivenParameters { entries })
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

/// A reference to a secret, as it is given in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    secret: String,
}

fn from_raw(raw: &str) -> Result<GivenValue, serde_json::Error> {
    Ok(match raw.as_bytes().first() {
        Some(b'"') => GivenValue::JsonString(serde_json::from_str(raw)?),
        Some(b't' | b'f') => GivenValue::Unfit("a boolean"),
        Some(b'n') => GivenValue::Unfit("null"),
        Some(b'[') => GivenValue::Unfit("an array"),
        Some(b'{') => match serde_json::from_str(raw) {
            Ok(Reference { secret }) => GivenValue::SecretReference(secret),
            Err(_) => GivenValue::Unfit("an object"),
        },
        _ => GivenValue::JsonNumber(raw.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(json: &str) -> GivenValue {
        let parameters = GivenParameters::from_json(format!("{{\"p\":{json}}}").as_bytes()).unwrap();
        parameters.entries.into_iter().next().unwrap().1
    }

    #[test]
    fn json_values_get_the_documented_types() {
        use ParameterType as T;
        for (json, kind, shown) in [
            (r#""2024-01-01""#, T::DateTime, "2024-01-01"),
            (r#""2024-01-01T08:00:00+02:00""#, T::DateTime, "2024-01-01T06:00:00.000000Z"),
            (r#""text""#, T::String, "text"),
            (r#""""#, T::String, ""),
            (r#""100""#, T::String, "100"),
            ("100", T::Integer, "100"),
            ("-9223372036854775808", T::Integer, "-9223372036854775808"),
            ("0.95", T::Float, "0.95"),
            ("1.0", T::Float, "1.0"),
            ("1e3", T::Float, "1000.0"),
        ] {
            let value = given(json).detect().unwrap();
            assert_eq!((value.kind(), value.to_string().as_str()), (kind, shown), "{json}");
        }
    }

    #[test]
    fn json_values_that_no_parameter_can_have_are_refused() {
        for json in ["true", "null", "[1]", "{}", "9223372036854775808", "1e999", "-1e999", "1e-400", "-0.1e-999"] {
            assert!(given(json).detect().is_err(), "{json}");
        }
    }

    #[test]
    fn an_object_with_the_name_of_a_secret_refers_to_it() {
        assert_eq!(given(r#"{"secret":"db"}"#), GivenValue::SecretReference("db".to_owned()));
        for json in [r#"{"secret":1}"#, r#"{"secret":"a","b":1}"#, r#"{"Secret":"a"}"#] {
            assert_eq!(given(json), GivenValue::Unfit("an object"), "{json}");
        }
        let shown = format!("{:?}", GivenParameters::from_json(br#"{"a":"hunter2","b":1234}"#).unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("1234"), "{shown}");
    }

    #[test]
    fn texts_of_a_command_line_are_detected() {
        let detect = |text: &str| GivenValue::Text(text.to_owned()).detect().unwrap();
        assert_eq!(detect("42"), ParameterValue::Integer(42));
        assert_eq!(detect("0.5"), ParameterValue::Float(0.5));
        assert_eq!(detect("data/x.csv"), ParameterValue::String("data/x.csv".into()));
        for text in ["nan", "inf", ".5", "5.", "0x10", "1_000", " 1", "00123", "+5", "-01"] {
            assert_eq!(detect(text), ParameterValue::String(text.into()));
        }
        assert!(matches!(detect("2024-01-31"), ParameterValue::DateTime(_)));
        assert!(matches!(detect("9999-12-31"), ParameterValue::DateTime(_)));
        for text in ["2024-01-31T08:00:00.1234567Z", "0000-01-01", "12345678901234567890"] {
            assert!(GivenValue::Text(text.to_owned()).detect().is_err(), "{text}");
        }
    }

    #[test]
    fn a_declared_type_decides() {
        use ParameterType as T;
        assert_eq!(given(r#""2024-01-01""#).convert(T::String).unwrap(), "2024-01-01".into());
        assert_eq!(given("1").convert(T::Float).unwrap(), 1.0.into());
        assert!(given("9007199254740993").convert(T::Float).is_err());
        assert!(given("1.0").convert(T::Integer).is_err());
        assert!(given(r#""yesterday""#).convert(T::DateTime).is_err());
        assert!(given("1").convert(T::String).is_err());
        assert_eq!(GivenValue::Text("42".into()).convert(T::String).unwrap(), "42".into());
    }
}
