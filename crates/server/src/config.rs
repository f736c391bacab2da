//! The settings of the HTTP interface: where it listens, whom it answers, and its limits.

use std::time::Duration;

use crate::access::TrustedProxies;

/// The default address.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8000";
/// The paths that may be shown without a token, where the settings say so.
pub const PUBLIC_PATHS: [&str; 2] = ["/metrics", "/openapi.json"];
/// Largest body of a request.
pub const DEFAULT_MAX_BODY_BYTES: usize = 1024 * 1024;
/// The time that the head of a request may take, and that a kept connection may be idle.
pub const DEFAULT_HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that the body of a request may take.
pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that a client may leave an answer unread.
pub const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections that are open at once; further ones wait in the system's queue.
pub const DEFAULT_MAX_CONNECTIONS: usize = 1_024;
/// Requests that are worked on at once; further ones are refused.
pub const DEFAULT_MAX_REQUESTS: usize = 512;
/// Requests that wait at once for an execution to end; further ones are answered without a wait.
pub const DEFAULT_MAX_WAITING: usize = 256;
/// Previews that run at once; further ones are refused.
pub const DEFAULT_MAX_PREVIEWS: usize = 4;
/// Streams of events that are open at once; further ones are refused.
pub const DEFAULT_MAX_STREAMS: usize = 256;
/// The time that a shutdown lets requests finish.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(5);

/// The settings of the HTTP interface. Everything but the address has a default.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Host or address and port; port 0 takes a free one. [`DEFAULT_LISTEN`]
    pub listen: String,
    /// Hosts by which it may be called besides `localhost`, `127.0.0.1`, `[::1]` and the one it listens on.
    pub allowed_hosts: Vec<String>,
    /// Listen on an address that other machines can reach, although nobody has to say who they are.
    pub insecure: bool,
    /// Proxies whose word on the caller's address and on TLS is believed; with any, a token is always needed.
    pub trusted_proxies: TrustedProxies,
    /// Paths that are shown without a token: of [`PUBLIC_PATHS`].
    pub public: Vec<String>,
    /// Nothing is changed through it.
    pub read_only: bool,
    /// Columns of records, shown as `***` to all tokens that have not been given the data.
    pub mask: Vec<String>,
    /// Listen on an address that other machines can reach, since a token is needed.
    pub has_tokens: bool,
    /// Bounds on sizes, times and numbers.
    pub limits: Limits,
}

/// Bounds on sizes, times and numbers, so that no client can take the service from the others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest body of a request in bytes. [`DEFAULT_MAX_BODY_BYTES`]
    pub max_body_bytes: usize,
    /// Time for the head of a request. [`DEFAULT_HEADER_TIMEOUT`]
    pub header_timeout: Duration,
    /// Time for the body of a request. [`DEFAULT_BODY_TIMEOUT`]
    pub body_timeout: Duration,
    /// Time that a client may leave an answer unread. [`DEFAULT_WRITE_TIMEOUT`]
    pub write_timeout: Duration,
    /// Open connections. [`DEFAULT_MAX_CONNECTIONS`]
    pub max_connections: usize,
    /// Requests at once. [`DEFAULT_MAX_REQUESTS`]
    pub max_requests: usize,
    /// Requests at once that wait for an execution to end. [`DEFAULT_MAX_WAITING`]
    pub max_waiting: usize,
    /// Previews at once, those that their callers have given up included. [`DEFAULT_MAX_PREVIEWS`]
    pub max_previews: usize,
    /// Streams of events at once. [`DEFAULT_MAX_STREAMS`]
    pub max_streams: usize,
    /// Time for requests to finish at a shutdown. [`DEFAULT_DRAIN`]
    pub drain: Duration,
}

impl ServerConfig {
    /// The defaults for an address.
    pub fn new(listen: impl Into<String>) -> Self {
        Self {
            listen: listen.into(),
            allowed_hosts: Vec::new(),
            insecure: false,
            trusted_proxies: TrustedProxies::default(),
            public: Vec::new(),
            read_only: false,
            mask: Vec::new(),
            has_tokens: false,
            limits: Limits::default(),
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::new(DEFAULT_LISTEN)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: DEFAULT_MAX_BODY_BYTES,
            header_timeout: DEFAULT_HEADER_TIMEOUT,
            body_timeout: DEFAULT_BODY_TIMEOUT,
            write_timeout: DEFAULT_WRITE_TIMEOUT,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_requests: DEFAULT_MAX_REQUESTS,
            max_waiting: DEFAULT_MAX_WAITING,
            max_previews: DEFAULT_MAX_PREVIEWS,
            max_streams: DEFAULT_MAX_STREAMS,
            drain: DEFAULT_DRAIN,
        }
    }
}
