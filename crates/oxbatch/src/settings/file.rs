//! The TOML file of settings: sections with keys, each value a text, a number, a boolean or a list of texts.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{Origin, Setting, SettingError};

/// The file that is read when it exists in the working directory.
pub(crate) const DEFAULT_FILE: &str = "oxbatch.toml";

/// The section of the channels of notices.
const NOTICES: &str = "notices";

/// A value of the file; what it means is for its setting to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// One value, as text.
    Text(String),
    /// An array.
    List(Vec<String>),
}

/// The values of a file, by `section.key`.
#[derive(Debug)]
pub(super) struct ConfigFile {
    name: String,
    values: BTreeMap<String, Value>,
    /// The sections `[notices.NAME]`, which their setting reads by itself.
    notices: toml::Table,
}

impl ConfigFile {
    /// Reads a file that was named: it must be there.
    pub(super) fn read(path: &Path, origin: &Origin) -> Result<Self, SettingError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| unreadable(&name, origin.clone(), source))?;
        Self::parse(name, &text)
    }

    /// Reads the file that nobody named, if it is there.
    pub(super) fn read_default(path: &Path) -> Result<Option<Self>, SettingError> {
        let name = DEFAULT_FILE.to_owned();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(name, &text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => {
                let origin = Origin::Key { key: "the default".to_owned(), file: name.clone() };
                Err(unreadable(&name, origin, source))
            }
        }
    }

    fn parse(name: String, text: &str) -> Result<Self, SettingError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let position = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            SettingError::NotToml { file: name.clone(), problem: format!("{position}{}", error.message()) }
        })?;
        let (mut values, mut notices) = (BTreeMap::new(), toml::Table::new());
        for (section, content) in table {
            match content {
                toml::Value::Table(channels) if section == NOTICES => notices = channels,
                toml::Value::Table(keys) => {
                    for (key, value) in keys {
                        let key = format!("{section}.{key}");
                        let value = read_value(value).map_err(|problem| SettingError::Invalid {
                            origin: Origin::Key { key: key.clone(), file: name.clone() },
                            problem,
                        })?;
                        values.insert(key, value);
                    }
                }
                // No setting stands outside of a section: the check of the keys names it.
                _ => {
                    values.insert(section, Value::Text(String::new()));
                }
            }
        }
        Ok(Self { name, values, notices })
    }

    /// Refuses keys that no setting has.
    pub(super) fn check_keys<'a>(&self, settings: impl Iterator<Item = &'a Setting>) -> Result<(), SettingError> {
        let known: Vec<&str> = settings.map(|setting| setting.key).collect();
        match self.values.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                Err(SettingError::UnknownKey { key: key.clone(), file: self.name.clone(), known: known.join(", ") })
            }
        }
    }

    /// The sections of notices by the names of their channels.
    pub(super) fn notices(&self) -> impl Iterator<Item = (&str, &toml::Value)> {
        self.notices.iter().map(|(name, section)| (name.as_str(), section))
    }

    /// The name of the file.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    pub(super) fn origin(&self, setting: &Setting) -> Origin {
        Origin::Key { key: setting.key.to_owned(), file: self.name.clone() }
    }
}

fn unreadable(file: &str, origin: Origin, source: io::Error) -> SettingError {
    SettingError::Unreadable { file: file.to_owned(), origin, source }
}

fn read_value(value: toml::Value) -> Result<Value, String> {
    match value {
        toml::Value::Array(items) => items.into_iter().map(scalar).collect::<Result<_, _>>().map(Value::List),
        value => scalar(value).map(Value::Text),
    }
}

fn scalar(value: toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(flag) => Ok(flag.to_string()),
        other => Err(format!("a {} is not expected here", other.type_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::server::LISTEN;

    fn refusal(text: &str) -> String {
        let file = ConfigFile::parse("x.toml".to_owned(), text);
        file.and_then(|file| file.check_keys([LISTEN].iter())).unwrap_err().to_string()
    }

    #[test]
    fn unknown_keys_and_wrong_shapes_are_named() {
        assert_eq!(
            refusal("[server]\nlistn = 1"),
            "unknown key 'server.listn' in 'x.toml'; the keys are server.listen"
        );
        assert_eq!(refusal("listen = 'a'"), "unknown key 'listen' in 'x.toml'; the keys are server.listen");
        assert_eq!(refusal("[server]\nlisten = 1.5"), "key 'server.listen' in 'x.toml': a float is not expected here");
        let broken = refusal("[server]\nlisten = ");
        assert!(broken.starts_with("the configuration file 'x.toml' is not valid TOML: line 2: "), "{broken}");
    }
}
