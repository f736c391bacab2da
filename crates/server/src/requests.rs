//! The sums of the requests that were answered, by the pattern of their path: bounded by the routes that there are.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::Method;

/// The path of a request that no route takes.
const NO_ROUTE: &str = "(none)";

/// The requests of one route with one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestSums {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) count: u64,
    pub(crate) time: Duration,
}

/// Method, pattern of the path, status.
type Key = (&'static str, String, u16);

/// Sums of requests.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    sums: Mutex<BTreeMap<Key, (u64, Duration)>>,
}

impl Requests {
    /// Counts a request by the pattern of the route that took it.
    pub(crate) fn count(&self, method: &Method, route: Option<&str>, status: u16, took: Duration) {
        let key = (known(method), route.unwrap_or(NO_ROUTE).to_owned(), status);
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, time) = sums.entry(key).or_default();
        *count += 1;
        *time += took;
    }

    /// All sums.
    pub(crate) fn all(&self) -> Vec<RequestSums> {
        let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |((method, path, status), (count, time)): (&Key, &(u64, Duration))| RequestSums {
            method,
            path: path.clone(),
            status: *status,
            count: *count,
            time: *time,
        };
        sums.iter().map(one).collect()
    }
}

/// The name of a method; any name may stand in a request.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
