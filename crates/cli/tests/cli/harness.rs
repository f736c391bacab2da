//! Runs the binary in a fresh folder, keeps what changes from run to run out of snapshots, and talks HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use oxbatch_test_postgres::TestDatabase;
use serde_json::Value;
use tempfile::TempDir;

/// Long enough for anything that is going to happen; a test that waits this long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A fresh folder in which the binary runs, with an environment of its own.
pub(crate) struct TestStore {
    folder: TempDir,
    /// Its database when it is none of SQLite's.
    pub(crate) database: Option<TestDatabase>,
}

/// A run of the binary that has ended.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Standard output as it was, times included.
    raw: String,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), database: None }
    }

    /// A place whose commands work on a database of PostgreSQL.
    pub(crate) fn on_postgres() -> Self {
        Self { database: Some(TestDatabase::new()), ..Self::new() }
    }

    /// One place for each kind of database: what is promised holds on all of them.
    pub(crate) fn of_each_kind() -> [Self; 2] {
        [Self::new(), Self::on_postgres()]
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The binary with arguments that are separated by blanks.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_oxbatch"));
        command.args(arguments.split_whitespace());
        command
    }

    /// A program in the folder, with the environment of the place.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.current_dir(self.folder.path()).env_clear().env("OXBATCH_NODE_NAME", "test").stdin(Stdio::null());
        if let Some(database) = &self.database {
            command.env("OXBATCH_DATABASE", database.url());
        }
        command
    }

    pub(crate) fn run(&self, arguments: &str) -> Done {
        self.finish(&mut self.command(arguments))
    }

    pub(crate) fn finish(&self, command: &mut Command) -> Done {
        let output = command.output().unwrap();
        let raw = String::from_utf8(output.stdout).unwrap();
        Done {
            code: output.status.code().unwrap_or(-1),
            stdout: self.stable(&raw),
            stderr: self.stable(&String::from_utf8(output.stderr).unwrap()),
            raw,
        }
    }

    /// Starts the binary and leaves it running.
    pub(crate) fn start(&self, arguments: &str) -> Running {
        let mut command = self.command(arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Running { child: Some(child) }
    }

    pub(crate) fn query(&self, sql: &str) -> i64 {
        let connection = rusqlite::Connection::open(self.path("oxbatch.db")).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Replaces what differs from run to run.
    fn stable(&self, text: &str) -> String {
        let folder = self.folder.path();
        let canonical = folder.canonicalize().unwrap();
        let text = text.replace(canonical.to_str().unwrap(), "[folder]").replace(folder.to_str().unwrap(), "[folder]");
        // Rates are shown of what took its time, which depends on the machine.
        let is_kept = |line: &&str| !line.contains(" items/s, ");
        without_times(&text.split_inclusive('\n').filter(is_kept).collect::<String>())
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code: {}\n----- stdout -----\n{}----- stderr -----\n{}", self.code, self.stdout, self.stderr)
    }
}

impl Done {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.raw).unwrap()
    }

    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }
}

/// `2026-01-31T08:00:00.123456Z` becomes `[moment]`, `0.01 s` becomes `[time]`.
fn without_times(text: &str) -> String {
    let mut stable = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken =
            if stable.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '.') { None } else { changing(rest) };
        match taken {
            Some((length, name)) => {
                stable.push_str(name);
                rest = &rest[length..];
            }
            None => {
                stable.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    stable
}

/// The length of a moment or a time at the start of a text, and what stands for it.
fn changing(text: &str) -> Option<(usize, &'static str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || "-:.TZ".contains(c))).unwrap_or(text.len());
    let word = &text[..end];
    let is_moment = word.len() >= 20 && word.as_bytes()[4] == b'-' && word.contains('T') && word.ends_with('Z');
    if is_moment {
        return Some((end, "[moment]"));
    }
    let is_time = word.contains('.') && word.parse::<f64>().is_ok() && text[end..].starts_with(" s");
    is_time.then_some((end + 2, "[time]"))
}

/// Takes out of a JSON report what differs from run to run.
pub(crate) fn stable_json(mut value: Value) -> String {
    fn walk(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(walk),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (
                        name.ends_with("_time") || ["items_per_second", "phases"].contains(&name.as_str()),
                        value.is_null(),
                    ) {
                        (true, false) => *value = "[changes]".into(),
                        _ => walk(value),
                    }
                }
            }
            _ => {}
        }
    }
    walk(&mut value);
    serde_json::to_string_pretty(&value).unwrap()
}

