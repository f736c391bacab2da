//! Takes the address and runs the accept loop: bounded connections, time-outs, and a drain at the end.

mod stall;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use oxbatch_core::Engine;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::access::PeerAddress;
use crate::config::{Limits, ServerConfig};
use crate::middleware::AllowedHosts;
use crate::repeats::Repeats;
use crate::router::router;
use crate::state::AppState;
use stall::StallGuard;

/// Pause after a failed accept: when the process is out of file descriptors, the next attempt fails too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// An address that was taken; connections wait in the system's queue until [`serve`] accepts them.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    config: ServerConfig,
}

/// The reason why the service cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is no `host:port`, or its host has no address.
    #[error("cannot find the address '{listen}': give a host and a port, such as 127.0.0.1:8000")]
    Resolve {
        /// The given value.
        listen: String,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// Other machines could reach it without saying who they are.
    #[error(
        "{address} can be reached from other machines, and nobody would have to say who they are: make a token first with 'oxbatch tokens create --role admin', or listen on 127.0.0.1, or serve everybody with --insecure"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// Another program listens there.
    #[error("port {} of {} is in use: stop the program that listens there, or choose another port", address.port(), address.ip())]
    AddressInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The machine has no such address.
    #[error("this machine has no address {}: choose one that it has, such as 127.0.0.1", address.ip())]
    AddressNotAvailable {
        /// The address.
        address: SocketAddr,
    },
    /// The port is reserved.
    #[error("listening on port {} needs rights that this process has not: choose a port of 1024 or more", address.port())]
    PermissionDenied {
        /// The address.
        address: SocketAddr,
    },
    /// Anything else that the system says.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// An allowed host is no name and no address.
    #[error("allowed host '{host}' is no host: give a name or an address, such as batch.example.org")]
    AllowedHost {
        /// The given value.
        host: String,
    },
}

impl Bound {
    /// The address on which it listens; the real port when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Takes the address, so that no other program can, without answering yet.
///
/// # Errors
/// [`ServeError`] says in one sentence what is wrong with the address and what to choose instead.
pub async fn bind(config: &ServerConfig) -> Result<Bound, ServeError> {
    if let Some(host) = config.allowed_hosts.iter().find(|host| !AllowedHosts::is_host(host)) {
        return Err(ServeError::AllowedHost { host: host.clone() });
    }
    let unresolved = |source| ServeError::Resolve { listen: config.listen.clone(), source };
    let addresses: Vec<_> = lookup_host(&config.listen).await.map_err(unresolved)?.collect();
    let mut refused = None;
    for address in addresses {
        if !config.insecure && !config.has_tokens && !address.ip().is_loopback() {
            return Err(ServeError::NotLoopback { address });
        }
        let bound = TcpListener::bind(address).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
        match bound {
            Ok((address, listener)) => return Ok(Bound { listener, address, config: config.clone() }),
            Err(source) => {
                refused.get_or_insert_with(|| bind_error(address, source));
            }
        }
    }
    Err(refused.unwrap_or_else(|| unresolved(io::Error::other("the host has no address"))))
}

fn bind_error(address: SocketAddr, source: io::Error) -> ServeError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::AddressInUse { address },
        io::ErrorKind::AddrNotAvailable => ServeError::AddressNotAvailable { address },
        io::ErrorKind::PermissionDenied => ServeError::PermissionDenied { address },
        _ => ServeError::Bind { address, source },
    }
}

/// Answers requests until `shutdown` is cancelled. Then it accepts no more, lets the requests in work finish for the
/// configured time, cuts what is left, and returns. The engine is left as it is.
pub async fn serve(bound: Bound, engine: Engine, shutdown: CancellationToken) {
    let Bound { listener, address, config } = bound;
    let limits = config.limits.clone();
    let router = router(AppState::new(engine, &config, address, shutdown.clone()));
    let connections = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = GracefulShutdown::new();
    let cut = CancellationToken::new();
    let repeats = Repeats::default();
    while let Some((stream, peer, permit)) = accept(&listener, &connections, &shutdown, &repeats).await {
        let (watcher, cut) = (graceful.watcher(), cut.clone());
        let connection = Connection { watcher, cut, limits: limits.clone(), peer, permit };
        tokio::spawn(connection.answer(stream, router.clone()));
    }
    drop(listener);
    if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(drain = ?limits.drain, "requests did not finish in time and were cut off");
    }
    cut.cancel();
}

/// The next connection and its permit; `None` when it is time to shut down.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
    shutdown: &CancellationToken,
    repeats: &Repeats,
) -> Option<(TcpStream, PeerAddress, OwnedSemaphorePermit)> {
    let permit = tokio::select! {
        () = shutdown.cancelled() => return None,
        permit = Arc::clone(connections).acquire_owned() => permit.ok()?,
    };
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => return Some((stream, PeerAddress(peer), permit)),
            Err(error) => {
                if let Some(left_out) = repeats.admit(&error.to_string()) {
                    tracing::warn!(%error, left_out, "a connection could not be accepted");
                }
                tokio::select! {
                    () = shutdown.cancelled() => return None,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
}

struct Connection {
    watcher: Watcher,
    cut: CancellationToken,
    limits: Limits,
    peer: PeerAddress,
    permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn answer(self, stream: TcpStream, router: Router) {
        let Self { watcher, cut, limits, peer, permit } = self;
        // An answer is written whole; waiting for more to send only delays it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was closed before it was answered");
            return;
        }
        let io = TokioIo::new(StallGuard::new(stream, limits.write_timeout));
        let service = TowerToHyperService::new(router);
        let service = service_fn(move |mut request| {
            request.extensions_mut().insert(peer);
            service.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(io, service);
        tokio::select! {
            ended = watcher.watch(connection) => {
                if let Err(error) = ended {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early");
                }
            }
            () = cut.cancelled() => {}
        }
        drop(permit);
    }
}
