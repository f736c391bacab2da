//! The keys that encrypt secret parameters: the key file, and ChaCha20-Poly1305 with a random nonce.

use std::fmt;
use std::fmt::Write as _;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

use crate::access::RandomError;
use crate::execution::Sealed;

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Most keys of a file: each decrypts, the first one encrypts.
const MAX_KEYS: usize = 32;
/// Bytes of a key's id.
const ID_BYTES: usize = 6;

/// Separates the uses of a key: its id, and digests.
const ID_OF_KEY: &[u8] = b"oxbatch secret key id 1";
const KEY_OF_DIGESTS: &[u8] = b"oxbatch secret digests 1";

/// The keys of a key file. The first one encrypts, each decrypts what was encrypted with it.
///
/// A key file is text: each line the 64 hexadecimal digits of a key of 32 bytes, `#` begins a comment. A file of just
/// 32 bytes is a key, too.
pub struct KeyRing {
    keys: Vec<Key>,
}

struct Key {
    id: String,
    sealing: LessSafeKey,
    digests: hmac::Key,
}

/// The reason why a key file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no key in it.
    #[error("it holds no key: 'oxbatch secrets key FILE' makes one")]
    Empty,
    /// A line is no key.
    #[error("line {line} is no key of 64 hexadecimal digits")]
    Line {
        /// Its number, from 1.
        line: usize,
    },
    /// It holds too many.
    #[error("it holds more than {MAX_KEYS} keys")]
    TooMany,
}

/// The reason why an encrypted text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenError {
    /// Its key is not here.
    UnknownKey,
    /// It is not what the key has encrypted for this parameter.
    Forged,
}

