//! A way to the server on which connections are cut at a chosen moment: before a message arrives, or before its answer.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

/// The message `ReadyForQuery` of a server that is in no transaction.
const IDLE: &[u8] = b"Z\0\0\0\x05I";

/// When a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// The next message with this text never arrives.
    Before(&'static str),
    /// It arrives and is answered, and nobody hears the answer.
    Behind(&'static str),
}

/// A proxy between a client on TCP and the test server's socket.
pub(super) struct Proxy {
    next: Arc<Mutex<VecDeque<Cut>>>,
    url: String,
}

impl Proxy {
    /// Stands in front of the server of a URL that names a socket.
    pub(super) fn before(url: &str) -> Self {
        let (head, rest) = url.split_once('@').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let (folder, port) = server.rsplit_once(':').unwrap();
        let socket = format!("{}/.s.PGSQL.{port}", folder.replace("%2F", "/"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let next = Arc::new(Mutex::new(VecDeque::new()));
        let cuts = Arc::clone(&next);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let server = UnixStream::connect(&socket).unwrap();
                forward(client, server, Arc::clone(&cuts));
            }
        });
        Self { next, url: format!("{head}@{address}/{database}?sslmode=disable") }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Cuts once, after the cuts that it was reported before.
    pub(super) fn cut(&self, cut: Cut) {
        self.next.lock().unwrap().push_back(cut);
    }

    /// Whether all cuts were made.
    pub(super) fn has_cut(&self) -> bool {
        self.next.lock().unwrap().is_empty()
    }
}

fn forward(client: TcpStream, server: UnixStream, cuts: Arc<Mutex<VecDeque<Cut>>>) {
    let silent = Arc::new(Mutex::new(false));
    let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (mut from_server, mut to_client, hushed) = (server, client, Arc::clone(&silent));
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok(length @ 1..) = from_client.read(&mut buffer) {
            let message = &buffer[..length];
            let holds = |text: &str| message.windows(text.len()).any(|window| window == text.as_bytes());
            let cut = {
                let mut next = cuts.lock().unwrap();
                next.pop_front_if(|cut| matches!(cut, Cut::Before(text) | Cut::Behind(text) if holds(text)))
            };
            match cut {
                Some(Cut::Before(_)) => break,
                Some(Cut::Behind(_)) => *silent.lock().unwrap() = true,
                None => {}
            }
            if to_server.write_all(message).is_err() {
                break;
            }
        }
        let _ = from_client.shutdown(Shutdown::Both);
        let _ = to_server.shutdown(std::net::Shutdown::Both);
    });
    std::thread::spawn(move || {
        let (mut buffer, mut unheard) = (vec![0; 65_536], Vec::new());
        while let Ok(length @ 1..) = from_server.read(&mut buffer) {
            if *hushed.lock().unwrap() {
                unheard.extend_from_slice(&buffer[..length]);
                // An answer to what was sent before does not count: only this says that the transaction has ended.
                if unheard.windows(IDLE.len()).any(|window| window == IDLE) {
                    break;
                }
            } else if to_client.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
        let _ = from_server.shutdown(std::net::Shutdown::Both);
    });
}
