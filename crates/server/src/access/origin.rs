//! The origin of a request: the address of its caller, and whether a browser reached it by TLS.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::TrustedProxies;

/// The address of the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerAddress(pub(crate) SocketAddr);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Headers that proxies add: a request that has one comes from somewhere else than it seems.
const FORWARDED: [HeaderName; 6] = [
    axum::http::header::FORWARDED,
    axum::http::header::VIA,
    FORWARDED_FOR,
    FORWARDED_PROTO,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// The origin of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The caller's address; `None` where nothing is known of the connection.
    pub(crate) address: Option<IpAddr>,
    /// A proxy has passed it on.
    pub(crate) is_forwarded: bool,
    /// A trusted proxy has it from a caller who speaks TLS.
    pub(crate) is_https: bool,
}

impl Origin {
    pub(crate) fn of(request: &Request, proxies: &TrustedProxies) -> Self {
        let peer = request.extensions().get::<PeerAddress>().map(|peer| peer.0.ip().to_canonical());
        let headers = request.headers();
        let is_forwarded = FORWARDED.iter().any(|name| headers.contains_key(name));
        if !peer.is_some_and(|peer| proxies.contains(peer)) {
            return Self { address: peer, is_forwarded, is_https: false };
        }
        let is_https = last(headers, &FORWARDED_PROTO).is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
        Self { address: forwarded_for(headers, proxies).or(peer), is_forwarded, is_https }
    }
}

/// The last address of the chain that is not a trusted proxy's: what stands before it anybody can write.
fn forwarded_for(headers: &HeaderMap, proxies: &TrustedProxies) -> Option<IpAddr> {
    let texts: Vec<&str> = texts(headers, &FORWARDED_FOR).collect();
    let mut nearest = None;
    for text in texts.iter().rev() {
        let Ok(address) = text.parse::<IpAddr>() else { return nearest };
        nearest = Some(address.to_canonical());
        if !proxies.contains(address) {
            return nearest;
        }
    }
    nearest
}

fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    texts(headers, name).last()
}

fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn origin(peer: &str, headers: &[(&str, &str)]) -> Origin {
        let proxies = TrustedProxies::new(&["127.0.0.1".to_owned(), "10.0.0.0/8".to_owned()]).unwrap();
        let request = headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(PeerAddress(SocketAddr::new(peer.parse().unwrap(), 4_711)));
        Origin::of(&request, &proxies)
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_in_what_it_has_seen_itself() {
        let address = |peer, headers: &[_]| origin(peer, headers).address.unwrap().to_string();
        let chain = [("x-forwarded-for", "192.0.2.66, 198.51.100.7, 10.1.2.3")];
        assert_eq!(address("127.0.0.1", &chain), "198.51.100.7");
        assert_eq!(address("203.0.113.1", &chain), "203.0.113.1");
        assert_eq!(address("127.0.0.1", &[("x-forwarded-for", "nonsense")]), "127.0.0.1");
        assert_eq!(address("127.0.0.1", &[("x-forwarded-for", "nonsense, 10.0.0.9")]), "10.0.0.9");
        assert_eq!(address("127.0.0.1", &[]), "127.0.0.1");
        let two = [("x-forwarded-for", "192.0.2.66"), ("x-forwarded-for", "198.51.100.7")];
        assert_eq!(address("127.0.0.1", &two), "198.51.100.7");
    }

    #[test]
    fn tls_is_what_a_trusted_proxy_says_last() {
        let proto = |text| [("x-forwarded-proto", text)];
        assert!(origin("127.0.0.1", &proto("https")).is_https);
        assert!(origin("127.0.0.1", &proto("http, HTTPS")).is_https);
        assert!(!origin("127.0.0.1", &proto("https, http")).is_https);
        let foreign = origin("203.0.113.1", &proto("https"));
        assert!(!foreign.is_https && foreign.is_forwarded);
        assert!(!origin("127.0.0.1", &[]).is_forwarded);
    }
}