impl KeyRing {
    /// Reads the content of a key file.
    ///
    /// # Errors
    /// [`KeyError`] names the line; it never shows a key.
    pub fn parse(content: &[u8]) -> Result<Self, KeyError> {
        if let Ok(bytes) = <&[u8; KEY_BYTES]>::try_from(content) {
            return Ok(Self { keys: vec![Key::new(bytes)] });
        }
        let text = String::from_utf8_lossy(content);
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let bytes = from_hexadecimal(line).and_then(|bytes| <[u8; KEY_BYTES]>::try_from(bytes).ok());
            keys.push(Key::new(&bytes.ok_or(KeyError::Line { line: number + 1 })?));
        }
        match keys.len() {
            0 => Err(KeyError::Empty),
            1..=MAX_KEYS => Ok(Self { keys }),
            _ => Err(KeyError::TooMany),
        }
    }

    /// A new key as the line of a key file.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new_line() -> Result<String, RandomError> {
        let mut bytes = [0_u8; KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(RandomError::new)?;
        Ok(hexadecimal(&bytes))
    }

    /// The id of the key that encrypts. It says nothing about the key.
    pub fn id(&self) -> &str {
        self.keys.first().map_or("", |key| &key.id)
    }

    /// The ids of all keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Encrypts a text for `place`, the only one for which it is decrypted.
    pub(super) fn seal(&self, place: &[u8], text: &str) -> Result<Sealed, RandomError> {
        let key = &self.keys[0];
        let mut nonce = [0_u8; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(RandomError::new)?;
        let mut bytes = text.as_bytes().to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        // It fails for texts of more than 256 GiB alone.
        key.sealing
            .seal_in_place_append_tag(unique, Aad::from(place), &mut bytes)
            .map_err(|_| RandomError::new("the text is too long to be encrypted"))?;
        let mut sealed = hexadecimal(&nonce);
        sealed.push_str(&hexadecimal(&bytes));
        Ok(Sealed { key: key.id.clone(), text: sealed })
    }

    pub(super) fn open(&self, place: &[u8], sealed: &Sealed) -> Result<String, OpenError> {
        let key = self.keys.iter().find(|key| key.id == sealed.key).ok_or(OpenError::UnknownKey)?;
        let mut bytes = from_hexadecimal(&sealed.text).ok_or(OpenError::Forged)?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE_LEN).ok_or(OpenError::Forged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Forged)?;
        let text = key.sealing.open_in_place(nonce, Aad::from(place), text).map_err(|_| OpenError::Forged)?;
        String::from_utf8(text.to_vec()).map_err(|_| OpenError::Forged)
    }

    /// A digest that says whether two texts for a place are the same, to who has the key alone.
    pub(super) fn digest(&self, place: &[u8], text: &str) -> String {
        let mut context = hmac::Context::with_key(&self.keys[0].digests);
        context.update(&u64::try_from(place.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(place);
        context.update(text.as_bytes());
        hexadecimal(context.sign().as_ref())
    }
}

impl Key {
    #[expect(clippy::expect_used, reason = "the length is that of the algorithm")]
    fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let derived = |label| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), label);
        Self {
            id: hexadecimal(&derived(ID_OF_KEY).as_ref()[..ID_BYTES]),
            sealing: LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("a key has 32 bytes")),
            digests: hmac::Key::new(hmac::HMAC_SHA256, derived(KEY_OF_DIGESTS).as_ref()),
        }
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.ids()).finish()
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(*pair.first()?)? << 4) | digit(*pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0101010101010101010101010101010101010101010101010101010101010101";
    const TWO: &str = "0202020202020202020202020202020202020202020202020202020202020202";

    fn ring(text: &str) -> KeyRing {
        KeyRing::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_text_comes_back_for_its_place_alone() {
        let keys = ring(ONE);
        let sealed = keys.seal(b"a", "hunter2").unwrap();
        assert_ne!(sealed.text, keys.seal(b"a", "hunter2").unwrap().text, "each time with another nonce");
        assert_eq!(keys.open(b"a", &sealed).as_deref(), Ok("hunter2"));
        assert_eq!(keys.open(b"b", &sealed), Err(OpenError::Forged));
        for forged in [&sealed.text[1..], &sealed.text[..20], "", "zz", &format!("{}00", sealed.text)] {
            let forged = Sealed { text: forged.to_owned(), ..sealed.clone() };
            assert_eq!(keys.open(b"a", &forged), Err(OpenError::Forged));
        }
        let mut bytes = sealed.text.clone().into_bytes();
        let last = bytes.len() - 1;
        bytes[last] = if bytes[last] == b'0' { b'1' } else { b'0' };
        let changed = Sealed { text: String::from_utf8(bytes).unwrap(), ..sealed };
        assert_eq!(keys.open(b"a", &changed), Err(OpenError::Forged));
    }

    #[test]
    fn the_first_key_encrypts_and_older_ones_decrypt() {
        let old = ring(ONE);
        let sealed = old.seal(b"a", "hunter2").unwrap();
        let rotated = ring(&format!("# new\n{TWO}\n\n{ONE} # old\n"));
        assert_eq!(rotated.open(b"a", &sealed).as_deref(), Ok("hunter2"));
        assert_eq!(rotated.seal(b"a", "x").unwrap().key, ring(TWO).id());
        assert_eq!(ring(TWO).open(b"a", &sealed), Err(OpenError::UnknownKey));
        assert_eq!(rotated.ids().collect::<Vec<_>>(), [ring(TWO).id(), old.id()]);
    }

    #[test]
    fn a_file_that_is_no_key_file_is_named_by_its_line_and_not_shown() {
        let refused = |text: &str| KeyRing::parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(refused("# nothing\n"), "it holds no key: 'oxbatch secrets key FILE' makes one");
        assert_eq!(refused(&format!("{ONE}\n0102")), "line 2 is no key of 64 hexadecimal digits");
        assert_eq!(refused(&ONE.replace('1', "x")), "line 1 is no key of 64 hexadecimal digits");
        assert_eq!(refused(&format!("{ONE}\n").repeat(33)), "it holds more than 32 keys");
        assert_eq!(KeyRing::parse(&[1; 32]).unwrap().id(), ring(ONE).id());
        let line = KeyRing::new_line().unwrap();
        assert_eq!((line.len(), ring(&line).keys.len()), (64, 1));
        assert_ne!(line, KeyRing::new_line().unwrap());
        assert!(!format!("{:?}", ring(ONE)).contains("0101"));
    }

    #[test]
    fn a_digest_is_of_text_place_and_key() {
        let digest = |key: &str, place: &[u8], text: &str| ring(key).digest(place, text);
        assert_eq!(digest(ONE, b"a", "x"), digest(ONE, b"a", "x"));
        let others = [digest(TWO, b"a", "x"), digest(ONE, b"b", "x"), digest(ONE, b"a", "y"), digest(ONE, b"ax", "")];
        assert!(others.iter().all(|other| *other != digest(ONE, b"a", "x")));
    }
}
