//! The log of an execution through the real binary: kept, filtered, followed, bounded, and never in the way.
//!
//! It is its own service: started with a command it is an ordinary `oxbatch` binary with jobs that log.
#![expect(clippy::print_stdout, reason = "a test program without a harness reports by itself")]

mod jobs;
mod own_service;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use serde_json::Value;

type Check = fn(&Path) -> Result<(), String>;

const CHECKS: [(&str, Check); 5] = [
    ("a_line_carries_its_execution_and_step_and_stays_one_line", a_line_carries_its_execution_and_step),
    ("lines_are_chosen_by_level_step_tail_and_position", lines_are_chosen),
    ("a_full_log_says_so_and_the_step_goes_on", a_full_log_says_so),
    ("a_log_is_followed_at_a_service_until_the_execution_has_ended", a_log_is_followed),
    ("a_log_that_cannot_be_stored_fails_no_step", a_log_that_cannot_be_stored),
];

fn main() -> ExitCode {
    let of = |(name, check): (&str, Check)| -> own_service::Check<'static> {
        let check = move || tempfile::tempdir().map_err(text).and_then(|folder| check(folder.path()));
        (name.to_owned(), Box::new(move || check().map(|()| String::new())))
    };
    own_service::main(jobs::registry, || CHECKS.map(of).into())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn expect(condition: bool, found: impl std::fmt::Debug) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("{found:#?}")) }
}

/// Runs a command of this very binary. Its exit code, and its standard output.
fn command(folder: &Path, arguments: &[&str]) -> Result<(i32, String), String> {
    let binary = std::env::current_exe().map_err(text)?;
    let output = Command::new(binary).args(arguments).current_dir(folder).output().map_err(text)?;
    Ok((output.status.code().unwrap_or(-1), String::from_utf8(output.stdout).map_err(text)?))
}

fn lines(text: &str) -> Result<Vec<Value>, String> {
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))).collect()
}

/// The lines of an execution, in the database.
fn log(folder: &Path, arguments: &[&str]) -> Result<Vec<Value>, String> {
    let (code, said) = command(folder, &[&["logs", "1", "--json"][..], arguments].concat())?;
    expect(code == 0, &said)?;
    lines(&said)
}

fn a_line_carries_its_execution_and_step(folder: &Path) -> Result<(), String> {
    let (code, _) = command(folder, &["run", "Talk"])?;
    expect(code == 0, code)?;
    let found = log(folder, &[])?;
    let first = found.first().ok_or("no line")?;
    expect(first["step"] == "Greet" && first["level"] == "INFO" && first["message"] == "hello", first)?;
    expect(first["fields"]["file"] == "a b.csv" && first["fields"]["rows"] == 7, first)?;
    let target = first["target"].as_str().unwrap_or_default();
    expect(target.ends_with("jobs"), target)?;
    // A thread of the author's own, with the span that it was given.
    expect(found.iter().any(|line| line["message"] == "from a thread" && line["step"] == "Greet"), &found)?;
    let long = found.iter().find(|line| line["fields"]["text"].is_string()).ok_or("no long line")?;
    expect(long["fields"]["text"].as_str().is_some_and(|text| text.ends_with("bytes]")), long)?;
    // As text: each line is one, and none controls the terminal or passes for an error.
    let (_, shown) = command(folder, &["logs", "1"])?;
    expect(shown.lines().count() == found.len(), &shown)?;
    expect(!shown.contains(['\u{1b}', '\u{202e}']) && shown.contains("\\u{1b}[2J"), &shown)?;
    let errors = log(folder, &["--level", "error"])?;
    expect(errors.is_empty(), errors)
}

fn lines_are_chosen(folder: &Path) -> Result<(), String> {
    command(folder, &["run", "Count"])?;
    let all = log(folder, &[])?;
    expect(all.len() == 3_000, all.len())?;
    let warnings = log(folder, &["--level", "warn"])?;
    expect(warnings.len() == 30 && warnings.iter().all(|line| line["level"] == "WARN"), warnings.len())?;
    let of_second = log(folder, &["--step", "Second"])?;
    expect(of_second.len() == 1_500, of_second.len())?;
    let tail = log(folder, &["--tail", "3", "--step", "First"])?;
    let numbers: Vec<_> = tail.iter().map(|line| line["fields"]["n"].clone()).collect();
    expect(numbers == [1_497, 1_498, 1_499], numbers)?;
    let position = all[999]["position"].as_str().unwrap_or_default();
    let rest = log(folder, &["--after", position])?;
    expect(rest == all[1_000..], rest.len())?;
    // The same at a service, whose pages are joined.
    let service = Service::start(folder)?;
    let url = service.url();
    for arguments in [&["--tail", "3", "--step", "First"][..], &[], &["--after", position]] {
        let remote = log(folder, &[&["--server", url.as_str()][..], arguments].concat())?;
        expect(remote == log(folder, arguments)?, (arguments, remote.len()))?;
    }
    let page = service.get("/executions/1/logs?limit=10", "application/x-ndjson")?;
    expect(page.contains("200 OK") && page.contains("x-log-position: "), &page)?;
    let whole = service.get("/executions/1/logs", "text/plain")?;
    expect(whole.contains("content-type: text/plain") && whole.contains(" WARN  Second: "), &whole[..300])?;
    for wrong in ["level=loud", "tail=-1", "tail=10001", "after=x", "limit=0", "nothing=1", "follow=yes"] {
        let refused = service.get(&format!("/executions/1/logs?{wrong}"), "*/*")?;
        expect(refused.starts_with("HTTP/1.1 400"), (wrong, &refused))?;
    }
    let missing = service.get("/executions/99/logs", "*/*")?;
    expect(missing.starts_with("HTTP/1.1 404"), missing)
}

