//! Typed parameters of a launch.

mod identity;
mod read;
mod secret;
mod stored;
mod value;

use std::collections::BTreeMap;

use super::DateTime;
pub use secret::{SECRET_SHOWN, Secret, SecretValue};
pub(crate) use secret::{Sealed, SecretForm};
pub use value::{Parameter, ParameterType, ParameterValue};

/// The parameters of one launch, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobParameters {
    by_name: BTreeMap<String, Parameter>,
}

/// A parameter that the job asks for and cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// There is none of this name.
    #[error("parameter '{name}' is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// It has another type.
    #[error("parameter '{name}' has type {found}, not {expected}")]
    WrongType {
        /// Its name.
        name: String,
        /// Type asked for.
        expected: ParameterType,
        /// Type that it has.
        found: ParameterType,
    },
    /// It is a secret, which has a getter of its own.
    #[error("parameter '{name}' is a secret: read it by secret()")]
    IsSecret {
        /// Its name.
        name: String,
    },
    /// It is read as a secret, and its job does not declare it as one.
    #[error("parameter '{name}' is not declared secret")]
    NotSecret {
        /// Its name.
        name: String,
    },
    /// It is a secret whose text is not here.
    #[error("the value of the secret parameter '{name}' ({shown}) is known only while an execution runs")]
    NotOpen {
        /// Its name.
        name: String,
        /// The value as it is shown.
        shown: String,
    },
    /// Its value does not fit the field of the struct that [`JobParameters::read`] makes.
    #[error("parameter '{name}': {problem}")]
    Invalid {
        /// Its name.
        name: String,
        /// The mismatch.
        problem: String,
    },
    /// The parameters together do not make the struct that [`JobParameters::read`] is to make.
    #[error("the parameters do not fit: {problem}")]
    Unreadable {
        /// The mismatch.
        problem: String,
    },
}

impl JobParameters {
    /// Adds an identifying parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<ParameterValue>) -> Self {
        self.insert(name, Parameter { value: value.into(), identifying: true, secret: false });
        self
    }

    /// Adds or replaces a parameter.
    pub fn insert(&mut self, name: &str, parameter: Parameter) {
        self.by_name.insert(name.to_owned(), parameter);
    }

    /// The parameter `name`.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.by_name.get(name)
    }

    /// The parameters in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.by_name.iter().map(|(name, parameter)| (name.as_str(), parameter))
    }

    /// The number of parameters.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The text of the STRING parameter `name`.
    ///
    /// # Errors
    /// [`ParameterError`] when it is missing or has another type.
    pub fn string(&self, name: &str) -> Result<&str, ParameterError> {
        match self.value(name)? {
            ParameterValue::String(text) => Ok(text),
            other => Err(wrong_type(name, ParameterType::String, other)),
        }
    }

    /// The text of the STRING parameter `name`; `None` where there is none.
    ///
    /// # Errors
    /// [`ParameterError`] when it has another type.
    pub fn optional_string(&self, name: &str) -> Result<Option<&str>, ParameterError> {
        self.if_given(name, Self::string)
    }

    /// The number of the INTEGER parameter `name`.
    ///
    /// # Errors
    /// [`ParameterError`] when it is missing or has another type.
    pub fn integer(&self, name: &str) -> Result<i64, ParameterError> {
        match self.value(name)? {
            ParameterValue::Integer(number) => Ok(*number),
            other => Err(wrong_type(name, ParameterType::Integer, other)),
        }
    }

    /// The number of the INTEGER parameter `name`; `None` where there is none.
    ///
    /// # Errors
    /// [`ParameterError`] when it has another type.
    pub fn optional_integer(&self, name: &str) -> Result<Option<i64>, ParameterError> {
        self.if_given(name, Self::integer)
    }

    /// The number of the FLOAT parameter `name`.
    ///
    /// # Errors
    /// [`ParameterError`] when it is missing or has another type.
    pub fn float(&self, name: &str) -> Result<f64, ParameterError> {
        match self.value(name)? {
            ParameterValue::Float(number) => Ok(*number),
            other => Err(wrong_type(name, ParameterType::Float, other)),
        }
    }

    /// The number of the FLOAT parameter `name`; `None` where there is none.
    ///
    /// # Errors
    /// [`ParameterError`] when it has another type.
    pub fn optional_float(&self, name: &str) -> Result<Option<f64>, ParameterError> {
        self.if_given(name, Self::float)
    }

    /// The instant of the DATETIME parameter `name`.
    ///
    /// # Errors
    /// [`ParameterError`] when it is missing or has another type.
    pub fn date_time(&self, name: &str) -> Result<DateTime, ParameterError> {
        match self.value(name)? {
            ParameterValue::DateTime(instant) => Ok(*instant),
            other => Err(wrong_type(name, ParameterType::DateTime, other)),
        }
    }

    /// The instant of the DATETIME parameter `name`; `None` where there is none.
    ///
    /// # Errors
    /// [`ParameterError`] when it has another type.
    pub fn optional_date_time(&self, name: &str) -> Result<Option<DateTime>, ParameterError> {
        self.if_given(name, Self::date_time)
    }

    fn if_given<'a, T>(
        &'a self,
        name: &str,
        read: impl FnOnce(&'a Self, &str) -> Result<T, ParameterError>,
    ) -> Result<Option<T>, ParameterError> {
        self.get(name).map(|_| read(self, name)).transpose()
    }

    fn value(&self, name: &str) -> Result<&ParameterValue, ParameterError> {
        let parameter = self.get(name).ok_or_else(|| ParameterError::Missing { name: name.to_owned() })?;
        Ok(&parameter.value)
    }
}

fn wrong_type(name: &str, expected: ParameterType, found: &ParameterValue) -> ParameterError {
    if let ParameterValue::Secret(_) = found {
        return ParameterError::IsSecret { name: name.to_owned() };
    }
    ParameterError::WrongType { name: name.to_owned(), expected, found: found.kind() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn all_types() -> JobParameters {
        JobParameters::default()
            .with("name", "Müller")
            .with("batch_size", 100)
            .with("threshold", 0.95)
            .with("start_date", DateTime::parse("2024-01-01").unwrap())
    }

    #[test]
    fn a_parameter_of_another_type_is_named() {
        let error = all_types().string("batch_size").unwrap_err();
        assert_eq!(error.to_string(), "parameter 'batch_size' has type INTEGER, not STRING");
        assert_eq!(all_types().integer("absent").unwrap_err().to_string(), "parameter 'absent' is missing");
    }

    #[test]
    fn an_optional_parameter_may_be_missing_but_must_have_its_type() {
        let given = all_types();
        assert_eq!((given.optional_string("name"), given.optional_string("none")), (Ok(Some("Müller")), Ok(None)));
        assert_eq!((given.optional_integer("batch_size"), given.optional_float("none")), (Ok(Some(100)), Ok(None)));
        assert_eq!(given.optional_date_time("start_date").unwrap(), DateTime::parse("2024-01-01").ok());
        let error = given.optional_string("batch_size").unwrap_err();
        assert_eq!(error.to_string(), "parameter 'batch_size' has type INTEGER, not STRING");
    }
}
