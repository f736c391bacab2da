//! The secret parameters of a launch: kept encrypted or by name, and opened for its execution.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::keys::{KeyRing, OpenError};
use super::mask::Mask;
use crate::access::RandomError;
use crate::execution::{JobParameters, Parameter, ParameterType, ParameterValue, Sealed, SecretForm, SecretValue};
use crate::job::{GivenValue, InvalidParameter, InvalidParameters, Job, ParameterDeclaration};

/// Longest name of a secret.
const MAX_NAME_BYTES: usize = 253;
/// Longest text of a secret in bytes, as of any parameter.
const MAX_SECRET_BYTES: u64 = 32 * 1024;
/// The time within which the secrets of an execution are read.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(30);
/// The time after which the log says that they are waited for.
const SLOW_LOOK_UP: Duration = Duration::from_secs(2);

/// The keys that encrypt secret parameters, and the folder in which named secrets are looked up: each a file, as
/// Kubernetes and Docker mount them. Cheap to clone; the default has neither.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    keys: Option<Arc<KeyRing>>,
    folder: Option<Arc<Path>>,
}

/// Parameters that are open for an execution, and the mask of their secrets.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) parameters: JobParameters,
    pub(crate) mask: Mask,
}

/// The reason why a secret parameter has no value for an execution.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// It is encrypted, and there are no keys.
    #[error(
        "the secret parameter '{parameter}' is encrypted with key {key}, and this node has no key file (engine.secrets_key_file)"
    )]
    NoKeys {
        /// Its name.
        parameter: String,
        /// The key.
        key: String,
    },
    /// It is encrypted with another key.
    #[error("the secret parameter '{parameter}' is encrypted with key {key}; the key file of this node has {known}")]
    UnknownKey {
        /// Its name.
        parameter: String,
        /// The key.
        key: String,
        /// The keys that are there.
        known: String,
    },
    /// Its encrypted text was changed, or is that of another parameter.
    #[error("the secret parameter '{parameter}' cannot be decrypted: its encrypted text was changed")]
    Forged {
        /// Its name.
        parameter: String,
    },
    /// It is a reference, and there is no folder.
    #[error(
        "the secret parameter '{parameter}' refers to the secret '{secret}', and this node has no folder of secrets (engine.secrets_dir)"
    )]
    NoFolder {
        /// Its name.
        parameter: String,
        /// Name of the secret.
        secret: String,
    },
    /// The secret cannot be read.
    #[error(
        "the secret parameter '{parameter}' refers to the secret '{secret}', which cannot be read from the folder of secrets of this node"
    )]
    Unreadable {
        /// Its name.
        parameter: String,
        /// Name of the secret.
        secret: String,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The secret is no value of the parameter.
    #[error("the secret parameter '{parameter}' refers to the secret '{secret}', which {problem}")]
    Unfit {
        /// Its name.
        parameter: String,
        /// Name of the secret.
        secret: String,
        /// A sentence fragment, without the value.
        problem: String,
    },
    /// The folder does not answer.
    #[error(
        "the secrets of the execution could not be read within {LOOK_UP_WITHIN:?}: the folder of secrets does not answer"
    )]
    Slow,
    /// The process ends, or the thread that reads them has panicked.
    #[error("the reading of the secrets of the execution was interrupted")]
    Interrupted,
    /// Its value was not kept.
    #[error("the value of the secret parameter '{parameter}' was not kept: launch the job again with it")]
    Absent {
        /// Its name.
        parameter: String,
    },
}

impl Secrets {
    /// The same with keys.
    #[must_use]
    pub fn with_keys(self, keys: KeyRing) -> Self {
        Self { keys: Some(Arc::new(keys)), ..self }
    }

    /// The same with a folder of named secrets.
    #[must_use]
    pub fn with_folder(self, folder: impl Into<PathBuf>) -> Self {
        let folder: PathBuf = folder.into();
        Self { folder: Some(folder.into()), ..self }
    }

