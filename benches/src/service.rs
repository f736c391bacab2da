//! The real service, as a process that ends with the measurement.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::{BoxError, http};

/// Time between two questions about an execution.
const POLL: Duration = Duration::from_millis(250);

/// A service on a database.
pub(crate) struct Service {
    pub(crate) program: PathBuf,
    process: Child,
    address: SocketAddr,
}

impl Service {
    /// Starts the program that was built next to this one.
    pub(crate) fn start(database: &str, folder: &Path) -> Result<Self, BoxError> {
        let program = std::env::current_exe()?.with_file_name("oxbatch");
        if !program.exists() {
            let built = "cargo build --release -p oxbatch-cli";
            return Err(format!("there is no program '{}': build it with {built}", program.display()).into());
        }
        let log = std::fs::File::create(folder.join("service.log"))?;
        let mut process = Command::new(&program)
            .args(["serve", "--listen", "127.0.0.1:0", "--concurrency", "8", "--log-level", "warn"])
            .env("OXBATCH_DATABASE", database)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("the service has no output")?).read_line(&mut line)?;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        match address {
            Some(address) => Ok(Self { program, process, address }),
            None => {
                let _ = process.kill();
                let said = std::fs::read_to_string(folder.join("service.log")).unwrap_or_default();
                Err(format!("the service did not start: {line}{said}").into())
            }
        }
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Asks for a change: the document of the answer.
    pub(crate) fn post(&self, path: &str, body: &str) -> Result<serde_json::Value, BoxError> {
        let (status, answer) = http::ask(self.address, "POST", path, body)?;
        if status < 300 { Ok(answer) } else { Err(format!("{path}: {status} {answer}").into()) }
    }

    /// Asks for a page as a browser does: its status and its bytes.
    pub(crate) fn page(&self, path: &str) -> Result<(u16, usize), BoxError> {
        let (status, text) = http::text(self.address, ("GET", path), "text/html", "")?;
        Ok((status, text.len()))
    }

    /// The time at which an execution was launched.
    pub(crate) fn launch_time(&self, id: i64) -> Result<String, BoxError> {
        let (_, body) = http::ask(self.address, "GET", &format!("/executions/{id}"), "")?;
        let time = body.get("create_time").and_then(serde_json::Value::as_str);
        time.map(str::to_owned).ok_or_else(|| format!("execution {id} has no time: {body}").into())
    }

    /// Opens the stream of all events.
    pub(crate) fn stream(&self) -> Result<std::net::TcpStream, BoxError> {
        http::stream(self.address, "/events")
    }

    /// Launches a job with parameters: the id of the execution.
    pub(crate) fn launch(&self, job: &str, parameters: &str) -> Result<i64, BoxError> {
        let (status, body) = http::ask(self.address, "POST", &format!("/jobs/{job}/launch"), parameters)?;
        match body.get("id").or_else(|| body.get("execution_id")).and_then(serde_json::Value::as_i64) {
            Some(id) if status == 202 => Ok(id),
            _ => Err(format!("{status} {body}").into()),
        }
    }

    /// The status by which an execution has ended; `None` when it is told to end before.
    pub(crate) fn ended(&self, id: i64, ends: &AtomicBool) -> Result<Option<String>, BoxError> {
        loop {
            let (_, body) = http::ask(self.address, "GET", &format!("/executions/{id}"), "")?;
            let status = body.get("status").and_then(serde_json::Value::as_str).ok_or("an execution has no status")?;
            if !matches!(status, "STARTING" | "STARTED" | "STOPPING") {
                return Ok(Some(status.to_owned()));
            }
            if ends.load(Ordering::Relaxed) {
                return Ok(None);
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
