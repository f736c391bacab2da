//! The token that is sent with each request, kept out of everything that is printed.

use std::fmt;

use ureq::http::HeaderValue;

/// A token, as the value of the header Authorization.
#[derive(Clone)]
pub(crate) struct BearerToken(HeaderValue);

impl BearerToken {
    /// The token of a text.
    ///
    /// # Errors
    /// When it is none; the text itself is not repeated.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err("there is no token in it: one begins with oxb_".to_owned());
        }
        let value = HeaderValue::from_str(&format!("Bearer {text}"));
        let mut value = value.map_err(|_| "the token has characters that none has".to_owned())?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(super) fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_word_that_is_never_printed() {
        let token = BearerToken::new(" oxb_secret\n").unwrap();
        assert_eq!(token.header().to_str().unwrap(), "Bearer oxb_secret");
        assert!(!format!("{token:?}").contains("secret"));
        for text in ["", " ", "two words", "a\u{7}b"] {
            assert!(BearerToken::new(text).is_err(), "{text:?}");
        }
    }
}
