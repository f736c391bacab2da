//! Colours: on a terminal where nobody refuses them, never into a pipe or a file.

use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use crate::settings::output::ColourChoice;

/// The choice of the settings; set once.
static CHOICE: OnceLock<ColourChoice> = OnceLock::new();

/// A colour, by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// An end as it should be.
    Good,
    /// A failure.
    Bad,
    /// An end that somebody asked for.
    Stopped,
    /// Work that goes on.
    Running,
    /// The head of a table.
    Head,
}

impl Ink {
    /// The colour of a word that says how something stands; `None` for any other word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "COMPLETED" | "live" | "output" => Self::Good,
            "FAILED" | "gone" => Self::Bad,
            "STOPPED" | "STOPPING" | "ABANDONED" | "silent" | "filtered" => Self::Stopped,
            "STARTING" | "STARTED" => Self::Running,
            word if word.starts_with("draining") => Self::Stopped,
            _ => return None,
        })
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "31",
            Self::Stopped => "33",
            Self::Running => "36",
            Self::Head => "1",
        }
    }
}

/// Sets the choice of the settings. Called once; until then colours follow the terminal.
pub(crate) fn choose(choice: ColourChoice) {
    // A second choice would be the same one.
    let _ = CHOICE.set(choice);
}

/// Colours are wanted on standard output.
pub(crate) fn on_stdout() -> bool {
    is_wanted(io::stdout().is_terminal())
}

/// Colours are wanted on standard error.
pub(crate) fn on_stderr() -> bool {
    is_wanted(io::stderr().is_terminal())
}

fn is_wanted(is_terminal: bool) -> bool {
    let choice = CHOICE.get().copied().unwrap_or_default();
    let variable = |name| std::env::var_os(name);
    choice.wants(is_terminal, variable("NO_COLOR").as_deref(), variable("TERM").as_deref())
}

impl ColourChoice {
    /// A set `NO_COLOR` (see no-color.org) and a terminal without colours are obeyed unless `always` is chosen.
    fn wants(self, is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => is_terminal && no_color.is_none_or(OsStr::is_empty) && term.is_none_or(|term| term != "dumb"),
        }
    }
}

/// A text in a colour where colours are wanted.
pub(crate) fn paint(text: &str, ink: Ink, is_wanted: bool) -> String {
    if is_wanted { format!("\u{1b}[{}m{text}\u{1b}[0m", ink.code()) } else { text.to_owned() }
}

/// A word in the colour of what it says.
pub(crate) fn paint_word(word: &str, is_wanted: bool) -> String {
    Ink::of(word.trim()).map_or_else(|| word.to_owned(), |ink| paint(word, ink, is_wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_to_a_terminal_unless_somebody_refuses_them() {
        let auto = |terminal, no_color: Option<&str>, term: Option<&str>| {
            ColourChoice::Auto.wants(terminal, no_color.map(OsStr::new), term.map(OsStr::new))
        };
        assert!(auto(true, None, Some("xterm")) && auto(true, Some(""), None));
        assert!(!auto(false, None, Some("xterm")) && !auto(true, Some("1"), None) && !auto(true, None, Some("dumb")));
        assert!(ColourChoice::Always.wants(false, Some(OsStr::new("1")), None));
        assert!(!ColourChoice::Never.wants(true, None, None));
    }

    #[test]
    fn every_status_has_a_colour_and_other_words_have_none() {
        for status in oxbatch_core::Status::ALL {
            assert!(Ink::of(status.as_str()).is_some(), "{status}");
        }
        assert_eq!(paint_word("COMPLETED ", true), "\u{1b}[32mCOMPLETED \u{1b}[0m");
        assert_eq!(paint_word("SampleJob", true), "SampleJob");
        assert_eq!(paint_word("FAILED", false), "FAILED");
    }
}
