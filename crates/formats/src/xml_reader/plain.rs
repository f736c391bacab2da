//! Plain elements: an element whose children have a text each and nothing else, read without a parser.
//!
//! Whatever is not plain, does not fit its type, or is asked for as anything but a simple value is left to the parser,
//! which reads the whole element again: so an element has the value and the errors that the parser gives it.

use std::cell::Cell;
use std::fmt::{self, Display};

use memchr::memchr3;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

/// The reason for which an element is left to the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotPlain {
    /// The element: the next one may be plain.
    Element,
    /// The type, which asks for more than texts.
    Type,
}

impl Display for NotPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not plain")
    }
}

impl std::error::Error for NotPlain {}

impl Error for NotPlain {
    fn custom<M: Display>(_: M) -> Self {
        refuse(Self::Element)
    }
}

thread_local! {
    /// The reason for which the element in hand is left to the parser: a type may swallow an error, and go on without
    /// the value that the parser would have given it.
    static REFUSED: Cell<Option<NotPlain>> = const { Cell::new(None) };
}

#[cold]
fn refuse(reason: NotPlain) -> NotPlain {
    if REFUSED.get() != Some(NotPlain::Type) {
        REFUSED.set(Some(reason));
    }
    reason
}

/// Reads a plain element.
pub(super) fn read<T: DeserializeOwned>(element: &str) -> Result<T, NotPlain> {
    REFUSED.set(None);
    let (name, rest) = start_tag(element).ok_or(NotPlain::Element)?;
    let mut children = Children { name, rest, text: None, is_over: false };
    let value = T::deserialize(&mut children);
    match (REFUSED.get(), value) {
        (Some(reason), _) | (None, Err(reason)) => Err(reason),
        // What was not looked at may be anything.
        (None, Ok(_)) if !children.is_over => Err(NotPlain::Element),
        (None, Ok(value)) => Ok(value),
    }
}

/// Splits a start tag without attributes off a text: its name, and what is behind it.
#[inline]
fn start_tag(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('<')?;
    let length = inner.bytes().position(|byte| !is_of_name(byte)).filter(|length| *length > 0)?;
    let (name, rest) = inner.split_at(length);
    Some((name, rest.strip_prefix('>')?))
}

/// Bytes of names as most documents have them: without prefixes, in ASCII.
#[inline]
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

#[inline]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The children of an element that were not read yet.
struct Children<'de> {
    /// The name of the element.
    name: &'de str,
    rest: &'de str,
    /// The text of the child in hand, until it is taken.
    text: Option<&'de str>,
    is_over: bool,
}

impl<'de> Children<'de> {
    /// Goes on to the next child and returns its name; `None` at the end of the element.
    #[inline]
    fn next(&mut self) -> Result<Option<&'de str>, NotPlain> {
        let spaces = self.rest.bytes().position(|byte| !is_space(byte)).ok_or_else(|| refuse(NotPlain::Element))?;
        let rest = &self.rest[spaces..];
        if let Some(end) = rest.strip_prefix("</") {
            self.is_over = end.strip_prefix(self.name) == Some(">");
            return if self.is_over { Ok(None) } else { Err(refuse(NotPlain::Element)) };
        }
        self.child(rest).ok_or_else(|| refuse(NotPlain::Element)).map(Some)
    }

    #[inline]
    fn child(&mut self, rest: &'de str) -> Option<&'de str> {
        let (name, rest) = start_tag(rest)?;
        // References and ends of lines are not what they look like.
        let (text, end) = rest.split_at(memchr3(b'<', b'&', b'\r', rest.as_bytes())?);
        let is_trimmed = |text: &[u8]| !is_space(text[0]) && !is_space(text[text.len() - 1]);
        if text.is_empty() || !is_trimmed(text.as_bytes()) {
            return None;
        }
        self.rest = end.strip_prefix("</")?.strip_prefix(name)?.strip_prefix('>')?;
        self.text = Some(text);
        Some(name)
    }
}

impl<'de> Deserializer<'de> for &mut Children<'de> {
    type Error = NotPlain;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NotPlain> {
        Err(refuse(NotPlain::Type))
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        // `$text` and `$value`.
        if fields.iter().any(|field| field.starts_with('$')) {
            return Err(refuse(NotPlain::Type));
        }
        visitor.visit_map(self)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_map(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for &mut Children<'de> {
    type Error = NotPlain;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, NotPlain> {
        match self.next()? {
            Some(name) => seed.deserialize(Name(name)).map(Some),
            None => Ok(None),
        }
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, NotPlain> {
        let text = self.text.take().ok_or_else(|| refuse(NotPlain::Type))?;
        seed.deserialize(Text(text))
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
            visitor.$visit(self.0.parse().map_err(|_| refuse(NotPlain::Element))?)
        }
    )*};
}

