//! A node: a real process on a wire of its own, that can be killed, frozen, told to end, and started again.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use oxbatch_test_postgres::Proxy;

use crate::http::{self, Answer};

/// Time for which a silent node keeps its executions.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// Launches that may wait: few, so that the queue can be filled.
pub(crate) const QUEUE_LIMIT: u32 = 15;
/// Where libfaketime may be.
const FAKE_TIME: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"];

/// A node and how to start it.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) proxy: Proxy,
    url: String,
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    process: Option<Child>,
    address: Option<SocketAddr>,
}

impl Node {
    pub(crate) fn new(name: String, folder: &Path, proxy: Proxy, url: String) -> Self {
        Self { name, proxy, url, folder: folder.to_owned(), state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it with a clock that is wrong by so many seconds, and waits until it listens.
    pub(crate) fn start(&self, clock_off_by: i64) -> Result<(), String> {
        let text = |error: std::io::Error| format!("node {}: {error}", self.name);
        let log = OpenOptions::new().create(true).append(true).open(self.log()).map_err(text)?;
        let mut command = Command::new(std::env::current_exe().map_err(text)?);
        command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--concurrency",
                "4",
                "--log-level",
                "info",
                "--recover",
                "restart",
            ])
            .args(["--lease", &format!("{}s", LEASE.as_secs()), "--queue-limit", &QUEUE_LIMIT.to_string()])
            .args(["--node-name", &self.name, "--database-retry-time", "5s", "--shutdown-timeout", "5s"])
            .env("OXBATCH_DATABASE", &self.url)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        if let Some(library) = fake_time().filter(|_| clock_off_by != 0) {
            command.env("LD_PRELOAD", library).env("FAKETIME", format!("{clock_off_by:+}s"));
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let mut process = command.spawn().map_err(text)?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line).map_err(text)?;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        if address.is_none() {
            // The server may be restarting: whoever started it tries again.
            let _ = process.kill();
            let _ = process.wait();
            return Err(format!("node {} did not start: '{line}'", self.name));
        }
        *self.state() = State { process: Some(process), address };
        Ok(())
    }

    /// Starts it if it does not run, as often as it takes.
    pub(crate) fn ensure(&self, clock_off_by: i64) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let ended = match &mut self.state().process {
                Some(process) => process.try_wait().map_err(|error| error.to_string())?.is_some(),
                None => true,
            };
            match if ended { self.start(clock_off_by) } else { Ok(()) } {
                Err(_) if start.elapsed() < Duration::from_secs(60) => std::thread::sleep(Duration::from_millis(200)),
                started => return started,
            }
        }
    }

    /// Sends a signal; whether there was a process to take it.
    pub(crate) fn signal(&self, name: &str) -> bool {
        let id = self.state().process.as_ref().map(|process| process.id().to_string());
        id.is_some_and(|id| {
            Command::new("kill").args([&format!("-{name}"), &id]).status().is_ok_and(|status| status.success())
        })
    }

    /// Takes the process away and waits for its end.
    pub(crate) fn await_end(&self, at_most: Duration) -> Result<(), String> {
        let process = {
            let mut state = self.state();
            state.address = None;
            state.process.take()
        };
        let Some(mut process) = process else { return Ok(()) };
        let start = Instant::now();
        while start.elapsed() < at_most {
            if process.try_wait().map_err(|error| error.to_string())?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let id = process.id();
        let _ = process.kill();
        let _ = process.wait();
        Err(format!("node {} (process {id}) did not end within {at_most:?}", self.name))
    }

    pub(crate) fn kill(&self) -> Result<(), String> {
        self.signal("KILL");
        self.await_end(Duration::from_secs(10))
    }

    pub(crate) fn ask(&self, method: &str, path: &str, key: Option<&str>, body: &str) -> Result<Answer, String> {
        let address = self.state().address.ok_or("the node does not run")?;
        http::ask(address, method, path, key, body)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.signal("CONT");
        let _ = self.kill();
    }
}

/// The library that lies about the time, where it is installed.
pub(crate) fn fake_time() -> Option<&'static str> {
    FAKE_TIME.into_iter().find(|path| Path::new(path).exists())
}
