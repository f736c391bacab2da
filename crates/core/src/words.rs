//! Words and ids that are stored, shown and read back: one table for both directions.

/// A text that names none of the known words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no {what}: give one of {}", known.join(", "))]
pub struct UnknownWord {
    what: &'static str,
    text: String,
    known: &'static [&'static str],
}

impl UnknownWord {
    pub(crate) fn new(what: &'static str, text: &str, known: &'static [&'static str]) -> Self {
        Self { what, text: text.to_owned(), known }
    }
}

/// An enumeration whose variants have one word each; errors call it by the given noun.
macro_rules! words {
    ($(#[$docs:meta])* $name:ident, $what:literal { $($(#[$of:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$docs])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$of])* $word,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$word,)*];

            /// Its word in rows, settings, commands and answers.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::repository::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$word),)*
                    _ => Err($crate::repository::UnknownWord::new($what, text, &[$($text,)*])),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

/// The id of a row.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

pub(crate) use {id, words};
