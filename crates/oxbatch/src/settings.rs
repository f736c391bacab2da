//! Settings: a flag is stronger than the environment, the environment than the file, the file than the default.

pub(crate) mod client;
pub(crate) mod database;
pub(crate) mod engine;
mod file;
pub(crate) mod logging;
pub(crate) mod notices;
pub(crate) mod output;
#[cfg(feature = "postgres")]
mod password;
pub(crate) mod secrets;
pub(crate) mod server;
pub(crate) mod traces;

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

pub(crate) use file::DEFAULT_FILE;
use file::{ConfigFile, Value};

/// The setting that names the file of settings. It has no key of its own in that file.
pub(crate) const CONFIG: Setting = Setting {
    flag: "--config",
    variable: "OXBATCH_CONFIG",
    key: "",
    text: "File of settings, in TOML",
    default: "oxbatch.toml, if it exists",
};

/// Every setting that the file may hold.
const ALL: [&[Setting]; 8] = [
    &client::SETTINGS,
    &database::SETTINGS,
    &server::SETTINGS,
    &engine::SETTINGS,
    &logging::SETTINGS,
    &output::SETTINGS,
    &secrets::SETTINGS,
    &traces::SETTINGS,
];

/// The names of one setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// On the command line.
    pub(crate) flag: &'static str,
    /// In the environment.
    pub(crate) variable: &'static str,
    /// In the file: section and name with a dot.
    pub(crate) key: &'static str,
    /// The description, for `--help`.
    pub(crate) text: &'static str,
    /// The default, for `--help`.
    pub(crate) default: &'static str,
}

/// Which of the sources a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(&'static str),
    Variable(&'static str),
    Key { key: String, file: String },
    Setting(Setting),
}

/// An error in a setting.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingError {
    #[error("{origin}: {problem}")]
    Invalid { origin: Origin, problem: String },
    #[error("the configuration file '{file}' named by {origin} cannot be read")]
    Unreadable {
        file: String,
        origin: Origin,
        #[source]
        source: std::io::Error,
    },
    #[error("the configuration file '{file}' is not valid TOML: {problem}")]
    NotToml { file: String, problem: String },
    #[error("unknown key '{key}' in '{file}'; the keys are {known}")]
    UnknownKey { key: String, file: String, known: String },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Variable(variable) => write!(f, "environment variable {variable}"),
            Self::Setting(setting) => write!(f, "setting {} (flag {})", setting.key, setting.flag),
            Self::Key { key, file } => write!(f, "key '{key}' in '{file}'"),
        }
    }
}

impl Setting {
    /// The line under `--help`.
    pub(crate) fn help(&self) -> String {
        format!("{} [env: {}] [default: {}]", self.text, self.variable, self.default)
    }
}

/// The environment and the file.
pub(crate) struct Sources {
    environment: fn(&str) -> Option<OsString>,
    file: Option<ConfigFile>,
}

impl Sources {
    /// Reads the file that the flag or the environment names, or the one in the working directory if there is one.
    pub(crate) fn load(flag: Option<&str>) -> Result<Self, SettingError> {
        Self::load_from(flag, |name| std::env::var_os(name), Path::new("."))
    }

    fn load_from(
        flag: Option<&str>,
        environment: fn(&str) -> Option<OsString>,
        folder: &Path,
    ) -> Result<Self, SettingError> {
        let without_file = Self { environment, file: None };
        let named = without_file.text(&CONFIG, flag)?;
        let file = match named {
            Some((path, origin)) => Some(ConfigFile::read(Path::new(&path), &origin)?),
            None => ConfigFile::read_default(&folder.join(DEFAULT_FILE))?,
        };
        if let Some(file) = &file {
            file.check_keys(ALL.iter().copied().flatten())?;
        }
        Ok(Self { environment, file })
    }

    /// The strongest text of a setting and where it came from. A variable that is set to nothing is not set.
    fn text(&self, setting: &Setting, flag: Option<&str>) -> Result<Option<(String, Origin)>, SettingError> {
        if let Some(text) = flag {
            return Ok(Some((text.to_owned(), Origin::Flag(setting.flag))));
        }
        if let Some(value) = (self.environment)(setting.variable).filter(|value| !value.is_empty()) {
            let origin = Origin::Variable(setting.variable);
            return match value.into_string() {
                Ok(text) => Ok(Some((text, origin))),
                Err(_) => Err(SettingError::Invalid { origin, problem: "the value is not UTF-8".to_owned() }),
            };
        }
        let Some((file, value)) = self.in_file(setting) else { return Ok(None) };
        match value {
            Value::Text(text) => Ok(Some((text.clone(), file.origin(setting)))),
            Value::List(_) => Err(SettingError::Invalid {
                origin: file.origin(setting),
                problem: "one value is expected, not a list".to_owned(),
            }),
        }
    }

    /// A variable of the environment that is not one of the service's own settings.
    fn variable(&self, name: &str) -> Option<OsString> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    fn in_file(&self, setting: &Setting) -> Option<(&ConfigFile, &Value)> {
        let file = self.file.as_ref()?;
        Some((file, file.get(setting.key)?))
    }

