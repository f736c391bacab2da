//! Access: the right that each route needs, the caller of a request, and what is known of tokens and failed logins.

mod caller;
mod failure_log;
mod failures;
mod identify;
mod origin;
mod proxies;
mod rights;
mod scrapers;
mod sight;
mod tokens;
mod watch;

pub(crate) use caller::{Caller, Via};
pub(crate) use failure_log::keep as keep_failure;
pub(crate) use failures::FailedLogins;
pub(crate) use identify::{IdentifyError, identify};
pub(crate) use origin::{Origin, PeerAddress};
pub use proxies::TrustedProxies;
pub(crate) use rights::{Needed, SCHEMES, administer, data, needed, open, operate, view};
pub(crate) use sight::Sight;
pub(crate) use tokens::TokensExist;
pub(crate) use watch::cut_when_over;

use failure_log::FailureLog;
use scrapers::Scrapers;

use crate::columns::ColumnMask;
use crate::config::ServerConfig;

/// The name of the cookie of a session.
pub(crate) const COOKIE: &str = "oxbatch_session";

/// The settings and the memory of access, shared by all requests.
#[derive(Debug)]
pub(crate) struct Access {
    /// Everybody is served who reaches the service from this machine, until there is a token.
    pub(crate) is_local: bool,
    /// Everybody is served who reaches the service, until there is a token.
    pub(crate) is_insecure: bool,
    /// Nothing is changed.
    pub(crate) read_only: bool,
    /// Paths that are shown without a token.
    pub(crate) public: Vec<String>,
    /// The columns of records that are hidden from who has not been given the data.
    pub(crate) mask: ColumnMask,
    pub(crate) proxies: TrustedProxies,
    pub(crate) failures: FailedLogins,
    pub(crate) failure_log: FailureLog,
    pub(crate) tokens: TokensExist,
    pub(crate) scrapers: Scrapers,
}

impl Access {
    pub(crate) fn new(config: &ServerConfig, is_loopback: bool) -> Self {
        Self {
            // Behind a proxy every caller seems to be on this machine.
            is_local: is_loopback && config.trusted_proxies.is_empty(),
            is_insecure: config.insecure,
            read_only: config.read_only,
            public: config.public.clone(),
            mask: ColumnMask::new(&config.mask),
            proxies: config.trusted_proxies.clone(),
            failures: FailedLogins::default(),
            failure_log: FailureLog::default(),
            tokens: TokensExist::default(),
            scrapers: Scrapers::default(),
        }
    }
}
