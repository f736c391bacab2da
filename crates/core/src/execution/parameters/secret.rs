//! Secret parameters: the text that the author's code reads, and the forms in which it is kept.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::{JobParameters, Parameter, ParameterError, ParameterType, ParameterValue};

/// The text that is shown in place of a secret.
pub const SECRET_SHOWN: &str = "***";

/// The text of a secret parameter, as the author's code gets it. It is shown as `***`, by `Debug` too.
///
/// ```
/// use oxbatch::TaskStep;
///
/// let step = TaskStep::builder("Fetch", |context| {
///     let password = context.parameters().secret("password")?;
///     assert_eq!(format!("{password} {password:?}"), "*** ***");
///     log_in(password.expose())
/// });
/// # fn log_in(_: &str) -> Result<(), oxbatch::BoxError> { Ok(()) }
/// # let job = oxbatch::Job::builder("Download").step(step).build()?;
/// # Ok::<(), oxbatch::BuildError>(())
/// ```
///
/// As a field of the struct that [`JobParameters::read`] makes it takes a secret of any type.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
}

impl Secret {
    /// A secret of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SECRET_SHOWN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SECRET_SHOWN)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::new(text))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Secret, E> {
                Ok(Secret::new(number.to_string()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Secret, E> {
                Ok(Secret::new(number.to_string()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Secret, E> {
                Ok(Secret::new(format!("{number:?}")))
            }
        }

        deserializer.deserialize_any(Text)
    }
}

/// The value of a secret parameter: its text while it is in use, and the form in which it is kept. Shown as `***`, a
/// reference with the name to which it refers.
#[derive(Clone, PartialEq)]
pub struct SecretValue {
    kind: ParameterType,
    form: SecretForm,
}

/// The form of a secret value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum SecretForm {
    /// The text, in memory alone: no store is given it.
    Open(Secret),
    /// Encrypted.
    Sealed(Sealed),
    /// The name of a secret, which the node that runs the execution looks up.
    Reference(String),
    /// The text was not kept.
    Absent,
}

/// An encrypted text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Id of the key.
    pub(crate) key: String,
    /// Nonce, encrypted text and tag, in hexadecimal.
    pub(crate) text: String,
}

impl SecretValue {
    pub(crate) const fn new(kind: ParameterType, form: SecretForm) -> Self {
        Self { kind, form }
    }

    /// A text that is in use; what keeps it encrypts it first.
    pub fn open(kind: ParameterType, text: impl Into<String>) -> Self {
        Self::new(kind, SecretForm::Open(Secret::new(text)))
    }

    /// A reference to the secret of a name.
    pub fn reference(kind: ParameterType, name: impl Into<String>) -> Self {
        Self::new(kind, SecretForm::Reference(name.into()))
    }

    /// One of which nothing is known but that it is there.
    pub const fn hidden(kind: ParameterType) -> Self {
        Self::new(kind, SecretForm::Absent)
    }

    /// The declared type of the value.
    pub const fn kind(&self) -> ParameterType {
        self.kind
    }

    /// The text while it is in use.
    pub const fn opened(&self) -> Option<&Secret> {
        if let SecretForm::Open(secret) = &self.form { Some(secret) } else { None }
    }

    /// The name of the secret to which it refers.
    pub fn reference_name(&self) -> Option<&str> {
        if let SecretForm::Reference(name) = &self.form { Some(name) } else { None }
    }

    pub(crate) const fn form(&self) -> &SecretForm {
        &self.form
    }
}

impl fmt::Display for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.form {
            SecretForm::Reference(name) => write!(f, "{SECRET_SHOWN} ({name})"),
            _ => f.write_str(SECRET_SHOWN),
        }
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Parameter {
    /// A secret parameter; it never takes part in the identity.
    pub const fn secret(value: SecretValue) -> Self {
        Self { value: ParameterValue::Secret(value), identifying: false, secret: true }
    }
}

impl JobParameters {
    /// The text of the secret parameter `name`, of whatever type it is declared.
    ///
    /// # Errors
    /// [`ParameterError`] when it is missing or not declared secret, and for a reference outside of an execution.
    pub fn secret(&self, name: &str) -> Result<&Secret, ParameterError> {
        match self.value(name)? {
            ParameterValue::Secret(value) => value
                .opened()
                .ok_or_else(|| ParameterError::NotOpen { name: name.to_owned(), shown: value.to_string() }),
            _ => Err(ParameterError::NotSecret { name: name.to_owned() }),
        }
    }

    /// The text of the secret parameter `name`; `None` where there is none.
    ///
    /// # Errors
    /// [`ParameterError`] when it is not declared secret, and for a reference outside of an execution.
    pub fn optional_secret(&self, name: &str) -> Result<Option<&Secret>, ParameterError> {
        self.if_given(name, Self::secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: SecretValue) -> JobParameters {
        let mut parameters = JobParameters::default();
        parameters.insert("password", Parameter::secret(value));
        parameters
    }

    #[test]
    fn a_secret_is_read_by_its_getter_alone_and_never_shown() {
        let parameters = of(SecretValue::open(ParameterType::String, "hunter2"));
        assert_eq!(parameters.secret("password").unwrap().expose(), "hunter2");
        assert_eq!(
            parameters.string("password").unwrap_err().to_string(),
            "parameter 'password' is a secret: read it by secret()"
        );
        let shown = format!("{parameters:?} {:#?} {}", parameters, parameters.get("password").unwrap().value);
        assert!(!shown.contains("hunter2") && shown.ends_with(" ***"), "{shown}");
        let plain = JobParameters::default().with("password", "x");
        assert_eq!(plain.secret("password").unwrap_err().to_string(), "parameter 'password' is not declared secret");
        assert_eq!(plain.optional_secret("other"), Ok(None));
    }

    #[test]
    fn a_reference_shows_its_name_and_has_no_text_before_it_runs() {
        let parameters = of(SecretValue::reference(ParameterType::String, "db"));
        assert_eq!(parameters.get("password").unwrap().value.to_string(), "*** (db)");
        assert_eq!(
            parameters.secret("password").unwrap_err().to_string(),
            "the value of the secret parameter 'password' (*** (db)) is known only while an execution runs"
        );
    }

    #[test]
    fn a_secret_is_a_field_whatever_its_type() {
        #[derive(serde::Deserialize)]
        struct Login {
            password: Secret,
            pin: Secret,
        }
        let mut parameters = of(SecretValue::open(ParameterType::String, "hunter2"));
        parameters.insert("pin", Parameter::secret(SecretValue::open(ParameterType::Integer, "1234")));
        let login: Login = parameters.read().unwrap();
        assert_eq!((login.password.expose(), login.pin.expose()), ("hunter2", "1234"));
        #[derive(Debug, serde::Deserialize)]
        struct Wrong {
            #[expect(dead_code, reason = "it is never read")]
            password: u32,
        }
        assert_eq!(
            parameters.read::<Wrong>().unwrap_err().to_string(),
            "parameter 'password': its value does not have the type that is asked for"
        );
    }
}
