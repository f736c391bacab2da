//! The accept loop over real sockets: time-outs, bounds, and the drain at a shutdown.

use std::net::SocketAddr;
use std::time::Duration;

use oxbatch_server::{Limits, ServeError, ServerConfig, bind, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::harness::{self, Service};

/// Long enough for anything that is going to happen.
const LONG: Duration = Duration::from_secs(30);

struct Listening {
    service: Service,
    address: SocketAddr,
    shutdown: CancellationToken,
    ended: JoinHandle<()>,
}

async fn listen(set: impl FnOnce(&mut Limits)) -> Listening {
    let service = Service::start().await;
    let mut config = ServerConfig::new("127.0.0.1:0");
    set(&mut config.limits);
    let bound = bind(&config).await.unwrap();
    let (address, shutdown) = (bound.address(), CancellationToken::new());
    let ended = tokio::spawn(serve(bound, service.engine.clone(), shutdown.clone()));
    Listening { service, address, shutdown, ended }
}

impl Listening {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn end(self) {
        self.shutdown.cancel();
        timeout(LONG, self.ended).await.unwrap().unwrap();
    }
}

/// All that comes until the other side closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset ends it as well as a close.
    let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the connection stays open");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads until `text` has come.
async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        let mut buffer = [0; 4096];
        let count = timeout(LONG, stream.read(&mut buffer)).await.expect("nothing comes").unwrap();
        assert_ne!(count, 0, "closed after {read}");
        read.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    read
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let listening = listen(|_| {}).await;
    let mut stream = listening.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert!(until(&mut stream, "{\"status\":\"live\"}").await.starts_with("HTTP/1.1 200 OK"));
    }
    listening.end().await;
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let listening = listen(|limits| limits.header_timeout = Duration::from_millis(50)).await;
    let mut slow = listening.connect().await;
    slow.write_all(b"GET /jobs HTTP/1.1\r\nhost: local").await.unwrap();
    rest(&mut slow).await;
    let mut silent = listening.connect().await;
    assert_eq!(rest(&mut silent).await, "");
    listening.end().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up_and_told() {
    let listening = listen(|limits| limits.body_timeout = Duration::from_millis(50)).await;
    let mut stream = listening.connect().await;
    let head = b"POST /jobs/Sample/launch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{";
    stream.write_all(head).await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 408 "));
    listening.end().await;
}

#[tokio::test]
async fn a_sender_of_two_mebibytes_gets_to_read_why_they_are_refused() {
    let listening = listen(|_| {}).await;
    for framing in ["content-length: 2097160\r\n", "transfer-encoding: chunked\r\n"] {
        let mut stream = listening.connect().await;
        let head = format!(
            "POST /jobs/Sample/launch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{framing}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        if framing.contains("chunked") {
            stream.write_all(b"200000\r\n").await.unwrap();
        }
        stream.write_all(&vec![b' '; 2 * 1024 * 1024]).await.unwrap();
        stream
            .write_all(b"\r\n0\r\n\r\n \r\n"[..if framing.contains("chunked") { 7 } else { 8 }].as_ref())
            .await
            .unwrap();
        assert!(until(&mut stream, "body-too-large").await.starts_with("HTTP/1.1 413 "));
    }
    listening.end().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    let listening = listen(|limits| {
        limits.write_timeout = Duration::from_millis(50);
        limits.max_connections = 1;
    })
    .await;
    let mut deaf = listening.connect().await;
    let requests = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(64);
    let _ = deaf.write_all(&requests).await;
    // Its place, the only one, becomes free although it never closes.
    let mut next = listening.connect().await;
    next.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    until(&mut next, "live").await;
    drop(deaf);
    listening.end().await;
}

#[tokio::test]
async fn a_connection_too_many_waits_for_a_place() {
    let listening = listen(|limits| limits.max_connections = 1).await;
    let mut first = listening.connect().await;
    let request = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
    first.write_all(request).await.unwrap();
    until(&mut first, "live").await;
    let mut second = listening.connect().await;
    second.write_all(request).await.unwrap();
    let mut buffer = [0; 1];
    assert!(timeout(Duration::from_millis(100), second.peek(&mut buffer)).await.is_err());
    drop(first);
    until(&mut second, "live").await;
    listening.end().await;
}

