//! The addresses that a webhook may be sent to: checked when it connects, so that no name leads elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// The begin of the error of an address that is refused.
const REFUSED: &str = "its address is one that webhooks are not sent to";

/// Refuses what is no address of a webhook.
pub(super) fn check_url(url: &str) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|error| format!("'{url}' is no address of a webhook: {error}"))?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().map(|it| it.as_str()).unwrap_or_default();
    if !is_http || authority.is_empty() || authority.contains('@') {
        return Err("the url of a webhook begins with http:// or https:// and has a host, and no password".to_owned());
    }
    Ok(())
}

/// Finds the addresses of a name, and leaves out those that are never sent to.
#[derive(Debug, Default)]
pub(super) struct SafeResolver {
    inner: DefaultResolver,
    /// `true` if networks of the house may be sent to.
    private: bool,
}

impl SafeResolver {
    /// One that leads to networks of the house as well, or not.
    pub(super) fn new(private: bool) -> Self {
        Self { inner: DefaultResolver::default(), private }
    }
}

impl Resolver for SafeResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut safe = self.empty();
        let found = self.inner.resolve(uri, config, timeout)?;
        let mut refused = None;
        for address in &found[..] {
            match refusal(address.ip(), self.private) {
                None => safe.push(*address),
                Some(why) => refused = Some(format!("{REFUSED}: {} is {why}", address.ip())),
            }
        }
        match (safe.is_empty(), refused) {
            (true, Some(why)) => Err(Error::Other(why.into())),
            (true, None) => Err(Error::HostNotFound),
            (false, _) => Ok(safe),
        }
    }
}

/// Why an address is not sent to; `None` for one that is.
fn refusal(address: IpAddr, private: bool) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refusal_v4(address, private),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(inner) => refusal_v4(inner, private),
            None => refusal_v6(address, private),
        },
    }
}

/// The address of the older kind that one of the newer kind leads to.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let inner = Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let is_mapped = [a, b, c, d, e] == [0; 5] && (f == 0xffff || (f == 0 && high != 0));
    let is_translated = [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0];
    (is_mapped || is_translated).then_some(inner)
}

fn refusal_v4(address: Ipv4Addr, private: bool) -> Option<&'static str> {
    let [first, second, ..] = address.octets();
    if address.is_link_local()
        || address == Ipv4Addr::new(100, 100, 100, 200)
        || address == Ipv4Addr::new(168, 63, 129, 16)
    {
        return Some("link-local, or that of a cloud's metadata");
    }
    if address.is_unspecified() || address.is_broadcast() || address.is_multicast() || first == 0 || first >= 240 {
        return Some("that of no single host");
    }
    let is_shared = first == 100 && (64..128).contains(&second);
    (!private && (address.is_loopback() || address.is_private() || is_shared))
        .then_some("in a private network: set private = true to allow it")
}

fn refusal_v6(address: Ipv6Addr, private: bool) -> Option<&'static str> {
    let first = address.segments()[0];
    if first & 0xffc0 == 0xfe80 || address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254) {
        return Some("link-local, or that of a cloud's metadata");
    }
    if address.is_unspecified() || address.is_multicast() {
        return Some("that of no single host");
    }
    (!private && (address.is_loopback() || first & 0xfe00 == 0xfc00))
        .then_some("in a private network: set private = true to allow it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_link_local_addresses_are_never_sent_to_and_private_ones_if_allowed() {
        let refused = |text: &str, private| refusal(text.parse().unwrap(), private).is_some();
        for never in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "fe80::1",
            "fd00:ec2::254",
            "::",
            "ff02::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert!(refused(never, true) && refused(never, false), "{never}");
        }
        for inside in
            ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "::1", "fd12::1", "::ffff:127.0.0.1"]
        {
            assert!(refused(inside, false) && !refused(inside, true), "{inside}");
        }
        for outside in ["1.1.1.1", "2606:4700::1111"] {
            assert!(!refused(outside, false), "{outside}");
        }
    }

    #[test]
    fn an_address_of_a_webhook_has_a_scheme_and_a_host_and_no_password() {
        for good in ["https://hooks.example/T/x?y=1", "http://localhost:9"] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in ["ftp://x", "hooks.example", "https://user:secret@host/", "", "file:///etc/passwd"] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
