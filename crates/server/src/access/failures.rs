//! Failed logins by address: bounded, so that nobody tries at leisure and no log is filled.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use oxbatch_core::repository::rules::access::{Failures, after_failure};

/// Addresses that are remembered at once.
const MOST_ADDRESSES: usize = 4_096;

/// The failed logins of each address.
#[derive(Debug, Default)]
pub(crate) struct FailedLogins {
    of: Mutex<HashMap<IpAddr, Failures>>,
}

impl FailedLogins {
    /// The time that an address has to wait yet.
    pub(crate) fn wait(&self, address: IpAddr, now: Timestamp) -> Option<Duration> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner).get(&network(address))?.wait(now)
    }

    /// Notes a failure of an address.
    pub(crate) fn note(&self, address: IpAddr, now: Timestamp) {
        let address = network(address);
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if of.len() >= MOST_ADDRESSES && !of.contains_key(&address) {
            of.retain(|_, failures| !failures.are_forgotten(now));
            let quietest = of.iter().min_by_key(|(_, failures)| failures.last()).map(|(address, _)| *address);
            if let Some(quietest) = quietest.filter(|_| of.len() >= MOST_ADDRESSES) {
                of.remove(&quietest);
            }
        }
        let before = of.get(&address).copied();
        of.insert(address, after_failure(before, now));
    }

    /// Forgets the failures of an address that has come in.
    pub(crate) fn forget(&self, address: IpAddr) {
        self.of.lock().unwrap_or_else(PoisonError::into_inner).remove(&network(address));
    }
}

/// The network of an address: one caller of IPv6 has 2⁶⁴ addresses.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => four.into(),
            None => IpAddr::V6((u128::from(six) >> 64 << 64).into()),
        },
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_network_and_forgotten_at_a_login() {
        let (failed, now) = (FailedLogins::default(), Timestamp::UNIX_EPOCH);
        let [one, near, far] = ["2001:db8::1", "2001:db8::2", "2001:db8:1::1"].map(|text| text.parse().unwrap());
        for _ in 0..10 {
            assert_eq!(failed.wait(near, now), None);
            failed.note(one, now);
        }
        assert_eq!(failed.wait(near, now), Some(Duration::from_secs(60)));
        assert_eq!(failed.wait(far, now), None);
        failed.forget(near);
        assert_eq!(failed.wait(one, now), None);
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_than_its_share_of_memory() {
        let (failed, now) = (FailedLogins::default(), Timestamp::UNIX_EPOCH);
        for number in 0..10_000_u32 {
            failed.note(IpAddr::V4(number.into()), now);
        }
        assert_eq!(failed.of.lock().unwrap().len(), MOST_ADDRESSES);
    }
}