/// A process that runs; killed at the end of the test at the latest.
pub(crate) struct Running {
    child: Option<Child>,
}

impl Running {
    pub(crate) fn of(child: Child) -> Self {
        Self { child: Some(child) }
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    pub(crate) fn id(&mut self) -> u32 {
        self.child().id()
    }

    /// Returns whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child().try_wait().unwrap().is_none()
    }

    pub(crate) fn signal(&mut self, name: &str) {
        let id = self.child().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Reads standard error until a line has this text.
    pub(crate) fn await_log(&mut self, text: &str) {
        let mut stderr = BufReader::new(self.child().stderr.as_mut().unwrap());
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "the log ended without '{text}'");
        }
    }

    pub(crate) fn stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.child().stdout.take().unwrap())
    }

    /// Waits for the end; how it ended, and what it wrote to standard output meanwhile.
    pub(crate) fn end(mut self, at_most: Duration) -> (ExitStatus, String) {
        let mut child = self.child.take().unwrap();
        let id = child.id().to_string();
        let (sender, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let mut stdout = String::new();
            if let Some(mut pipe) = child.stdout.take() {
                pipe.read_to_string(&mut stdout).unwrap();
            }
            // Nobody may be left to hear of it.
            let _ = sender.send((child.wait().unwrap(), stdout));
        });
        ended.recv_timeout(at_most).unwrap_or_else(|_| {
            let _ = Command::new("kill").args(["-KILL", &id]).status();
            panic!("the process did not end within {at_most:?}")
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The running service.
pub(crate) struct Service {
    pub(crate) process: Running,
    pub(crate) address: String,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }
}

impl Service {
    pub(crate) fn start(place: &TestStore) -> Self {
        Self::start_with(place, "--listen 127.0.0.1:0 --log-level off")
    }

    pub(crate) fn start_with(place: &TestStore, flags: &str) -> Self {
        Self::of(place.start(&format!("serve {flags}")))
    }

    /// Starts it with its log going to a file.
    pub(crate) fn start_logged(place: &TestStore, flags: &str, log: std::fs::File) -> Self {
        let mut command = place.command(&format!("serve {flags}"));
        Self::of(Running::of(command.stdout(Stdio::piped()).stderr(log).spawn().unwrap()))
    }

    pub(crate) fn of(mut process: Running) -> Self {
        let mut line = String::new();
        process.stdout().read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("the service did not start: {line}")).to_owned();
        Self { process, address }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None)
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.call("POST", path, Some(body))
    }

    fn call(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        self.try_call(method, path, body).unwrap()
    }

    /// The answer; none when the service does not listen any more, or ends before it has answered.
    pub(crate) fn try_call(&self, method: &str, path: &str, body: Option<&str>) -> Option<Answer> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(LONG)).unwrap();
        let content = body.map_or(String::new(), |body| {
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
        });
        let body = body.unwrap_or_default();
        let host = &self.address;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{content}\r\n{body}").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
    }

    /// Asks again until the answer fits.
    pub(crate) fn get_until(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let answer = self.get(path).json();
            if fits(&answer) {
                return answer;
            }
            assert!(start.elapsed() < LONG, "{path} stays {answer}");
        }
    }

    pub(crate) fn terminate(mut self) {
        self.process.signal("TERM");
        let (status, _) = self.process.end(LONG);
        assert_eq!(status.code(), Some(0));
    }
}
