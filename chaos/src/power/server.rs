//! A server of PostgreSQL whose data are on the machine's disk, in namespaces of its own, so that all of it dies at
//! once.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use super::disk::{Disk, ROOT};
use super::machine::{Machine, Program};
use super::switch::{Moment, Switch};

/// Its data on the disk.
const DATA: &str = "postgres";
const USER: &str = "postgres";
/// A start with the replay of a log takes a second or two.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
const ANSWER: Duration = Duration::from_millis(500);

/// Small, and quiet: what the job makes it write is all that it writes. It forces what it promises to force.
const SETTINGS: [&str; 12] = [
    "listen_addresses=",
    "shared_buffers=16MB",
    "max_connections=30",
    "max_wal_senders=0",
    "wal_level=minimal",
    "min_wal_size=2MB",
    "max_wal_size=64MB",
    "autovacuum=off",
    "jit=off",
    "huge_pages=off",
    "dynamic_shared_memory_type=sysv",
    "log_min_messages=warning",
];

/// The server.
pub(crate) struct Server {
    program: Program,
    folder: PathBuf,
}

impl Server {
    /// Starts it and waits until it answers, or the power is gone.
    pub(crate) fn start(machine: &Machine) -> Result<Self, String> {
        let folder = machine.folder().join("socket");
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        chown(&folder, Some(id_of("-u")?), Some(id_of("-g")?)).map_err(|error| error.to_string())?;
        let mut command = Command::new("unshare");
        command.args(["--pid", "--ipc", "--fork"]).args(as_user()?).arg(binaries()?.join("postgres"));
        command.arg("-D").arg(machine.disk().join(DATA));
        command.args(["-c", &format!("unix_socket_directories={}", folder.display())]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let mut server = Self { program: machine.spawn("postgres", command)?, folder };
        let start = Instant::now();
        while !machine.switch.is_gone_within(PAUSE) && !server.answers()? {
            if server.program.has_ended()? || start.elapsed() > PATIENCE {
                return Err(format!("PostgreSQL does not start:\n{}", server.program.outputs.said()));
            }
        }
        Ok(server)
    }

    /// Returns whether it can be used; one without power answers nothing, and is not waited for.
    fn answers(&self) -> Result<bool, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string()).map(|runtime| {
            runtime.block_on(async {
                let asked = async {
                    let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await?;
                    tokio::spawn(connection);
                    client.simple_query("SELECT 1").await
                };
                matches!(tokio::time::timeout(ANSWER, asked).await, Ok(Ok(_)))
            })
        })
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        self.signal("-INT");
        self.program.await_end()
    }

    /// Sends a signal to the first process of its namespace; with its death the kernel kills all others.
    fn signal(&self, name: &str) {
        let id = self.program.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let _ = Command::new("kill").args([name, child]).stderr(Stdio::null()).status();
        }
    }

    pub(crate) fn url(&self) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{folder}/postgres")
    }

    /// Kills all of its processes, and switches the disk off, so that they can go.
    pub(crate) fn kill(mut self, switch: &Switch) -> Result<(), String> {
        self.signal("-KILL");
        switch.off();
        self.program.await_end()
    }

    /// Removes the server's lock file where a loss of power has left it empty: no server starts over such a one by
    /// itself, and whoever starts servers after a loss of power removes it.
    pub(crate) fn clear_lock(disk: &mut Disk) -> Result<(), String> {
        let name = OsStr::new("postmaster.pid");
        let Ok(data) = disk.lookup(ROOT, OsStr::new(DATA)) else { return Ok(()) };
        let Ok(lock) = disk.lookup(data, name) else { return Ok(()) };
        let text = |error| format!("{}: {error:?}", name.display());
        if disk.content(lock).map_err(text)?.now().is_empty() {
            disk.unlink(data, name).map_err(text)?;
            disk.force(data).map_err(text)?;
        }
        Ok(())
    }

    /// A disk with a fresh cluster on it.
    pub(crate) fn image(folder: &Path, disk: Disk) -> Result<Disk, String> {
        let text = |error: std::io::Error| error.to_string();
        let cluster = tempfile::Builder::new().prefix("oxbatch-power-cluster-").tempdir().map_err(text)?;
        fs::set_permissions(cluster.path(), fs::Permissions::from_mode(0o711)).map_err(text)?;
        let data = cluster.path().join(DATA);
        fs::create_dir(&data).map_err(text)?;
        chown(&data, Some(id_of("-u")?), Some(id_of("-g")?)).map_err(text)?;
        let mut command = Command::new("setpriv");
        command.args(&as_user()?[1..]).arg(binaries()?.join("initdb")).arg("--pgdata").arg(&data).current_dir(&data);
        command.args([
            "--username",
            USER,
            "--encoding=UTF8",
            "--locale=C",
            "--auth=trust",
            "--no-sync",
            "--wal-segsize=1",
        ]);
        let output = command.stdin(Stdio::null()).output().map_err(text)?;
        if !output.status.success() {
            return Err(format!("initdb: {}", String::from_utf8_lossy(&output.stderr)));
        }
        let machine = Machine::start(folder, disk, Moment::End)?;
        let copied = Command::new("cp").arg("-a").arg(&data).arg(machine.disk()).status().map_err(text)?;
        let disk = machine.stop()?;
        if copied.success() { Ok(disk.forced()) } else { Err(format!("cp of the cluster ended with {copied}")) }
    }
}

/// The program that runs another as the server's user, who must not be root.
fn as_user() -> Result<Vec<String>, String> {
    let (user, group) = (id_of("-u")?, id_of("-g")?);
    Ok(["setpriv", &format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups"].map(str::to_owned).into())
}

fn id_of(which: &str) -> Result<u32, String> {
    let output = Command::new("id").args([which, USER]).output().map_err(|error| error.to_string())?;
    let id = String::from_utf8_lossy(&output.stdout).trim().parse();
    id.map_err(|_| format!("there is no user '{USER}', as whom PostgreSQL could run"))
}

/// Where the newest version's programs are.
fn binaries() -> Result<PathBuf, String> {
    let versions = fs::read_dir("/usr/lib/postgresql").map_err(|error| format!("/usr/lib/postgresql: {error}"))?;
    let version_of = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.flatten().map(|entry| entry.path()).max_by_key(version_of);
    newest.map(|folder| folder.join("bin")).ok_or_else(|| "/usr/lib/postgresql is empty".to_owned())
}
