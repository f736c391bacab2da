//! A machine that can lose its power: a mounted disk, and the programs that run on it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fuser::{BackgroundSession, Config, MountOption, SessionACL};

use super::disk::Disk;
use super::mount::Mount;
use super::switch::{Moment, Switch};

/// A program that takes longer hangs: jobs of the test take a second.
const PATIENCE: Duration = Duration::from_secs(90);
/// A disk that nobody works with is free at once.
const UNMOUNT_PATIENCE: Duration = Duration::from_secs(10);
/// A program that was killed on the way of an error, and does not end, is left behind.
const LEAVE_PATIENCE: Duration = Duration::from_secs(10);
/// Time between two polls for the end of a program.
const PAUSE: Duration = Duration::from_millis(4);

/// A machine.
pub(crate) struct Machine {
    pub(crate) switch: Arc<Switch>,
    session: BackgroundSession,
    folder: PathBuf,
}

/// The end of a program on a machine.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With the power of its machine.
    PowerLost,
    ByItself(ExitStatus),
}

/// A program.
pub(crate) struct Program {
    child: Child,
    pub(crate) outputs: Outputs,
}

/// The texts that a program has printed on its two outputs.
#[derive(Debug, Clone)]
pub(crate) struct Outputs {
    path: PathBuf,
}

impl Outputs {
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(self.path.with_extension("out")).unwrap_or_default()
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.path.with_extension("err")).unwrap_or_default()
    }
}

impl Machine {
    /// Checks that this machine has all that is needed; the error is a sentence.
    pub(crate) fn is_possible() -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .map_err(|error| format!("/dev/fuse cannot be opened: {error}"))?;
        let machine = Self::start(folder.path(), Disk::empty(), Moment::End)
            .map_err(|error| format!("no file system can be mounted, which root may: {error}"))?;
        machine.stop().map(drop)
    }

    /// Mounts a disk on `disk` of a folder; the power goes at a moment.
    pub(crate) fn start(folder: &Path, disk: Disk, moment: Moment) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let mounted = folder.join("disk");
        fs::create_dir_all(&mounted).map_err(text)?;
        let switch = Arc::new(Switch::new(disk, moment));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("oxbatch-power".to_owned()), MountOption::DefaultPermissions];
        // A server of PostgreSQL has a user of its own.
        config.acl = SessionACL::All;
        let session = fuser::spawn_mount(Mount::new(switch.clone()), &mounted, &config).map_err(text)?;
        Ok(Self { switch, session, folder: folder.to_owned() })
    }

    /// Where its disk is.
    pub(crate) fn disk(&self) -> PathBuf {
        self.folder.join("disk")
    }

    /// Where what does not belong to the disk can stand.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a program on the disk; `name` is that of the files of its outputs.
    pub(crate) fn spawn(&self, name: &str, command: Command) -> Result<Program, String> {
        let text = |error: std::io::Error| format!("{name}: {error}");
        let path = self.folder.join(name);
        let error_output = File::create(path.with_extension("err")).map_err(text)?;
        let mut command = self.on_disk(command);
        command.stdin(Stdio::null()).stderr(error_output);
        command.stdout(File::create(path.with_extension("out")).map_err(text)?);
        Ok(Program { child: command.spawn().map_err(text)?, outputs: Outputs { path } })
    }

    /// The command with the disk as its working directory. The program enters it by itself: this process, which must
    /// end the wait of the disk for the end of the programs, must not wait for the disk.
    fn on_disk(&self, command: Command) -> Command {
        let mut entering = Command::new("env");
        entering.arg(format!("--chdir={}", self.disk().display())).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => entering.env(name, value),
                None => entering.env_remove(name),
            };
        }
        entering
    }

    /// Waits until a program has ended, or the power is gone: then it is killed first.
    pub(crate) fn wait(&self, program: &mut Program) -> Result<Ended, String> {
        let start = Instant::now();
        loop {
            if self.switch.is_gone_within(PAUSE) {
                program.kill_at_once()?;
                return Ok(Ended::PowerLost);
            }
            if let Some(status) = program.child.try_wait().map_err(|error| error.to_string())? {
                return Ok(Ended::ByItself(status));
            }
            if start.elapsed() > PATIENCE {
                program.kill_at_once()?;
                self.switch.off();
                program.await_end()?;
                return Err(format!("it hangs: no end after {PATIENCE:?}"));
            }
        }
    }

    /// Takes the disk out; every program must have been killed or have ended.
    pub(crate) fn stop(self) -> Result<Disk, String> {
        self.switch.off();
        let disk = self.switch.state().disk.clone();
        // A program that another worker is just starting holds all that is open here, until it runs.
        let (start, mounted) = (Instant::now(), self.disk());
        let unmount = || Command::new("umount").arg(&mounted).stderr(Stdio::null()).status();
        while !unmount().map_err(|error| error.to_string())?.success() {
            if start.elapsed() > UNMOUNT_PATIENCE {
                return Err("the disk is still in use".to_owned());
            }
            std::thread::sleep(PAUSE);
        }
        self.session.join().map_err(|error| format!("the disk was taken out in disorder: {error}"))?;
        Ok(disk)
    }
}

impl Program {
    /// Sends the signal; the program is gone once its last request to the disk was answered.
    pub(crate) fn kill_at_once(&mut self) -> Result<(), String> {
        self.child.kill().map_err(|error| error.to_string())
    }

    /// Waits for the end of a program that was killed, or asked to end.
    pub(crate) fn await_end(&mut self) -> Result<(), String> {
        let start = Instant::now();
        while !self.has_ended()? {
            if start.elapsed() > PATIENCE {
                return Err(format!("process {} does not end within {PATIENCE:?}, though its disk is off", self.id()));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> Result<bool, String> {
        self.child.try_wait().map(|status| status.is_some()).map_err(|error| error.to_string())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        // One that waits for a disk which answers nothing does not end, and must not hold up whoever reports the fault.
        let start = Instant::now();
        while matches!(self.has_ended(), Ok(false)) && start.elapsed() < LEAVE_PATIENCE {
            std::thread::sleep(PAUSE);
        }
    }
}