fn a_full_log_says_so(folder: &Path) -> Result<(), String> {
    std::fs::write(folder.join("oxbatch.toml"), "[logs]\nmax_per_execution = '64KiB'\n").map_err(text)?;
    let (code, _) = command(folder, &["run", "Flood"])?;
    expect(code == 0, code)?;
    let found = log(folder, &["--level", "warn"])?;
    let messages: Vec<_> = found.iter().filter_map(|line| line["message"].as_str()).collect();
    expect(messages.iter().any(|message| message.contains("has reached 65536 bytes")), &messages)?;
    let last = messages.last().copied().unwrap_or_default();
    expect(last.ends_with("further lines were not kept"), &messages)?;
    // Every line is there or counted.
    let kept = log(folder, &[])?.iter().filter(|line| line["target"] != "oxbatch::log").count() as u64;
    let count = |message: &&str| message.split(' ').next().and_then(|first| first.parse::<u64>().ok());
    let missing: u64 = messages.iter().filter_map(count).sum();
    expect(kept + missing == jobs::FLOOD, (kept, &messages))
}

fn a_log_is_followed(folder: &Path) -> Result<(), String> {
    let service = Service::start(folder)?;
    let mut stream = TcpStream::connect(&service.address).map_err(text)?;
    let launched = service.send("POST", "/jobs/Wait/launch", "*/*")?;
    expect(launched.starts_with("HTTP/1.1 202"), &launched)?;
    let host = &service.address;
    write!(stream, "GET /executions/1/logs?follow=true HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
        .map_err(text)?;
    let mut answer = BufReader::new(stream).lines();
    // The step waits for the file, which is there only when its first line has come.
    let first = answer.find(|line| line.as_ref().is_ok_and(|line| line.contains("waiting"))).ok_or("no first line")?;
    expect(first.is_ok(), &first)?;
    std::fs::write(folder.join("go"), "").map_err(text)?;
    let rest: Vec<_> = answer.map_while(Result::ok).collect();
    expect(rest.iter().any(|line| line.contains("going")), &rest)?;
    // On the command line, of one that has ended.
    let (code, said) = command(folder, &["logs", "1", "--follow", "--server", &service.url()])?;
    expect(code == 0 && said.lines().count() == 2, said)
}

fn a_log_that_cannot_be_stored(folder: &Path) -> Result<(), String> {
    command(folder, &["run", "Talk"])?;
    let database = rusqlite::Connection::open(folder.join("oxbatch.db")).map_err(text)?;
    let refuse =
        "CREATE TRIGGER refused BEFORE INSERT ON oxbatch_log_segment BEGIN SELECT RAISE(ABORT, 'refused'); END";
    database.execute_batch(refuse).map_err(text)?;
    let (code, _) = command(folder, &["run", "Count"])?;
    expect(code == 0, code)?;
    let (code, said) = command(folder, &["logs", "2"])?;
    expect(code == 0 && said.is_empty(), said)
}

struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start(folder: &Path) -> Result<Self, String> {
        let mut child = Command::new(std::env::current_exe().map_err(text)?)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(text)?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no standard output")?).read_line(&mut line).map_err(text)?;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
        let address = address.ok_or_else(|| format!("the service did not start: '{line}'"))?.to_owned();
        Ok(Self { child, address })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn get(&self, path: &str, accept: &str) -> Result<String, String> {
        self.send("GET", path, accept)
    }

    /// The whole answer, head and body.
    fn send(&self, method: &str, path: &str, accept: &str) -> Result<String, String> {
        let mut stream = TcpStream::connect(&self.address).map_err(text)?;
        let host = &self.address;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        .map_err(text)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(text)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
