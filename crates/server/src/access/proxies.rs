//! The proxies whose word on the caller's address and on TLS is believed.

use std::net::IpAddr;
use std::str::FromStr;

/// Networks of trusted proxies, such as `127.0.0.1` or `10.0.0.0/8`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

/// A network: the addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    first: IpAddr,
    bits: u32,
}

impl TrustedProxies {
    /// The networks of a list of texts.
    ///
    /// # Errors
    /// When one is neither an address nor a network.
    pub fn new(texts: &[String]) -> Result<Self, String> {
        let read = |text: &String| {
            let read = text.trim().parse();
            read.map_err(|()| format!("'{text}' is no address such as 127.0.0.1, and no network such as 10.0.0.0/8"))
        };
        texts.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether an address is that of a trusted proxy.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address.to_canonical()))
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let head = |address: IpAddr| match address {
            IpAddr::V4(four) => (u128::from(u32::from(four)) << 96, 32),
            IpAddr::V6(six) => (u128::from(six), 128),
        };
        let ((own, width), (other, other_width)) = (head(self.first), head(address));
        width == other_width && (self.bits == 0 || (own ^ other) >> (128 - self.bits) == 0)
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| ())?)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| ())?;
        let width = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        if bits <= width { Ok(Self { first: first.to_canonical(), bits }) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_told_apart() {
        let proxies = TrustedProxies::new(&["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"].map(str::to_owned)).unwrap();
        for inside in ["127.0.0.1", "::ffff:127.0.0.1", "10.255.3.4", "2001:db8:ffff::1"] {
            assert!(proxies.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["127.0.0.2", "11.0.0.1", "2001:db9::1", "::1"] {
            assert!(!proxies.contains(outside.parse().unwrap()), "{outside}");
        }
        let all = TrustedProxies::new(&["0.0.0.0/0".to_owned()]).unwrap();
        assert!(all.contains("192.0.2.1".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
        for wrong in ["proxy.example", "10.0.0.0/33", "10.0.0.0/", "/8", ""] {
            assert!(TrustedProxies::new(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
