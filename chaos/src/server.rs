//! The private PostgreSQL, started by `scripts/postgres`, and its restarts.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A restart that writes no disk is quick, and what a loss of power would lose is no matter of this test.
const SETTINGS: &str = "fsync=off full_page_writes=off";

/// The server; dropped, it is stopped and removed.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
    password: String,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start() -> Result<Self, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/postgres");
        let mut child = Command::new(&script)
            .env("OXBATCH_POSTGRES_SETTINGS", SETTINGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", script.display()))?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut url = String::new();
        BufReader::new(output).read_line(&mut url).map_err(|error| error.to_string())?;
        // postgres://oxbatch:PASSWORD@%2Ffolder:PORT/postgres
        let parts = || {
            let (password, rest) = url.trim().strip_prefix("postgres://oxbatch:")?.split_once('@')?;
            let (folder, rest) = rest.split_once(':')?;
            let port: u16 = rest.split_once('/')?.0.parse().ok()?;
            Some((password.to_owned(), PathBuf::from(folder.replace("%2F", "/")), port))
        };
        let (password, folder, port) = parts().ok_or_else(|| format!("PostgreSQL was not started: '{url}'"))?;
        Ok(Self { child, folder, password, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    /// The URL by which it is reached at an address, its own or a proxy's.
    pub(crate) fn url(&self, address: SocketAddr) -> String {
        format!("postgres://oxbatch:{}@{address}/postgres?sslmode=disable", self.password)
    }

    /// Restarts it, `fast` or `immediate`.
    pub(crate) fn restart(&self, mode: &str) -> Result<(), String> {
        let data = self.folder.join("data");
        let options = std::fs::read_to_string(data.join("postmaster.opts")).map_err(|error| error.to_string())?;
        let program = options.split_whitespace().next().ok_or("postmaster.opts is empty")?;
        let tool = Path::new(program).with_file_name("pg_ctl");
        let owner = std::fs::metadata(&data).map_err(|error| error.to_string())?;
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={}", owner.uid()), format!("--regid={}", owner.gid())]);
        command.args(["--clear-groups", "setsid"]).arg(tool);
        command.arg("restart").arg("--pgdata").arg(&data).args(["--mode", mode, "--wait", "--silent", "--timeout=60"]);
        command.arg("--log").arg(self.folder.join("log")).current_dir(&self.folder);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("pg_ctl restart --mode {mode} ended with {status}")) }
    }

    /// Path of the server's log.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input is what ends the script.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
