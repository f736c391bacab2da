//! The channels of notices: sections `[notices.NAME]` of the file; they have neither flags nor variables.

use std::path::PathBuf;

use oxbatch_core::notice::NoticeKind;
use serde::Deserialize;

use super::{Origin, SettingError, Sources};
use crate::notices::{Channel, Channels, Way};

/// The section of a channel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    #[serde(default)]
    on: Vec<String>,
    skips_over: Option<u32>,
    command: Option<Vec<String>>,
    url: Option<String>,
    secret_file: Option<PathBuf>,
    #[serde(default)]
    private: bool,
    body: Option<String>,
}

/// The channels of the settings.
pub(crate) fn resolve(sources: &Sources) -> Result<Option<Channels>, SettingError> {
    let Some(file) = sources.file.as_ref() else { return Ok(None) };
    let mut channels = Vec::new();
    for (name, section) in file.notices() {
        let origin = || Origin::Key { key: format!("notices.{name}"), file: file.name().to_owned() };
        let invalid = |problem: String| SettingError::Invalid { origin: origin(), problem };
        let section = Section::deserialize(section.clone()).map_err(|error| invalid(error.message().to_owned()))?;
        channels.push(channel(name, section).map_err(invalid)?);
    }
    if channels.is_empty() {
        return Ok(None);
    }
    Channels::new(channels).map(Some).map_err(|problem| SettingError::Invalid {
        origin: Origin::Key { key: "notices".to_owned(), file: file.name().to_owned() },
        problem,
    })
}

fn channel(name: &str, section: Section) -> Result<Channel, String> {
    let kinds = section.on.iter().map(|word| match word.parse::<NoticeKind>() {
        Ok(kind) if kind != NoticeKind::Test && kind != NoticeKind::Skips => Ok(kind),
        Ok(NoticeKind::Skips) => Err("on: skips have a limit: set skips_over".to_owned()),
        _ => Err(format!("on: '{word}' is none of failed, late, missed and recovered")),
    });
    let kinds = kinds.collect::<Result<Vec<_>, _>>()?;
    if kinds.is_empty() && section.skips_over.is_none() {
        return Err("it gets no notice: set on, such as [\"failed\", \"late\"], or skips_over".to_owned());
    }
    let way = match (section.command, section.url) {
        (Some(command), None) if !command.is_empty() => {
            if section.secret_file.is_some() || section.private {
                return Err("secret_file and private go with url, not with command".to_owned());
            }
            Way::Command(command)
        }
        (None, Some(url)) => Way::Webhook { url, secret_file: section.secret_file, private: section.private },
        _ => return Err("set either command, a list of the program and its arguments, or url".to_owned()),
    };
    Ok(Channel { name: name.to_owned(), kinds, skips_over: section.skips_over, way, body: section.body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Channel, String> {
        let table: toml::Table = text.parse().unwrap();
        let section = Section::deserialize(toml::Value::Table(table)).map_err(|error| error.message().to_owned())?;
        channel("ops", section)
    }

    #[test]
    fn a_channel_is_told_of_something_in_one_way() {
        assert!(read("on = ['failed']\ncommand = ['mail', '-s', '{{kind}}']").is_ok());
        assert!(read("skips_over = 5\nurl = 'https://x/'\nsecret_file = 's'").is_ok());
        for (text, sentence) in [
            ("url = 'https://x/'", "gets no notice"),
            ("on = ['failed']", "either command"),
            ("on = ['failed']\nurl = 'https://x/'\ncommand = ['a']", "either command"),
            ("on = ['failed']\ncommand = []", "either command"),
            ("on = ['broken']\nurl = 'https://x/'", "'broken' is none of"),
            ("on = ['skips']\nurl = 'https://x/'", "skips_over"),
            ("on = ['failed']\ncommand = ['a']\nsecret_file = 's'", "go with url"),
            ("on = ['failed']\nurll = 'https://x/'", "urll"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(sentence), "{text}: {refused}");
        }
    }
}
