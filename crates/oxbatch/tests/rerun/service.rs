//! A service process that is asked for re-runs over HTTP, terminated, and killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any re-run takes; a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(120);

pub(crate) struct Service {
    child: Child,
    address: String,
}

pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Service {
    /// Starts the service and waits until it says where it listens.
    pub(crate) fn start(folder: &Path) -> Result<Self, String> {
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

    fn call(&self, method: &str, path: &str) -> Result<(u16, String), String> {
        let mut stream = TcpStream::connect(&self.address).map_err(text)?;
        let host = &self.address;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            .map_err(text)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(text)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status")?;
        Ok((status, body.to_owned()))
    }

    /// Asks for the re-run of what the first execution skipped.
    pub(crate) fn rerun(&self) -> Result<(), String> {
        match self.call("POST", "/executions/1/skips/rerun")? {
            // A recovery may have begun it meanwhile, or it has just ended.
            (202 | 409, _) => Ok(()),
            (status, body) => Err(format!("rerun: {status} {body}")),
        }
    }

    /// The status of the newest re-run.
    pub(crate) fn newest_rerun(&self) -> Result<Option<String>, String> {
        let (status, body) = self.call("GET", "/executions?limit=1")?;
        let list: Vec<serde_json::Value> = serde_json::from_str(&body).map_err(|error| format!("{status} {error}"))?;
        let rerun = list.into_iter().find(|execution| execution["rerun_of"] == 1);
        Ok(rerun.and_then(|execution| execution["status"].as_str().map(str::to_owned)))
    }

    pub(crate) fn wait_for_the_end(&self) -> Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < LONG {
            match self.newest_rerun()?.as_deref() {
                Some("COMPLETED" | "FAILED" | "STOPPED") => return Ok(()),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        Err("the re-run did not end".to_owned())
    }

    pub(crate) fn kill(mut self) -> Result<(), String> {
        self.child.kill().map_err(text)?;
        self.child.wait().map_err(text).map(drop)
    }

    /// Ends it as an operator would.
    pub(crate) fn terminate(mut self) -> Result<(), String> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().map_err(text)?;
        let status = self.child.wait().map_err(text)?;
        if status.success() { Ok(()) } else { Err(format!("the service ended with {status}")) }
    }
}