    /// With a key of its own that nobody else has: for tests, and what ends with its process.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn ephemeral() -> Result<Self, RandomError> {
        let keys = KeyRing::parse(KeyRing::new_line()?.as_bytes());
        Ok(Self::default().with_keys(keys.map_err(RandomError::new)?))
    }

    /// Brings the secrets among the parameters of a launch into the form in which they may be stored.
    ///
    /// # Errors
    /// A text that cannot be encrypted, since there is no key.
    pub(crate) fn keep(&self, job_name: &str, parameters: &mut JobParameters) -> Result<(), InvalidParameters> {
        let (mut kept, mut errors) = (Vec::new(), Vec::new());
        for (name, value) in secrets_of(parameters) {
            let Some(text) = value.opened() else { continue };
            let sealed = match &self.keys {
                Some(keys) => keys.seal(&place(job_name, name, value.kind()), text.expose()).map_err(|e| e.to_string()),
                None => Err(format!(
                    "is secret, and nothing here can encrypt it: give a reference to a named secret, {{\"secret\": \"NAME\"}} \
                     (on the command line {name}:secret=NAME), or make a key by 'oxbatch secrets key FILE' and name it by \
                     engine.secrets_key_file"
                )),
            };
            match sealed {
                Ok(sealed) => kept.push((name.to_owned(), value.kind(), sealed)),
                Err(message) => errors.push(InvalidParameter { parameter: Some(name.to_owned()), message }),
            }
        }
        for (name, kind, sealed) in kept {
            parameters.insert(&name, Parameter::secret(SecretValue::new(kind, SecretForm::Sealed(sealed))));
        }
        if errors.is_empty() { Ok(()) } else { Err(InvalidParameters { errors }) }
    }

    /// The text that stands for a secret among the things by which two launches are compared: no guess can be checked
    /// against it.
    pub(crate) fn digest(&self, job_name: &str, name: &str, value: &SecretValue) -> String {
        match (value.form(), &self.keys) {
            (SecretForm::Open(text), Some(keys)) => keys.digest(&place(job_name, name, value.kind()), text.expose()),
            (SecretForm::Reference(secret), _) => format!("secret {secret}"),
            _ => String::new(),
        }
    }

    /// Opens the secrets among the parameters of an execution; reads files.
    ///
    /// # Errors
    /// [`SecretError`] for the first that has no value.
    pub(crate) fn open(&self, job: &Job, parameters: &JobParameters) -> Result<Opened, SecretError> {
        let mut opened = parameters.clone();
        for (name, value) in secrets_of(parameters) {
            let text = match value.form() {
                SecretForm::Open(_) => continue,
                SecretForm::Sealed(sealed) => self.unsealed(job.name(), name, (value.kind(), sealed))?,
                SecretForm::Reference(secret) => self.looked_up(job, (name, value.kind()), secret)?,
                SecretForm::Absent => return Err(SecretError::Absent { parameter: name.to_owned() }),
            };
            opened.insert(name, Parameter::secret(SecretValue::open(value.kind(), text)));
        }
        let mask = Mask::of(&opened);
        Ok(Opened { parameters: opened, mask })
    }

    /// As [`open`](Self::open), on a thread that may wait for a file.
    ///
    /// # Errors
    /// [`SecretError`] for the first that has no value.
    pub(crate) async fn open_aside(&self, job: &Job, parameters: &JobParameters) -> Result<Opened, SecretError> {
        if secrets_of(parameters).next().is_none() {
            return Ok(Opened { parameters: parameters.clone(), mask: Mask::default() });
        }
        let (secrets, job, parameters) = (self.clone(), job.clone(), parameters.clone());
        let name = job.name().to_owned();
        let mut opened = tokio::task::spawn_blocking(move || secrets.open(&job, &parameters));
        let soon = tokio::time::timeout(SLOW_LOOK_UP, &mut opened).await;
        let opened = match soon {
            Ok(opened) => Ok(opened),
            Err(_) => {
                tracing::warn!(job = name, at_most = ?LOOK_UP_WITHIN, "the folder of secrets does not answer: it is waited for");
                tokio::time::timeout(LOOK_UP_WITHIN - SLOW_LOOK_UP, opened).await
            }
        };
        match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(_)) => Err(SecretError::Interrupted),
            Err(_) => Err(SecretError::Slow),
        }
    }

    fn unsealed(
        &self,
        job_name: &str,
        name: &str,
        (kind, sealed): (ParameterType, &Sealed),
    ) -> Result<String, SecretError> {
        let (parameter, key) = (name.to_owned(), sealed.key.clone());
        let Some(keys) = &self.keys else { return Err(SecretError::NoKeys { parameter, key }) };
        keys.open(&place(job_name, name, kind), sealed).map_err(|error| match error {
            OpenError::UnknownKey => {
                SecretError::UnknownKey { parameter, key, known: keys.ids().collect::<Vec<_>>().join(", ") }
            }
            OpenError::Forged => SecretError::Forged { parameter },
        })
    }

    fn looked_up(&self, job: &Job, (name, kind): (&str, ParameterType), secret: &str) -> Result<String, SecretError> {
        let (parameter, name_of_secret) = (name.to_owned(), secret.to_owned());
        let unfit =
            |problem: String| SecretError::Unfit { parameter: name.to_owned(), secret: secret.to_owned(), problem };
        // What is stored may come from anybody who can write into the store.
        check_secret_name(secret).map_err(unfit)?;
        let Some(folder) = &self.folder else {
            return Err(SecretError::NoFolder { parameter, secret: name_of_secret });
        };
        let bytes = read(&folder.join(secret)).map_err(|source| SecretError::Unreadable {
            parameter,
            secret: name_of_secret,
            source,
        })?;
        let text = text_of(bytes).map_err(|problem| unfit(problem.to_owned()))?;
        let value = GivenValue::Text(text.clone()).convert(kind);
        let value = value.map_err(|_| unfit(format!("must be of type {kind}")))?;
        let declared = job.parameters().unwrap_or_default().iter().find(|declared| declared.name() == name);
        match declared.and_then(|declared: &ParameterDeclaration| declared.refuses(&value)) {
            Some(refused) => Err(unfit(refused)),
            None => Ok(text),
        }
    }
}

