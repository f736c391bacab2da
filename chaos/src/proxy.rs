//! The wire between a node and PostgreSQL: it can be cut, or swallow everything in silence.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The state of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Whole = 0,
    /// Connections are closed, and new ones too.
    Cut = 1,
    /// Nothing gets through, and nobody is told.
    Silent = 2,
}

/// Time between looks of a piece of wire at its state.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A proxy of its own thread; it ends with the process.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    wire: AtomicU8,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub(crate) fn start(target: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let shared = Arc::new(Shared { target, wire: AtomicU8::new(0), open: Mutex::default() });
        let proxy = Self { address: listener.local_addr()?, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.connect(&client));
            }
        });
        Ok(proxy)
    }

    pub(crate) fn set(&self, wire: Wire) {
        self.shared.wire.store(wire as u8, Ordering::SeqCst);
        if wire == Wire::Cut {
            for stream in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                // It may be closed already.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Shared {
    fn is(&self, wire: Wire) -> bool {
        self.wire.load(Ordering::SeqCst) == wire as u8
    }

    fn connect(self: &Arc<Self>, client: &TcpStream) {
        if self.is(Wire::Cut) {
            return;
        }
        let Ok(server) = TcpStream::connect(self.target) else { return };
        let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else { return };
        let kept = [client.try_clone(), server.try_clone()];
        self.open.lock().unwrap_or_else(PoisonError::into_inner).extend(kept.into_iter().flatten());
        let back = Arc::clone(self);
        let backwards = std::thread::spawn(move || back.carry(&server_too, &client_too));
        self.carry(client, &server);
        // It ends by itself: both sockets are shut down by whoever ends first.
        let _ = backwards.join();
    }

    fn carry(&self, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = match from.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(length) => length,
            };
            // What was on its way while the wire was silent arrives late, or never.
            while self.is(Wire::Silent) {
                std::thread::sleep(LOOK_EVERY);
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
