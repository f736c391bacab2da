//! Reads all parameters of a launch into a serde struct of the author's.

use std::fmt;

use serde::de::value::{MapDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error, IntoDeserializer, Visitor};

use super::{JobParameters, Parameter, ParameterError, ParameterType, ParameterValue, Secret, SecretValue};

impl JobParameters {
    /// All parameters as a struct with [`Deserialize`](serde::Deserialize): a field for each parameter of its name.
    ///
    /// ```
    /// use oxbatch::JobParameters;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Import {
    ///     input: String,
    ///     batch_size: u32,
    ///     from: Option<oxbatch::jiff::civil::Date>,
    ///     #[serde(default)]
    ///     threshold: f64,
    /// }
    ///
    /// let parameters = JobParameters::default().with("input", "orders.csv").with("batch_size", 100);
    /// let import: Import = parameters.read()?;
    /// assert_eq!((import.input.as_str(), import.batch_size), ("orders.csv", 100));
    /// # Ok::<(), oxbatch::job::ParameterError>(())
    /// ```
    ///
    /// An INTEGER fits any number that can hold it, a FLOAT `f32` and `f64`, a STRING texts and enums of unit variants.
    /// A DATETIME is its ISO 8601 text: it fits texts, [`DateTime`](crate::execution::DateTime), and the types of jiff
    /// and others that are read from such a text. A parameter that may be missing is an `Option`, or has a default.
    /// A secret fits a [`Secret`], and whatever its type fits. Parameters without a field are passed over, unless the
    /// struct denies unknown fields.
    ///
    /// # Errors
    /// [`ParameterError`] names the parameter that is missing or does not fit. It does not show a secret one.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ParameterError> {
        let values = self.iter().map(|(name, parameter)| (Name(name), Value { name, parameter }));
        T::deserialize(MapDeserializer::new(values)).map_err(|ReadError(error)| error)
    }
}

/// The error while parameters are read.
#[derive(Debug)]
struct ReadError(ParameterError);

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ReadError {}

impl Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(ParameterError::Unreadable { problem: message.to_string() })
    }

    fn missing_field(field: &'static str) -> Self {
        Self(ParameterError::Missing { name: field.to_owned() })
    }
}

/// The name of a parameter as the name of a field.
struct Name<'a>(&'a str);

impl<'de> IntoDeserializer<'de, ReadError> for Name<'_> {
    type Deserializer = StringDeserializer<ReadError>;

    fn into_deserializer(self) -> Self::Deserializer {
        self.0.to_owned().into_deserializer()
    }
}

/// The value of a parameter as the value of a field.
struct Value<'a> {
    name: &'a str,
    parameter: &'a Parameter,
}

impl Value<'_> {
    /// An error of this parameter's value; serde tells the value in it, so that of a secret is left out.
    fn invalid(&self, ReadError(error): ReadError) -> ReadError {
        let problem = match error {
            _ if self.parameter.secret => "its value does not have the type that is asked for".to_owned(),
            ParameterError::Unreadable { problem } => problem,
            other => other.to_string(),
        };
        ReadError(ParameterError::Invalid { name: self.name.to_owned(), problem })
    }
}

/// The text of a secret as a value of its type.
fn visit_secret<'de, V: Visitor<'de>>(secret: &SecretValue, visitor: V) -> Result<V::Value, ReadError> {
    let Some(text) = secret.opened().map(Secret::expose) else {
        return Err(ReadError::custom("its value is known only while an execution runs"));
    };
    match (secret.kind(), text.parse(), text.parse()) {
        (ParameterType::Integer, Ok(number), _) => visitor.visit_i64(number),
        (ParameterType::Float, _, Ok(number)) => visitor.visit_f64(number),
        _ => visitor.visit_str(text),
    }
}

impl<'de> IntoDeserializer<'de, ReadError> for Value<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let read = match &self.parameter.value {
            ParameterValue::String(text) => visitor.visit_str(text),
            ParameterValue::Integer(number) => visitor.visit_i64(*number),
            ParameterValue::Float(number) => visitor.visit_f64(*number),
            ParameterValue::DateTime(instant) => visitor.visit_string(instant.to_string()),
            ParameterValue::Secret(secret) => visit_secret(secret, visitor),
        };
        read.map_err(|error| self.invalid(error))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let text = match &self.parameter.value {
            ParameterValue::String(text) => Some(text.as_str()),
            ParameterValue::Secret(secret) => secret.opened().map(Secret::expose),
            _ => None,
        };
        let Some(text) = text else { return self.deserialize_any(visitor) };
        let variant: StringDeserializer<ReadError> = text.to_owned().into_deserializer();
        variant.deserialize_enum(name, variants, visitor).map_err(|error| self.invalid(error))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

#[cfg(test)]
mod tests {
    use super::super::DateTime;
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Full,
        Delta,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Newtype(u16);

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Parameters {
        input: String,
        mode: Mode,
        size: Newtype,
        share: Option<f64>,
        #[serde(default)]
        day: Option<jiff::civil::Date>,
        at: Option<DateTime>,
    }

    fn given() -> JobParameters {
        JobParameters::default().with("input", "a.csv").with("mode", "delta").with("size", 7)
    }

    fn refused(parameters: &JobParameters) -> String {
        parameters.read::<Parameters>().unwrap_err().to_string()
    }

    #[test]
    fn a_struct_takes_each_parameter_of_its_fields() {
        let instant = DateTime::parse("2024-01-31T08:00:00Z").unwrap();
        let day = DateTime::parse("2024-01-31").unwrap();
        let all = given().with("share", 1).with("day", day).with("at", instant);
        let read: Parameters = all.read().unwrap();
        let expected = Parameters {
            input: "a.csv".to_owned(),
            mode: Mode::Delta,
            size: Newtype(7),
            share: Some(1.0),
            day: Some(jiff::civil::date(2024, 1, 31)),
            at: Some(instant),
        };
        assert_eq!(read, expected);
        let few: Parameters = given().read().unwrap();
        assert_eq!((few.share, few.day, few.at), (None, None, None));
    }

    #[test]
    fn an_error_names_the_parameter() {
        let missing = JobParameters::default().with("input", "a.csv").with("mode", "full");
        assert_eq!(refused(&missing), "parameter 'size' is missing");
        let size = refused(&given().with("size", 70_000));
        assert_eq!(size, "parameter 'size': invalid value: integer `70000`, expected u16");
        let input = refused(&given().with("input", 3));
        assert_eq!(input, "parameter 'input': invalid type: integer `3`, expected a string");
        let mode = refused(&given().with("mode", "half"));
        assert_eq!(mode, "parameter 'mode': unknown variant `half`, expected `full` or `delta`");
        assert!(refused(&given().with("day", "soon")).starts_with("parameter 'day': "));
        assert!(refused(&given().with("other", 1)).contains("unknown field `other`"));
    }

    #[test]
    fn a_secret_value_is_not_shown() {
        let mut parameters = given();
        parameters.insert("size", Parameter::secret(SecretValue::open(ParameterType::String, "s3cret")));
        assert_eq!(refused(&parameters), "parameter 'size': its value does not have the type that is asked for");
    }
}
