//! A proxy before the test server: it cuts a connection before a message arrives or before its answer, or all of them
//! for good.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// A proxy between clients on TCP and the server's socket. Dropped, it cuts all connections, and takes no more.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    url: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    socket: String,
    cuts: Mutex<VecDeque<Cut>>,
    /// Both ends of each open connection; nothing once it was cut for good.
    open: Mutex<Option<Vec<(TcpStream, UnixStream)>>>,
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
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared { socket, cuts: Mutex::default(), open: Mutex::new(Some(Vec::new())) });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if !accepting.connect(client) {
                    return;
                }
            }
        });
        Self { address, url: format!("{head}@{address}/{database}?sslmode=disable"), shared }
    }

    /// The URL of the database by way of the proxy.
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
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let open = lock(&self.shared.open).take();
        for (client, server) in open.into_iter().flatten() {
            // They may be closed already.
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
        // The accepting thread wakes up, finds that all is cut, and ends.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// Forwards between a client and the server. `false` once all is cut for good.
    fn connect(self: &Arc<Self>, client: TcpStream) -> bool {
        let mut open = lock(&self.open);
        let Some(open) = open.as_mut() else { return false };
        let Ok(server) = UnixStream::connect(&self.socket) else { return true };
        let Ok(clones) = client.try_clone().and_then(|client| Ok((client, server.try_clone()?))) else { return true };
        let Ok(kept) = client.try_clone().and_then(|client| Ok((client, server.try_clone()?))) else { return true };
        open.push(kept);
        let silent = Arc::new(Mutex::new(false));
        let (shared, hushed) = (Arc::clone(self), Arc::clone(&silent));
        std::thread::spawn(move || shared.forward_messages(client, clones.1, &silent));
        std::thread::spawn(move || forward_answers(server, clones.0, &hushed));
        true
    }

    fn forward_messages(&self, mut client: TcpStream, mut server: UnixStream, silent: &Mutex<bool>) {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            let message = &buffer[..length];
            let holds = |text: &str| message.windows(text.len()).any(|window| window == text.as_bytes());
            let cut = lock(&self.cuts)
                .pop_front_if(|cut| matches!(cut, Cut::Before(text) | Cut::Behind(text) if holds(text)));
            match cut {
                Some(Cut::Before(_)) => break,
                Some(Cut::Behind(_)) => *lock(silent) = true,
                None => {}
            }
            if server.write_all(message).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    }
}

fn forward_answers(mut server: UnixStream, mut client: TcpStream, silent: &Mutex<bool>) {
    let (mut buffer, mut unheard) = (vec![0; BUFFER_BYTES], Vec::new());
    while let Ok(length @ 1..) = server.read(&mut buffer) {
        if *lock(silent) {
            unheard.extend_from_slice(&buffer[..length]);
            // An answer to an earlier message does not count: only this says that the transaction has ended.
            if unheard.windows(IDLE.len()).any(|window| window == IDLE) {
                break;
            }
        } else if client.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
