//! A proxy before a server: it cuts a connection before a message arrives or before its answer, or all of them, or
//! swallows everything in silence.

mod stream;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use stream::{Server, Stream};

/// The message `ReadyForQuery` of a server that is in no transaction.
const IDLE: &[u8] = b"Z\0\0\0\x05I";
/// Bytes that are forwarded at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// The moment at which a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The next message with this text never arrives.
    Before(&'static str),
    /// It arrives and is answered, and nobody hears the answer.
    Behind(&'static str),
}

/// The state of all connections together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wire {
    /// Everything gets through.
    #[default]
    Whole,
    /// Connections are closed, and new ones too.
    Cut,
    /// Nothing gets through, and nobody is told. Messages that were on their way arrive late, or never.
    Silent,
}

/// A proxy between clients on TCP and a server. Dropped, it cuts all connections, and takes no more.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    url: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: Server,
    cuts: Mutex<VecDeque<Cut>>,
    wire: Mutex<Wire>,
    wire_changed: Condvar,
    /// Both ends of each open connection; nothing once it was cut for good.
    open: Mutex<Option<Vec<Connection>>>,
}

/// The two ends of a connection.
#[derive(Debug)]
struct Connection {
    client: Stream,
    server: Stream,
}

impl Connection {
    fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Self { client: self.client.try_clone()?, server: self.server.try_clone()? })
    }

    fn shut_down(&self) {
        // They may be closed already.
        let _ = self.client.shut_down();
        let _ = self.server.shut_down();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// A proxy before the server of a URL that names a socket.
    ///
    /// # Panics
    /// When the URL names none, or there is no free port.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub fn before(url: &str) -> Self {
        let (head, rest) = url.split_once('@').expect("the URL names a user");
        let (server, database) = rest.split_once('/').expect("the URL names a database");
        let (folder, port) = server.rsplit_once(':').expect("the URL names a port");
        let socket = format!("{}/.s.PGSQL.{port}", folder.replace("%2F", "/"));
        let url = |address| format!("{head}@{address}/{database}?sslmode=disable");
        Self::start(Server::Socket(socket), url).expect("there is a free port")
    }

    /// A proxy before a server on TCP.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn before_address(server: SocketAddr) -> std::io::Result<Self> {
        Self::start(Server::Address(server), |address| address.to_string())
    }

    fn start(server: Server, url: impl FnOnce(SocketAddr) -> String) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            cuts: Mutex::default(),
            wire: Mutex::default(),
            wire_changed: Condvar::new(),
            open: Mutex::new(Some(Vec::new())),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if !accepting.connect(client) {
                    return;
                }
            }
        });
        Ok(Self { address, url: url(address), shared })
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the database by way of the proxy; the address alone where the server has no URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Cuts once, after the cuts that were asked for before.
    pub fn cut(&self, cut: Cut) {
        lock(&self.shared.cuts).push_back(cut);
    }

    /// All cuts that were asked for have happened.
    pub fn has_cut(&self) -> bool {
        lock(&self.shared.cuts).is_empty()
    }

    /// Sets the state of all connections.
    pub fn set(&self, wire: Wire) {
        *lock(&self.shared.wire) = wire;
        self.shared.wire_changed.notify_all();
        if wire == Wire::Cut
            && let Some(open) = lock(&self.shared.open).as_mut()
        {
            open.drain(..).for_each(|connection| connection.shut_down());
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let open = lock(&self.shared.open).take();
        open.into_iter().flatten().for_each(|connection| connection.shut_down());
        self.set(Wire::Cut);
        // The accepting thread wakes up, finds that all is cut, and ends.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// Forwards between a client and the server. `false` once all is cut for good.
    fn connect(self: &Arc<Self>, client: TcpStream) -> bool {
        let mut open = lock(&self.open);
        let Some(open) = open.as_mut() else { return false };
        if *lock(&self.wire) == Wire::Cut {
            return true;
        }
        let Ok(server) = self.server.connect() else { return true };
        let connection = Connection { client: Stream::Tcp(client), server };
        let (Ok(back), Ok(kept)) = (connection.try_clone(), connection.try_clone()) else { return true };
        open.push(kept);
        let silent = Arc::new(Mutex::new(false));
        let (shared, hushed) = (Arc::clone(self), Arc::clone(&silent));
        std::thread::spawn(move || shared.forward_messages(connection, &silent));
        let shared = Arc::clone(self);
        std::thread::spawn(move || shared.forward_answers(back, &hushed));
        true
    }

    /// Returns once something gets through, or all is cut.
    fn wait_for_wire(&self) {
        let silent = |wire: &mut Wire| *wire == Wire::Silent;
        drop(self.wire_changed.wait_while(lock(&self.wire), silent).unwrap_or_else(PoisonError::into_inner));
    }

    fn forward_messages(&self, mut connection: Connection, silent: &Mutex<bool>) {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(length @ 1..) = connection.client.read(&mut buffer) {
            let message = &buffer[..length];
            let holds = |text: &str| message.windows(text.len()).any(|window| window == text.as_bytes());
            let cut = lock(&self.cuts)
                .pop_front_if(|cut| matches!(cut, Cut::Before(text) | Cut::Behind(text) if holds(text)));
            match cut {
                Some(Cut::Before(_)) => break,
                Some(Cut::Behind(_)) => *lock(silent) = true,
                None => {}
            }
            self.wait_for_wire();
            if connection.server.write_all(message).is_err() {
                break;
            }
        }
        connection.shut_down();
    }

    fn forward_answers(&self, mut connection: Connection, silent: &Mutex<bool>) {
        let (mut buffer, mut unheard) = (vec![0; BUFFER_BYTES], Vec::new());
        while let Ok(length @ 1..) = connection.server.read(&mut buffer) {
            if *lock(silent) {
                unheard.extend_from_slice(&buffer[..length]);
                // An answer to an earlier message does not count: only this says that the transaction has ended.
                if unheard.windows(IDLE.len()).any(|window| window == IDLE) {
                    break;
                }
                continue;
            }
            self.wait_for_wire();
            if connection.client.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        connection.shut_down();
    }
}