    /// The strongest value of a setting.
    ///
    /// # Errors
    /// When it does not fit, with the name of the flag, variable or key.
    pub(crate) fn read<T>(
        &self,
        setting: &Setting,
        flag: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, SettingError> {
        let Some((text, origin)) = self.text(setting, flag)? else { return Ok(None) };
        parse(&text).map(Some).map_err(|problem| SettingError::Invalid { origin, problem })
    }

    /// The strongest list of a setting: a repeated flag, a variable with commas, an array of the file.
    pub(crate) fn read_list(&self, setting: &Setting, flags: &[String]) -> Result<Vec<String>, SettingError> {
        if !flags.is_empty() {
            return Ok(flags.to_vec());
        }
        let in_environment = (self.environment)(setting.variable).is_some_and(|value| !value.is_empty());
        if let Some((_, Value::List(list))) = self.in_file(setting)
            && !in_environment
        {
            return Ok(list.clone());
        }
        let split =
            |text: &str| text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Ok(self.text(setting, None)?.map_or_else(Vec::new, |(text, _)| split(&text)))
    }
}

/// Reads `true` or `false`.
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("'{text}' is neither true nor false"))
}

/// Reads a whole number of at least `least`.
pub(crate) fn parse_count<T>(text: &str, least: T) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + fmt::Display + Copy,
{
    let number = text.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| format!("'{text}' is no whole number of at least {least}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTEN: &Setting = &server::LISTEN;

    fn folder_with(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(DEFAULT_FILE), text).unwrap();
        folder
    }

    fn text(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }

    #[test]
    fn flag_environment_file_and_default_are_weaker_in_this_order() {
        let folder = folder_with("[server]\nlisten = 'file'");
        let variable = |name: &str| (name == "OXBATCH_LISTEN").then(|| "variable".into());
        let sources = Sources::load_from(None, variable, folder.path()).unwrap();
        assert_eq!(sources.read(LISTEN, Some("flag"), text).unwrap().as_deref(), Some("flag"));
        assert_eq!(sources.read(LISTEN, None, text).unwrap().as_deref(), Some("variable"));
        let sources = Sources::load_from(None, |_| None, folder.path()).unwrap();
        assert_eq!(sources.read(LISTEN, None, text).unwrap().as_deref(), Some("file"));
        let sources = Sources::load_from(None, |_| None, Path::new("no-such-folder")).unwrap();
        assert_eq!(sources.read(LISTEN, None, text).unwrap(), None);
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let folder = folder_with("[server]\nlisten = 'file'\nallowed_hosts = ['a', 'b']");
        let sources = Sources::load_from(None, |_| Some("".into()), folder.path()).unwrap();
        assert_eq!(sources.read(LISTEN, None, text).unwrap().as_deref(), Some("file"));
        assert_eq!(sources.read_list(&server::ALLOWED_HOSTS, &[]).unwrap(), ["a", "b"]);
    }

    #[test]
    fn a_list_is_a_repeated_flag_a_variable_with_commas_or_an_array() {
        let folder = folder_with("[server]\nallowed_hosts = ['a', 'b']");
        let variable = |name: &str| (name == "OXBATCH_ALLOWED_HOSTS").then(|| "c, d".into());
        let sources = Sources::load_from(None, variable, folder.path()).unwrap();
        assert_eq!(sources.read_list(&server::ALLOWED_HOSTS, &[]).unwrap(), ["c", "d"]);
        assert_eq!(sources.read_list(&server::ALLOWED_HOSTS, &["e".into()]).unwrap(), ["e"]);
    }

    #[test]
    fn faults_name_the_flag_the_variable_or_the_key() {
        let folder = folder_with("[engine]\nconcurrency = 0");
        let name = |sources: &Sources, flag| {
            sources.read(&engine::CONCURRENCY, flag, |text| parse_count(text, 1_usize)).unwrap_err().to_string()
        };
        let sources = Sources::load_from(None, |_| None, folder.path()).unwrap();
        assert_eq!(name(&sources, Some("x")), "flag --concurrency: 'x' is no whole number of at least 1");
        assert!(name(&sources, None).starts_with("key 'engine.concurrency' in '"));
        let variable = |name: &str| (name == "OXBATCH_CONCURRENCY").then(|| "-1".into());
        let sources = Sources::load_from(None, variable, folder.path()).unwrap();
        assert!(name(&sources, None).starts_with("environment variable OXBATCH_CONCURRENCY: "));
    }

    #[test]
    fn the_docs_list_every_setting_by_its_names() {
        let docs = include_str!("../../../docs/OPERATIONS.md");
        for setting in ALL.iter().copied().flatten() {
            let row = format!("| `{}` | `{}` | `{}` | ", setting.flag, setting.variable, setting.key);
            assert!(docs.contains(&row), "docs/OPERATIONS.md lacks {row}");
        }
    }

    #[test]
    fn names_are_of_one_pattern_and_never_used_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for setting in ALL.iter().copied().flatten() {
            assert!(setting.flag.starts_with("--") && setting.variable.starts_with("OXBATCH_"), "{setting:?}");
            assert!(setting.key.contains('.'), "{setting:?}");
            for name in [setting.flag, setting.variable, setting.key] {
                assert!(seen.insert(name), "{name} is used twice");
            }
        }
    }
}
