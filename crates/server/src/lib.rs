//! The HTTP interface of Oxbatch: one router over one engine, with its own accept loop.
//!
//! [`bind`] takes the address, so that a port in use is reported before anything runs; [`serve`] answers until it is
//! asked to shut down, and lets the requests that it has accepted finish. Every error is an RFC 9457 problem document,
//! every response carries `x-request-id`, and `/openapi.json` describes all of it.
//!
//! ```no_run
//! # async fn run(engine: oxbatch_core::Engine) -> Result<(), oxbatch_server::ServeError> {
//! use tokio_util::sync::CancellationToken;
//!
//! let bound = oxbatch_server::bind(&oxbatch_server::ServerConfig::new("127.0.0.1:8000")).await?;
//! println!("listening on http://{}", bound.address());
//! oxbatch_server::serve(bound, engine, CancellationToken::new()).await;
//! # Ok(())
//! # }
//! ```

mod access;
mod api;
mod columns;
mod config;
#[cfg(feature = "docs")]
mod docs;
mod error;
mod extract;
mod job_counts;
mod middleware;
mod openapi;
#[cfg(feature = "pages")]
mod pages;
mod polls;
mod repeats;
#[cfg(feature = "metrics")]
mod requests;
mod router;
mod serve;
mod state;
pub mod view;

pub use access::TrustedProxies;
pub use config::{
    DEFAULT_BODY_TIMEOUT, DEFAULT_DRAIN, DEFAULT_HEADER_TIMEOUT, DEFAULT_LISTEN, DEFAULT_MAX_BODY_BYTES,
    DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_PREVIEWS, DEFAULT_MAX_REQUESTS, DEFAULT_MAX_STREAMS, DEFAULT_MAX_WAITING,
    DEFAULT_WRITE_TIMEOUT, Limits, PUBLIC_PATHS, ServerConfig,
};
pub use openapi::document;
pub use repeats::Repeats;
#[cfg(feature = "pages")]
pub use router::pages;
pub use router::router;
pub use serve::{Bound, ServeError, bind, serve};
pub use state::AppState;
