//! Pages of a list: limit, opaque cursor, and the link to the next page.

use axum::http::header::LINK;
use axum::http::{HeaderName, HeaderValue, Uri};
use oxbatch_core::repository::PageRequest;

use crate::error::Problem;
use crate::extract::QueryReader;

/// Rows of a page when the caller does not say.
pub(crate) const DEFAULT_LIMIT: u32 = 50;
/// Most rows of a page.
pub(crate) const MAX_LIMIT: u32 = 500;

/// The list that a cursor belongs to, so that no list takes another's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum List {
    Executions,
    Instances,
    Skips,
    Fires,
    Notices,
    Audit,
    Bulk,
}

impl List {
    const fn mark(self) -> char {
        match self {
            Self::Executions => 'e',
            Self::Instances => 'i',
            Self::Skips => 's',
            Self::Fires => 'f',
            Self::Notices => 'n',
            Self::Audit => 'a',
            Self::Bulk => 'b',
        }
    }

    fn write(self, before: i64) -> String {
        format!("{}{before:x}", self.mark())
    }

    fn read(self, text: &str) -> Result<i64, String> {
        let digits = text.strip_prefix(self.mark()).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let before = digits.and_then(|digits| i64::from_str_radix(digits, 16).ok()).filter(|before| *before >= 1);
        before.ok_or_else(|| "is not the cursor of a next page of this list".to_owned())
    }

    /// Reads `limit` and `cursor`.
    pub(crate) fn page(self, reader: &mut QueryReader) -> PageRequest {
        let limit = reader.one("limit", |text| {
            let parsed = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit) && !text.starts_with('+'));
            parsed.ok_or_else(|| format!("must be a whole number from 1 to {MAX_LIMIT}"))
        });
        let before = reader.one("cursor", |text| self.read(text));
        PageRequest { before, limit: limit.unwrap_or(DEFAULT_LIMIT) }
    }

    /// The query of the page that begins at `next`, with the same filters.
    pub(crate) fn query(self, query: &str, next: i64) -> String {
        let kept = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "cursor");
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept).append_pair("cursor", &self.write(next));
        query.finish()
    }

    /// The header that leads to the page that begins at `next`, with the same filters.
    pub(crate) fn link(self, uri: &Uri, next: Option<i64>) -> Result<Option<(HeaderName, HeaderValue)>, Problem> {
        let Some(next) = next else { return Ok(None) };
        let query = self.query(uri.query().unwrap_or_default(), next);
        let link = format!("<{}?{query}>; rel=\"next\"", uri.path());
        let value = HeaderValue::try_from(link).map_err(|error| Problem::internal(error.to_string()))?;
        Ok(Some((LINK, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_no_other_text_does() {
        assert_eq!(List::Executions.read(&List::Executions.write(255)), Ok(255));
        assert_eq!(List::Instances.read(&List::Instances.write(i64::MAX)), Ok(i64::MAX));
        for text in ["", "e", "e0", "e-1", "e+1", "i1", "eg", "e8000000000000000"] {
            assert!(List::Executions.read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_link_keeps_the_filters_and_replaces_the_cursor() {
        let uri: Uri = "/executions?job=a%26b%3E&cursor=e9&limit=2".parse().unwrap();
        let (_, value) = List::Executions.link(&uri, Some(16)).unwrap().unwrap();
        assert_eq!(value, "</executions?job=a%26b%3E&limit=2&cursor=e10>; rel=\"next\"");
        assert!(List::Executions.link(&uri, None).unwrap().is_none());
    }
}
