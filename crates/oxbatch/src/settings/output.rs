//! The output for people: `OXBATCH_COLOR`.

use super::{Setting, SettingError, Sources};
use crate::cli::GlobalArgs;

/// The choice of colours in the output.
pub(crate) const COLOUR: Setting = Setting {
    flag: "--color",
    variable: "OXBATCH_COLOR",
    key: "output.color",
    text: "Colours in the output: auto (on a terminal, unless NO_COLOR is set), always or never",
    default: "auto",
};

/// All of the section.
pub(super) const SETTINGS: [Setting; 1] = [COLOUR];

/// The choice of colours in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ColourChoice {
    /// On a terminal, unless the environment refuses them.
    #[default]
    Auto,
    Always,
    Never,
}

/// Reads a choice.
pub(crate) fn parse_choice(text: &str) -> Result<ColourChoice, String> {
    match text {
        "auto" => Ok(ColourChoice::Auto),
        "always" => Ok(ColourChoice::Always),
        "never" => Ok(ColourChoice::Never),
        _ => Err(format!("'{text}' is none of auto, always and never")),
    }
}

/// Resolves the section.
pub(crate) fn resolve(globals: &GlobalArgs, sources: &Sources) -> Result<ColourChoice, SettingError> {
    Ok(sources.read(&COLOUR, globals.color.as_deref(), parse_choice)?.unwrap_or_default())
}
