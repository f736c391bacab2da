//! A store with its settings, commands on it, and a service process that logs into a file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oxbatch_test_postgres::TestDatabase;
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything takes; a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(60);
/// The time for which a stream without an end is read.
const STREAM: Duration = Duration::from_millis(300);

/// Makes an error of a test.
pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A folder with settings, and its database.
pub(crate) struct Store {
    folder: TempDir,
    database: Option<TestDatabase>,
}

/// The end of a command.
pub(crate) struct Done {
    pub(crate) code: i32,
    /// Standard output and standard error.
    pub(crate) said: String,
}

impl Store {
    pub(crate) fn new(database: Option<TestDatabase>) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(text)?;
        Ok(Self { folder, database })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn database(&self) -> Option<&TestDatabase> {
        self.database.as_ref()
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> Result<(), String> {
        let path = self.path(name);
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(text)?;
        std::fs::write(path, content).map_err(text)
    }

    fn program(&self, arguments: &[&str]) -> Result<Command, String> {
        let mut command = Command::new(std::env::current_exe().map_err(text)?);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        if let Some(database) = &self.database {
            command.env("OXBATCH_DATABASE", database.url());
        }
        Ok(command)
    }

    /// Runs a command to its end.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<Done, String> {
        let output = self.program(arguments)?.output().map_err(text)?;
        let said = [output.stdout, output.stderr].concat();
        Ok(Done { code: output.status.code().unwrap_or(-1), said: String::from_utf8(said).map_err(text)? })
    }

    /// Starts the service, with its log in the file `log`.
    pub(crate) fn serve(&self, log: &str, flags: &[&str]) -> Result<Service, String> {
        let log = File::create(self.path(log)).map_err(text)?;
        let arguments = [&["serve", "--listen", "127.0.0.1:0"][..], flags].concat();
        let mut child = self.program(&arguments)?.stdout(Stdio::piped()).stderr(log).spawn().map_err(text)?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no standard output")?).read_line(&mut line).map_err(text)?;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
        let address = address.ok_or_else(|| format!("the service did not start: '{line}'"))?.to_owned();
        Ok(Service { child, address })
    }
}

/// A running service; it is killed when it is dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) address: String,
}

impl Service {
    /// Sends a request, with a body of JSON if there is one. Of a stream without an end its beginning is the answer.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, String), String> {
        self.call_with(method, path, "", body)
    }

    /// The same with further header lines.
    pub(crate) fn call_with(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<&Value>,
    ) -> Result<(u16, String), String> {
        let mut stream = TcpStream::connect(&self.address).map_err(text)?;
        let is_stream = path.ends_with("/events");
        stream.set_read_timeout(Some(if is_stream { STREAM } else { LONG })).map_err(text)?;
        let body = body.map(ToString::to_string).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let (host, length) = (&self.address, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}{kind}Content-Length: {length}\r\n\r\n{body}"
        )
        .map_err(text)?;
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if !is_stream => return Err(text(error)),
            _ => {}
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok((status.ok_or_else(|| format!("{method} {path}: no status in '{answer}'"))?, answer))
    }

    /// The JSON of an answer.
    pub(crate) fn json(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let (status, answer) = self.call(method, path, body)?;
        let (_, json) = answer.split_once("\r\n\r\n").ok_or("no body")?;
        match status {
            200..=299 => serde_json::from_str(json).map_err(|error| format!("{method} {path}: {error}: {json}")),
            _ => Err(format!("{method} {path}: {status} {json}")),
        }
    }

    /// Launches a job, and waits for its end. The execution.
    pub(crate) fn launch(&self, job: &str, parameters: &Value) -> Result<Value, String> {
        let launched = self.json("POST", &format!("/jobs/{job}/launch?wait=1m"), Some(parameters))?;
        self.json("GET", &format!("/executions/{}", launched["execution_id"]), None)
    }

    /// Restarts an execution, and waits for the end of the new one.
    pub(crate) fn restart(&self, id: &Value) -> Result<Value, String> {
        let launched = self.json("POST", &format!("/executions/{id}/restart"), None)?;
        let path = format!("/executions/{}", launched["execution_id"]);
        self.until(&path, |execution| {
            !["STARTING", "STARTED"].contains(&execution["status"].as_str().unwrap_or_default())
        })
    }

    /// Asks again until the answer fits.
    pub(crate) fn until(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let begin = Instant::now();
        loop {
            let answer = self.json("GET", path, None)?;
            if fits(&answer) {
                return Ok(answer);
            }
            if begin.elapsed() > LONG {
                return Err(format!("{path} stays {answer}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the service as a person does.
    pub(crate) fn terminate(mut self) -> Result<(), String> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().map_err(text)?;
        let status = self.child.wait().map_err(text)?;
        if status.success() { Ok(()) } else { Err(format!("the service has ended with {status}")) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
