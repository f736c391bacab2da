//! Nodes that can die inside of the test's process: from one moment on nothing of theirs reaches the database.

use oxbatch_core::{Engine, Job};

use crate::harness::TestStore;

/// By what a node reaches its database.
pub(crate) struct Lifeline {
    #[cfg(feature = "postgres")]
    line: Option<line::Line>,
}

impl TestStore {
    /// A node that can die.
    pub(crate) async fn mortal(&self, jobs: impl IntoIterator<Item = Job>) -> (Engine, Lifeline) {
        #[cfg(feature = "postgres")]
        if let Some(database) = self.database() {
            let line = line::Line::to(database.url());
            let settings = oxbatch_storage::PostgresSettings::from_url(line.url()).unwrap();
            let repository = oxbatch_storage::PostgresRepository::open(settings).await.unwrap();
            let engine = Self::start(std::sync::Arc::new(repository), jobs, |_| {}).await;
            return (engine, Lifeline { line: Some(line) });
        }
        let lifeline = Lifeline {
            #[cfg(feature = "postgres")]
            line: None,
        };
        (self.node(jobs).await, lifeline)
    }
}

impl Lifeline {
    /// Kills the node. To the others it is dead whose mark is gone.
    pub(crate) async fn cut(self, engine: &Engine) {
        #[cfg(feature = "postgres")]
        if let Some(line) = self.line {
            line.cut();
            // The mark goes first; what else would be put in order needs the database, which it waits for in vain.
            let closing = engine.repository().close();
            let _ = tokio::time::timeout(std::time::Duration::from_millis(1), closing).await;
            return;
        }
        engine.repository().close().await.unwrap();
    }
}

#[cfg(feature = "postgres")]
mod line {
    use std::io::copy;
    use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::sync::{Arc, Mutex};

    /// Both ends of the connections that are open; nothing once it was cut.
    type Open = Arc<Mutex<Option<Vec<(TcpStream, UnixStream)>>>>;

    /// A way to the test server that can be cut for good: a repository that connects anew finds nobody.
    pub(super) struct Line {
        address: SocketAddr,
        url: String,
        open: Open,
    }

    impl Line {
        /// A way to the server of a URL that names a socket.
        pub(super) fn to(url: &str) -> Self {
            let (head, rest) = url.split_once('@').unwrap();
            let (server, database) = rest.split_once('/').unwrap();
            let (folder, port) = server.rsplit_once(':').unwrap();
            let socket = format!("{}/.s.PGSQL.{port}", folder.replace("%2F", "/"));
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let open: Open = Arc::new(Mutex::new(Some(Vec::new())));
            let accepting = Arc::clone(&open);
            std::thread::spawn(move || {
                for client in listener.incoming() {
                    let Ok(client) = client else { return };
                    let mut open = accepting.lock().unwrap();
                    let Some(open) = open.as_mut() else { return };
                    let Ok(server) = UnixStream::connect(&socket) else { continue };
                    open.push((client.try_clone().unwrap(), server.try_clone().unwrap()));
                    forward(client, server);
                }
            });
            Self { address, url: format!("{head}@{address}/{database}?sslmode=disable"), open }
        }

        pub(super) fn url(&self) -> &str {
            &self.url
        }

        pub(super) fn cut(self) {}
    }

    impl Drop for Line {
        fn drop(&mut self) {
            let open = self.open.lock().unwrap().take();
            for (client, server) in open.into_iter().flatten() {
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
            }
            // Who accepts finds out, and closes the door.
            let _ = TcpStream::connect(self.address);
        }
    }

    fn forward(client: TcpStream, server: UnixStream) {
        let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Both);
        });
        let (mut from_server, mut to_client) = (server, client);
        std::thread::spawn(move || {
            let _ = copy(&mut from_server, &mut to_client);
            let _ = to_client.shutdown(Shutdown::Both);
        });
    }
}