/// The secrets among parameters.
fn secrets_of(parameters: &JobParameters) -> impl Iterator<Item = (&str, &SecretValue)> {
    parameters.iter().filter_map(|(name, parameter)| match &parameter.value {
        ParameterValue::Secret(value) => Some((name, value)),
        _ => None,
    })
}

/// The one parameter for which a text is encrypted.
fn place(job_name: &str, name: &str, kind: ParameterType) -> Vec<u8> {
    format!("oxbatch secret parameter 1\n{}\n{job_name}\n{name}\n{kind}", job_name.len()).into_bytes()
}

/// The content of a file, of which more than a secret may have is not read.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_SECRET_BYTES + 2).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a file, without the line end behind it that editors add.
fn text_of(bytes: Vec<u8>) -> Result<String, &'static str> {
    let mut text = String::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    match text.len() as u64 {
        0 => Err("is empty"),
        1..=MAX_SECRET_BYTES if text.contains('\0') => Err("has a NUL character"),
        1..=MAX_SECRET_BYTES => Ok(text),
        _ => Err("is longer than 32 KiB"),
    }
}

/// Checks the name of a secret, which is that of a file in a folder and never a path.
///
/// # Errors
/// The sentence fragment that says what a name looks like.
pub fn check_secret_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_name = (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with('.');
    if is_name {
        return Ok(());
    }
    Err("is no name of a secret: 1 to 253 letters, digits, '-', '_' and '.', of which the first is no '.'".to_owned())
}

#[cfg(test)]
mod tests;
