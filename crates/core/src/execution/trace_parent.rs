//! The place of a launch in a distributed trace, as W3C Trace Context has it.

use std::fmt;
use std::str::FromStr;

/// The span of the caller of a launch: the header `traceparent` of W3C Trace Context, level 1.
///
/// ```
/// use oxbatch::execution::TraceParent;
///
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let parent: TraceParent = text.parse().unwrap();
/// assert!(parent.is_sampled());
/// assert_eq!(parent.to_string(), text);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    is_sampled: bool,
}

/// A text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no traceparent, such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// The trace: never 0.
    pub fn trace_id(self) -> u128 {
        self.trace_id
    }

    /// The span of the caller: never 0.
    pub fn span_id(self) -> u64 {
        self.span_id
    }

    /// `true` if the caller records its spans.
    pub fn is_sampled(self) -> bool {
        self.is_sampled
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let mut fields = text.split('-');
        let mut field = |digits: usize| {
            let field = fields.next().filter(|field| field.len() == digits);
            let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            let field = field.filter(|field| field.bytes().all(lower)).ok_or(InvalidTraceParent)?;
            u128::from_str_radix(field, 16).map_err(|_| InvalidTraceParent)
        };
        let (version, trace_id, span_id, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        // Later versions may have more fields; the first has none.
        let has_more = fields.next().is_some();
        let span_id = u64::try_from(span_id).map_err(|_| InvalidTraceParent)?;
        if version == 0xff || (version == 0 && has_more) || trace_id == 0 || span_id == 0 {
            return Err(InvalidTraceParent);
        }
        Ok(Self { trace_id, span_id, is_sampled: flags & 1 == 1 })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.is_sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn the_examples_of_the_recommendation_are_read() {
        let sampled: TraceParent = format!("00-{TRACE}-{SPAN}-01").parse().unwrap();
        assert_eq!(sampled.trace_id(), 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!(sampled.span_id(), 0xb7ad_6b71_6920_3331);
        assert!(sampled.is_sampled());
        let not: TraceParent = format!("00-{TRACE}-{SPAN}-00").parse().unwrap();
        assert!(!not.is_sampled());
        // Of later versions the known fields count.
        let later: TraceParent = format!("cc-{TRACE}-{SPAN}-09-what-the-future-holds").parse().unwrap();
        assert_eq!(later.to_string(), format!("00-{TRACE}-{SPAN}-01"));
    }

    #[test]
    fn everything_else_is_refused() {
        let upper = TRACE.to_uppercase();
        for text in [
            String::new(),
            "00".to_owned(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{upper}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-+7ad6b7169203331-01"),
            format!("00-{TRACE}ä-{SPAN}-01"),
            format!(" 00-{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(InvalidTraceParent), "{text}");
        }
    }
}
