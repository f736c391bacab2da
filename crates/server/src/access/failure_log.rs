//! Failed logins in the audit log: one entry for each address and minute, with their number.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use oxbatch_core::repository::{AuditId, NewAuditEntry};

use super::failures::network;
use crate::state::AppState;

/// The time whose failures share an entry.
const MINUTE: Duration = Duration::from_secs(60);
/// Addresses that have an entry of their own at once; further ones share one without an address.
const MOST_ADDRESSES: usize = 64;

/// The failures of the minutes that are not over, by address; `None` for those that share an entry.
#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    counts: Mutex<HashMap<Option<IpAddr>, u64>>,
}

impl FailureLog {
    /// Counts a failure. The address of the entry that begins with it; `None` where it belongs to one that has begun.
    fn count(&self, address: IpAddr) -> Option<Option<IpAddr>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let own = Some(network(address));
        let key = if counts.len() < MOST_ADDRESSES || counts.contains_key(&own) { own } else { None };
        let count = counts.entry(key).or_default();
        *count += 1;
        (*count == 1).then_some(key)
    }

    /// Ends the entry of an address; the number of its failures.
    fn end(&self, key: Option<IpAddr>) -> u64 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).remove(&key).unwrap_or_default()
    }
}

/// Keeps a failed login in the audit log, beside the answer to it.
pub(crate) fn keep(state: &AppState, address: IpAddr, now: Timestamp) {
    let Some(key) = state.access().failure_log.count(address) else { return };
    let state = state.clone();
    tokio::spawn(async move {
        let begun = begin(&state, key, now).await;
        tokio::select! {
            () = tokio::time::sleep(MINUTE) => {}
            () = state.shutdown().cancelled() => {}
        }
        let count = state.access().failure_log.end(key);
        let Some(id) = begun else { return };
        let outcome = format!("401 {count} within a minute");
        if let Err(error) = state.engine().repository().end_audit(id, outcome).await {
            tracing::warn!(audit.id = id.0, count, %error, "the number of failed logins is not in the audit log");
        }
    });
}

async fn begin(state: &AppState, key: Option<IpAddr>, now: Timestamp) -> Option<AuditId> {
    let entry = NewAuditEntry {
        time: now,
        token_id: None,
        who: "anybody".to_owned(),
        address: key.map(|address| address.to_string()),
        action: "failed_login".to_owned(),
        object: if key.is_some() { "a token that there is not" } else { "tokens that there are not" }.to_owned(),
    };
    match state.engine().repository().begin_audit(entry).await {
        Ok(id) => Some(id),
        Err(error) => {
            tracing::warn!(%error, "a failed login is not in the audit log");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_entry_and_a_flood_of_them_shares_one() {
        let log = FailureLog::default();
        let address = |number: u32| IpAddr::V4(number.into());
        assert_eq!(log.count(address(0)), Some(Some(address(0))));
        assert_eq!((log.count(address(0)), log.count(address(0))), (None, None));
        for number in 1..10_000 {
            log.count(address(number));
        }
        assert_eq!(log.counts.lock().unwrap().len(), MOST_ADDRESSES + 1);
        assert_eq!((log.end(Some(address(0))), log.end(None)), (3, 10_000 - 64));
        assert_eq!(log.count(address(0)), Some(Some(address(0))), "another minute");
    }
}
