//! A service process that can be asked over HTTP, terminated, and killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any import takes; a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(120);

pub(crate) struct Service {
    child: Child,
    address: String,
    job: &'static str,
}

pub(crate) struct Execution {
    pub(crate) status: String,
    pub(crate) message: String,
}

impl Execution {
    /// Returns whether the service has recovered it as often as it does by itself.
    pub(crate) fn was_given_up(&self) -> bool {
        self.message.contains("automatic recoveries")
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Service {
    /// Starts the service, for calls about one job, and waits until it says where it listens.
    pub(crate) fn start(folder: &Path, database: &str, job: &'static str) -> Result<Self, String> {
        let mut child = Command::new(std::env::current_exe().map_err(text)?)
            .args(["serve", "--listen", "127.0.0.1:0", "--database", database])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(text)?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut line = String::new();
        lines.read_line(&mut line).map_err(text)?;
        let address = line
            .split("http://")
            .nth(1)
            .map(|rest| rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.' || *c == ':').collect::<String>());
        let address = address.ok_or_else(|| format!("the service did not start: '{line}'"))?;
        Ok(Self { child, address, job })
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
        let mut stream = TcpStream::connect(&self.address).map_err(text)?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .map_err(text)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(text)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status")?;
        Ok((status, body.to_owned()))
    }

    pub(crate) fn launch(&self, round: u64) -> Result<(), String> {
        match self.call("POST", &format!("/jobs/{}/launch", self.job), &format!("{{\"round\":{round}}}"))? {
            // A recovery may have begun it meanwhile.
            (202 | 409, _) => Ok(()),
            (status, body) => Err(format!("launch: {status} {body}")),
        }
    }

    /// The newest execution of a round.
    pub(crate) fn newest(&self, round: u64) -> Result<Option<Execution>, String> {
        let (status, body) = self.call("GET", &format!("/executions?job={}&limit=1", self.job), "")?;
        if status != 200 {
            return Err(format!("list: {status} {body}"));
        }
        let list: Vec<serde_json::Value> = serde_json::from_str(&body).map_err(text)?;
        Ok(list.into_iter().find(|execution| execution["parameters"]["round"] == round).map(|execution| Execution {
            status: execution["status"].as_str().unwrap_or_default().to_owned(),
            message: execution["exit_message"].as_str().unwrap_or_default().to_owned(),
        }))
    }

    pub(crate) fn wait_for_the_end(&self, round: u64) -> Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < LONG {
            let newest = self.newest(round)?;
            match newest.as_ref().map(|execution| execution.status.as_str()) {
                Some("COMPLETED") => return Ok(()),
                Some("FAILED") if newest.as_ref().is_some_and(Execution::was_given_up) => self.launch(round)?,
                Some("FAILED") => return Err(format!("not recovered: {:?}", newest.map(|it| it.message))),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        Err("the import did not end".to_owned())
    }

    /// Waits until the import has settled more rows than it had, or all.
    pub(crate) fn wait_until_more_than(
        &self,
        before: i64,
        settled: impl Fn() -> Result<i64, String>,
    ) -> Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < LONG {
            let now = settled()?;
            if now > before || now == crate::ROWS.cast_signed() {
                return Ok(());
            }
        }
        Err("the import does not go on".to_owned())
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