macro_rules! as_text {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
            visitor.visit_borrowed_str(self.0)
        }
    )*};
}

macro_rules! as_unit {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
            visitor.visit_unit()
        }
    )*};
}

/// The name of a child.
struct Name<'de>(&'de str);

impl<'de> Deserializer<'de> for Name<'de> {
    type Error = NotPlain;

    as_text! { deserialize_identifier deserialize_str deserialize_string }

    as_unit! { deserialize_ignored_any }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NotPlain> {
        Err(refuse(NotPlain::Type))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum
    }
}

/// The text of a child: neither empty nor with spaces around it.
struct Text<'de>(&'de str);

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = NotPlain;

    parsed! {
        deserialize_i8 visit_i8;
        deserialize_i16 visit_i16;
        deserialize_i32 visit_i32;
        deserialize_i64 visit_i64;
        deserialize_i128 visit_i128;
        deserialize_u8 visit_u8;
        deserialize_u16 visit_u16;
        deserialize_u32 visit_u32;
        deserialize_u64 visit_u64;
        deserialize_u128 visit_u128;
        deserialize_f32 visit_f32;
        deserialize_f64 visit_f64;
    }

    as_text! { deserialize_str deserialize_string deserialize_char }

    as_unit! { deserialize_unit deserialize_ignored_any }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, NotPlain> {
        Err(refuse(NotPlain::Type))
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        match self.0 {
            "true" | "1" => visitor.visit_bool(true),
            "false" | "0" => visitor.visit_bool(false),
            _ => Err(refuse(NotPlain::Element)),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_some(self)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, NotPlain> {
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotPlain> {
        BorrowedStrDeserializer::new(self.0).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bytes byte_buf unit_struct seq tuple tuple_struct map struct identifier
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum State {
        Open,
        Done,
        Of(u32),
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped(String);

    #[derive(Debug, PartialEq, Deserialize)]
    struct Flat {
        a: String,
        b: Option<f64>,
        #[serde(default)]
        c: u8,
        d: Option<State>,
        #[serde(rename = "@id")]
        id: Option<u32>,
        e: Option<bool>,
        f: Option<Wrapped>,
        g: Option<char>,
        h: Option<()>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Amount {
        #[serde(rename = "@currency")]
        currency: Option<String>,
        #[serde(rename = "$text")]
        value: f64,
    }

    /// Makes nothing of what it cannot read.
    fn lenient<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        Ok(T::deserialize(deserializer).unwrap_or_default())
    }

    /// Makes a text of the error.
    fn told<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        Ok(u8::deserialize(deserializer).map_or_else(|error| error.to_string(), |number| number.to_string()))
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Swallowing {
        #[serde(default, deserialize_with = "lenient")]
        a: Option<Amount>,
        #[serde(default, deserialize_with = "lenient")]
        b: bool,
        #[serde(default, deserialize_with = "told")]
        c: String,
        #[serde(default, deserialize_with = "lenient")]
        d: Vec<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Listed {
        a: Vec<String>,
        b: Option<BTreeMap<String, String>>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Mixed {
        a: Option<String>,
        #[serde(rename = "$text")]
        text: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Flattened {
        a: Option<String>,
        #[serde(flatten)]
        others: BTreeMap<String, String>,
    }

    /// The parser gives a plain element the same value.
    fn compare<T: DeserializeOwned + PartialEq + Debug>(element: &str) -> Result<bool, TestCaseError> {
        let Ok(plain) = read::<T>(element) else { return Ok(false) };
        let parsed = T::deserialize(&mut quick_xml::de::Deserializer::from_str(element));
        match parsed {
            Ok(parsed) => prop_assert_eq!(plain, parsed, "{}", element),
            Err(error) => prop_assert!(false, "{}: {:?}, but {}", element, plain, error),
        }
        Ok(true)
    }

    fn compare_all(element: &str) -> Result<(), TestCaseError> {
        compare::<Flat>(element)?;
        compare::<Swallowing>(element)?;
        compare::<Listed>(element)?;
        compare::<BTreeMap<u64, String>>(element)?;
        compare::<Mixed>(element)?;
        compare::<Flattened>(element)?;
        compare::<BTreeMap<String, String>>(element)?;
        compare::<BTreeMap<String, Option<i64>>>(element)?;
        compare::<BTreeMap<String, State>>(element)?;
        compare::<Wrapped>(element)?;
        compare::<State>(element).map(|_| ())
    }

    #[test]
    fn what_most_documents_hold_is_plain() {
        let element = "<r>\n  <a>Müller &lt</a>\n</r>";
        assert_eq!(read::<Flat>(element), Err(NotPlain::Element));
        let element = "<r>\r\n <a>Müller's \"] > x</a><b>-1.5e3</b>\t<d>done</d><x.y-z>7</x.y-z><e>1</e><f>w</f><g>ß</g><h>?</h></r>";
        let flat = read::<Flat>(element).unwrap();
        assert_eq!((flat.a.as_str(), flat.b, flat.d), ("Müller's \"] > x", Some(-1500.0), Some(State::Done)));
        assert!(compare::<Flat>(element).unwrap());
    }

    #[test]
    fn what_needs_a_parser_is_left_to_it() {
        for element in [
            "<r/>",
            "<r>",
            "<r></r >",
            "<r></s>",
            "<r><a>1</a>",
            "<r><a>1</a></r> ",
            "<r i='1'><a>1</a></r>",
            "<r><a/></r>",
            "<r><a></a></r>",
            "<r><a> 1</a></r>",
            "<r><a>1\n</a></r>",
            "<r><a>1&amp;2</a></r>",
            "<r><a>1<b/></a></r>",
            "<r><a>1</b></r>",
            "<r>x<a>1</a></r>",
            "<r><a>1</a>x</r>",
            "<r><!-- --><a>1</a></r>",
            "<r><a>1\r2</a></r>",
            "<r><n:a>1</n:a></r>",
            "<r><a>1</a><c>256</c></r>",
            "<r><b>1</b></r>",
            "<r><a>1</a><a>2</a></r>",
            "<é><a>1</a></é>",
            "",
            "<",
            "<>",
            "<r><",
            "<r></",
        ] {
            assert_eq!(read::<Flat>(element), Err(NotPlain::Element), "{element}");
        }
        assert_eq!(read::<Listed>("<r><a>1</a></r>"), Err(NotPlain::Type));
        assert_eq!(read::<Mixed>("<r><a>1</a></r>"), Err(NotPlain::Type));
        assert_eq!(read::<Flattened>("<r><x>1</x></r>"), Err(NotPlain::Type));
        assert_eq!(read::<State>("<of>1</of>"), Err(NotPlain::Type));
        assert_eq!(read::<BTreeMap<u64, String>>("<r><a>1</a></r>"), Err(NotPlain::Type));
    }

    #[test]
    fn a_type_that_swallows_errors_gets_the_values_of_the_parser() {
        for (element, reason) in [
            ("<r><a>12.5</a></r>", NotPlain::Type),
            ("<r><b>yes</b></r>", NotPlain::Element),
            ("<r><c>256</c></r>", NotPlain::Element),
            ("<r><d>x</d></r>", NotPlain::Type),
        ] {
            assert_eq!(read::<Swallowing>(element), Err(reason), "{element}");
        }
        assert!(read::<Swallowing>("<r><b>true</b><c>255</c></r>").is_ok());
    }

    proptest! {
        #[test]
        fn a_plain_element_is_what_the_parser_makes_of_it(pieces in vec(select(&[
            "<r>", "</r>", "<a>", "</a>", "<b>", "</b>", "<c>", "</c>", "<d>", "</d>", "<e>", "</e>", "<x>", "</x>", "<a/>",
            "<a>1</a>", "<b>-0</b>", "<b>1e999</b>", "<c>+7</c>", "<c>300</c>", "<d>open</d>", "<d>of</d>", "<e>0</e>",
            "<e>TRUE</e>", "<x>NaN</x>", "<a></a>", "<a> </a>", "<g>ab</g>", "<h>1</h>", "<f>f</f>", "<id>1</id>", " ", "\n", "\r",
            "\t", "1", "]]>", "&amp;", "&#10;", "<![CDATA[x]]>", "<!-- -->", "<?p?>", "\u{a0}", "é", "\"", ">", "<a id='1'>",
        ]), 0..12)) {
            compare_all(&pieces.concat())?;
            compare_all(&format!("<r>{}</r>", pieces.concat()))?;
        }

        #[test]
        fn children_in_any_order_are_what_the_parser_makes_of_them(children in vec(
            (select(&["a", "b", "c", "d", "e", "f", "g", "h", "x", "id", "a.b", "_", "-", "1"]),
             select(&["1", "0", "true", "open", "done", "x y", "é", "-2.5", "1e400", "inf", "NaN", "", " ", "1 ", "$text"])),
            0..9,
        )) {
            let children: String = children.iter().map(|(name, text)| format!("<{name}>{text}</{name}>\n")).collect();
            compare_all(&format!("<r>{children}</r>"))?;
        }
    }
}
