//! A receiver that is away for an hour, over the real engine, the real webhook and a moved clock.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use oxbatch_core::engine::LaunchOptions;
use oxbatch_core::job::GivenParameters;
use oxbatch_core::notice::NoticeKind;
use oxbatch_core::repository::Node;
use oxbatch_core::{BoxError, Engine, EngineConfig, Job, JobRegistry, TaskStep};
use oxbatch_storage::SqliteRepository;

use super::{Channel, Channels, Way};

/// Notices that wait for the receiver.
const NOTICES: i64 = 3;
/// Long enough for anything that is going to happen.
const LONG: Duration = Duration::from_secs(60);
/// The waits of the back-off, in seconds, until an hour is over.
const PAUSES: [i64; 17] = [5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300];

/// A receiver that answers 503 until it is up, and keeps what it has taken then.
struct Receiver {
    url: String,
    is_up: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (is_up, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (up, takes) = (Arc::clone(&is_up), Arc::clone(&taken));
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &up, &takes);
            }
        });
        Self { url, is_up, taken }
    }
}

fn answer(mut stream: TcpStream, is_up: &AtomicBool, taken: &Mutex<Vec<String>>) {
    let (mut sent, mut buffer) = (String::new(), [0; 4096]);
    while !sent.ends_with(';') {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "cut off: {sent}");
        sent.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    let status = if is_up.load(Ordering::SeqCst) { "204 No Content" } else { "503 Service Unavailable" };
    if is_up.load(Ordering::SeqCst) {
        taken.lock().unwrap().push(sent.rsplit('\n').next().unwrap().to_owned());
    }
    stream
        .write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
}

/// The stored notices.
struct Stored(rusqlite::Connection);

impl Stored {
    fn open(path: &Path) -> Self {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.busy_timeout(LONG).unwrap();
        Self(connection)
    }

    fn number(&self, sql: &str) -> i64 {
        self.0.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Waits until a number is there.
    async fn until(&self, sql: &str, number: i64) {
        let waited = async {
            while self.number(sql) != number {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let ended = tokio::time::timeout(LONG, waited).await;
        assert!(ended.is_ok(), "{sql} is {} and does not become {number}", self.number(sql));
    }

    /// Lets time pass for the notices, up to the next attempt of all; how long that is.
    fn pass(&self) -> i64 {
        let next = self.number("SELECT max(next_attempt) FROM oxbatch_notice WHERE state = 'PENDING'");
        let time = next - Timestamp::now().as_microsecond();
        let sql = "UPDATE oxbatch_notice SET create_time = create_time - ?1, next_attempt = next_attempt - ?1";
        assert_eq!(self.0.execute(sql, [time]).unwrap(), usize::try_from(NOTICES).unwrap());
        time
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_for_an_hour_gets_each_notice_once_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("oxbatch.db");
    let receiver = Receiver::start();
    let channel = Channel {
        name: "hook".to_owned(),
        kinds: vec![NoticeKind::Failed],
        skips_over: None,
        way: Way::Webhook { url: receiver.url.clone(), secret_file: None, private: true },
        body: Some("{{id}};".to_owned()),
    };
    let job = Job::builder("Fails")
        .step(TaskStep::builder("Only", |_| Err::<(), BoxError>("as it must".into())))
        .build()
        .unwrap();
    let mut config = EngineConfig::new(Node::new("node"));
    config.poll_every = Duration::from_millis(10);
    config.notices = Some(Arc::new(Channels::new(vec![channel]).unwrap()));
    let repository = Arc::new(SqliteRepository::open(&path).unwrap());
    let engine = Engine::start(JobRegistry::new([job]).unwrap(), repository, config).await.unwrap();
    let stored = Stored::open(&path);
    stored.until("SELECT count(*) FROM oxbatch_notice_channel", 1).await;
    for number in 0..NOTICES {
        let given = GivenParameters::default().with("number", number.to_string());
        let launched = engine.launch("Fails", given, LaunchOptions::default()).await.unwrap();
        engine.wait(launched.execution.id, LONG).await.unwrap();
    }

    let mut passed = 0;
    for (failures, pause) in (1..).zip(PAUSES) {
        stored.until("SELECT count(*) FROM oxbatch_notice_attempt", failures * NOTICES).await;
        let time = stored.pass();
        let seconds = (time + 500_000) / 1_000_000;
        assert!(
            ((pause - 5).max(0)..=pause).contains(&seconds),
            "after {failures} failures {seconds} s instead of {pause}"
        );
        passed += time;
    }
    assert!(passed > 3_600_000_000, "it was away for {passed} µs");
    receiver.is_up.store(true, Ordering::SeqCst);
    stored.until("SELECT count(*) FROM oxbatch_notice WHERE state = 'DELIVERED'", NOTICES).await;
    engine.shutdown().await;

    let mut taken = receiver.taken.lock().unwrap().clone();
    taken.sort();
    assert_eq!(taken, (1..=NOTICES).map(|id| format!("{id};")).collect::<Vec<_>>());
}