#[tokio::test]
async fn a_shutdown_lets_the_requests_in_work_finish_and_closes_idle_connections() {
    let listening = listen(|_| {}).await;
    let mut idle = listening.connect().await;
    idle.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    until(&mut idle, "live").await;
    let mut waiting = listening.connect().await;
    waiting
        .write_all(b"POST /jobs/Endless/launch?wait=5m HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    harness::until(async || !listening.service.get("/executions").await.json().as_array().unwrap().is_empty()).await;
    let Listening { address, shutdown, ended, service } = listening;
    shutdown.cancel();
    let answer = rest(&mut waiting).await;
    assert!(answer.starts_with("HTTP/1.1 202 ") && answer.contains("\"execution_id\":1"), "{answer}");
    assert_eq!(rest(&mut idle).await, "");
    timeout(LONG, ended).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    service.engine.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_client_that_never_finishes() {
    let listening = listen(|limits| limits.drain = Duration::from_millis(50)).await;
    let mut stuck = listening.connect().await;
    stuck
        .write_all(b"POST /jobs/Sample/launch HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{")
        .await
        .unwrap();
    let mut other = listening.connect().await;
    other.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    until(&mut other, "live").await;
    listening.end().await;
}

#[tokio::test]
async fn an_address_that_cannot_be_taken_is_told_in_one_sentence() {
    let taken = bind(&ServerConfig::new("127.0.0.1:0")).await.unwrap();
    let refused = async |listen: &str| bind(&ServerConfig::new(listen)).await.unwrap_err();
    let in_use = refused(&taken.address().to_string()).await;
    assert!(matches!(in_use, ServeError::AddressInUse { .. }));
    assert!(in_use.to_string().contains(&format!("port {} of 127.0.0.1 is in use", taken.address().port())));
    assert!(matches!(refused("0.0.0.0:0").await, ServeError::NotLoopback { .. }));
    assert!(matches!(refused("[::]:0").await, ServeError::NotLoopback { .. }));
    for listen in ["nonsense", "", "localhost:x", "127.0.0.1:99999", "no such host:80"] {
        let error = refused(listen).await;
        assert!(matches!(error, ServeError::Resolve { .. }), "{listen}: {error}");
        assert!(error.to_string().contains(&format!("'{listen}'")));
    }
    let mut elsewhere = ServerConfig::new("192.0.2.1:0");
    elsewhere.insecure = true;
    assert!(matches!(bind(&elsewhere).await.unwrap_err(), ServeError::AddressNotAvailable { .. }));
    let mut host = ServerConfig::new("127.0.0.1:0");
    host.allowed_hosts = vec!["not a host".to_owned()];
    assert!(matches!(bind(&host).await.unwrap_err(), ServeError::AllowedHost { .. }));
}

#[tokio::test]
async fn failed_logins_of_an_address_are_bounded_and_its_good_tokens_are_not() {
    use oxbatch_core::access::{Credential, CredentialKind, Grant, NewToken};

    let listening = listen(|_| {}).await;
    let good = Credential::new(CredentialKind::Token).unwrap();
    let (name, time) = ("ci".to_owned(), jiff::Timestamp::now());
    let new = NewToken { hash: good.hash(), name, grant: Grant::ALL, time, expire_time: None };
    listening.service.engine.repository().create_token(new).await.unwrap();
    let mut stream = listening.connect().await;
    let mut ask = async |token: &str, ends_with: &str| {
        let request = format!("GET /jobs HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        until(&mut stream, ends_with).await
    };
    for _ in 0..9 {
        assert!(ask("oxb_wrong", "}").await.starts_with("HTTP/1.1 401 "));
    }
    for _ in 0..3 {
        let answer = ask("oxb_wrong", "}").await;
        assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("\r\nretry-after: "), "{answer}");
    }
    assert!(ask(good.text(), "]").await.starts_with("HTTP/1.1 200 "));
    // One entry of the audit log for all of them, which has their number when its minute or the service is over.
    let engine = listening.service.engine.clone();
    let failed = async || {
        let page = oxbatch_core::repository::PageRequest { before: None, limit: 100 };
        let all = engine.repository().audit(None, page).await.unwrap().entries.into_iter();
        all.filter(|entry| entry.entry.action == "failed_login").collect::<Vec<_>>()
    };
    harness::until(async || failed().await.len() == 1).await;
    let entry = failed().await.remove(0);
    assert_eq!((entry.entry.address.as_deref(), entry.outcome), (Some("127.0.0.1"), None));
    listening.shutdown.cancel();
    harness::until(async || failed().await[0].outcome.as_deref() == Some("401 12 within a minute")).await;
    assert_eq!(failed().await.len(), 1);
    listening.end().await;
}
