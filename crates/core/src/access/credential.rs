//! Texts that nobody can guess, and the hash by which a store knows them.

use std::fmt;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Bytes of chance in a text: 256 bits.
const RANDOM_BYTES: usize = 32;

/// The use of a text; its prefix shows it to people and to scanners of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A token, which programs send with each request.
    Token,
    /// A session, which a browser keeps as its cookie.
    Session,
    /// A code of a login link, which is used up by its first use.
    LoginCode,
}

impl CredentialKind {
    /// The beginning of each text of this kind.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Token => "oxb_",
            Self::Session => "oxs_",
            Self::LoginCode => "oxl_",
        }
    }
}

/// The system has no random numbers to give.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers: {problem}")]
pub struct RandomError {
    problem: String,
}

impl RandomError {
    pub(crate) fn new(problem: impl fmt::Display) -> Self {
        Self { problem: problem.to_string() }
    }
}

/// A new text of 256 random bits. It is shown once: a store keeps its hash alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    text: String,
}

impl Credential {
    /// A new one, out of the system's random numbers.
    ///
    /// # Errors
    /// When the system has none.
    pub fn new(kind: CredentialKind) -> Result<Self, RandomError> {
        let mut bytes = [0_u8; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(RandomError::new)?;
        Ok(Self { text: format!("{}{}", kind.prefix(), hexadecimal(&bytes)) })
    }

    /// The text itself, for its owner.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its hash, for the store.
    pub fn hash(&self) -> String {
        hash_of(&self.text)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(***)")
    }
}

/// The SHA-256 of a text in hexadecimal digits. A text of 256 random bits needs neither salt nor a slow hash.
pub fn hash_of(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_256_bits_and_its_prefix_and_is_never_shown_by_accident() {
        let one = Credential::new(CredentialKind::Token).unwrap();
        let other = Credential::new(CredentialKind::Token).unwrap();
        assert_ne!(one, other);
        assert!(one.text().starts_with("oxb_") && one.text().len() == 4 + 64);
        assert!(!format!("{one:?}").contains(&one.text()[4..]));
        assert_eq!(one.hash(), hash_of(one.text()));
        assert_eq!(hash_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
