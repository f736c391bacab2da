//! The position that a reader or writer saves to resume from: a small JSON value.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{FiniteJson, ItemError};

/// Bytes of JSON that need no memory of their own: any whole number.
const SHORT_BYTES: usize = 22;

/// A saved position, kept as JSON text so that a commit costs no tree of values.
#[derive(Clone)]
pub struct Checkpoint(Text);

#[derive(Clone)]
enum Text {
    Short { bytes: [u8; SHORT_BYTES], length: u8 },
    Long(Box<RawValue>),
}

impl Checkpoint {
    /// Saves a position.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn new(position: &impl Serialize) -> Result<Self, ItemError> {
        let mut bytes = [0; SHORT_BYTES];
        let mut rest = bytes.as_mut_slice();
        // Whether it fails because it is longer, or because it is no JSON, the other way tells.
        if serde_json::to_writer(&mut rest, &FiniteJson(position)).is_ok() {
            let left = rest.len();
            #[expect(clippy::cast_possible_truncation, reason = "at most SHORT_BYTES")]
            let length = (SHORT_BYTES - left) as u8;
            return Ok(Self(Text::Short { bytes, length }));
        }
        Ok(Self(Text::Long(serde_json::value::to_raw_value(&FiniteJson(position))?)))
    }

    /// The saved position.
    ///
    /// # Errors
    /// When it was saved by something else: the step's reader or writer was changed between two attempts.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ItemError> {
        serde_json::from_str(self.as_json()).map_err(|error| {
            ItemError::other(format!(
                "checkpoint {} does not fit this reader or writer ({error}); was the step changed since its last attempt? launch with force to start anew",
                self.as_json()
            ))
        })
    }

    /// The position as JSON.
    pub fn as_json(&self) -> &str {
        match &self.0 {
            // Written by a JSON serializer, so it is text; `null` is never shown.
            Text::Short { bytes, length } => std::str::from_utf8(&bytes[..usize::from(*length)]).unwrap_or("null"),
            Text::Long(raw) => raw.get(),
        }
    }

    pub(super) fn into_raw(self) -> Box<RawValue> {
        match self.0 {
            Text::Long(raw) => raw,
            // Written by a JSON serializer, so it is JSON.
            Text::Short { .. } => RawValue::from_string(self.as_json().to_owned()).unwrap_or_default(),
        }
    }

    pub(crate) fn from_raw(raw: Box<RawValue>) -> Self {
        Self(Text::Long(raw))
    }
}

/// For readers and writers that keep the checkpoints of others within their own.
impl Serialize for Checkpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Text::Long(raw) => raw.serialize(serializer),
            Text::Short { .. } => {
                RawValue::from_string(self.as_json().to_owned()).map_err(S::Error::custom)?.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Checkpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::from_raw)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint({})", self.as_json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_any_length_read_back() {
        let numbers = [0, 7, i64::MIN, i64::MAX];
        for number in numbers {
            assert_eq!(Checkpoint::new(&number).unwrap().read::<i64>().unwrap(), number);
        }
        for text in ["", "20 characters exactly", "more than twenty-two characters", "\u{1F980}\""] {
            let checkpoint = Checkpoint::new(&text).unwrap();
            assert_eq!(checkpoint.read::<String>().unwrap(), text);
            assert_eq!(checkpoint.clone().into_raw().get(), checkpoint.as_json());
            assert_eq!(checkpoint.as_json(), serde_json::to_string(text).unwrap());
        }
    }

    #[test]
    fn checkpoints_are_kept_within_others() {
        let inner = [Checkpoint::new(&7).unwrap(), Checkpoint::new(&"a longer text than a short one").unwrap()];
        let outer = Checkpoint::new(&(1, Some(&inner[0]), &inner[1], None::<Checkpoint>)).unwrap();
        assert_eq!(outer.as_json(), r#"[1,7,"a longer text than a short one",null]"#);
        let (number, first, second, none): (u8, Option<Checkpoint>, Checkpoint, Option<Checkpoint>) =
            outer.read().unwrap();
        assert_eq!((number, none.is_none()), (1, true));
        assert_eq!(first.unwrap().read::<u8>().unwrap(), 7);
        assert_eq!(second.as_json(), inner[1].as_json());
    }

    #[test]
    fn a_position_that_is_no_json_is_refused() {
        let pairs = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(Checkpoint::new(&pairs).is_err());
        for number in [f64::NAN, f64::INFINITY] {
            let refused = Checkpoint::new(&number).unwrap_err().to_string();
            assert_eq!(refused, format!("{number} is a number that JSON cannot hold"));
        }
    }
}
