//! Callers who have scraped the metrics of late: they are answered although the store cannot be asked who they are.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use jiff::Timestamp;
use oxbatch_core::access::{Token, hash_of};
use oxbatch_core::repository::rules::access as rules;

use super::identify::bearer;
use super::{Caller, Via};

/// The time for which a caller is remembered.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// Callers that are remembered at once.
const MOST: usize = 16;

/// The tokens that scraped of late, by the hash of their texts.
#[derive(Debug, Default)]
pub(crate) struct Scrapers {
    of: Mutex<HashMap<String, (Token, Timestamp)>>,
}

impl Scrapers {
    /// Remembers the caller of a scrape that the store has accepted.
    pub(crate) fn remember(&self, headers: &HeaderMap, caller: &Caller, now: Timestamp) {
        let (Some(text), Caller::Token { token, via: Via::Bearer }) = (bearer(headers), caller) else { return };
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        of.retain(|_, (_, last)| is_fresh(*last, now));
        let hash = hash_of(text);
        if of.len() < MOST || of.contains_key(&hash) {
            of.insert(hash, ((**token).clone(), now));
        }
    }

    /// The caller as the store knew it last, where that is not long ago and it has not expired since.
    pub(crate) fn known(&self, headers: &HeaderMap, now: Timestamp) -> Option<Caller> {
        let of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let (token, last) = of.get(&hash_of(bearer(headers)?))?;
        let holds = is_fresh(*last, now) && rules::check_token(token, now).is_ok();
        holds.then(|| Caller::Token { token: Box::new(token.clone()), via: Via::Bearer })
    }
}

fn is_fresh(last: Timestamp, now: Timestamp) -> bool {
    now.duration_since(last).unsigned_abs() < REMEMBERED
}
