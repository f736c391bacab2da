//! `secrets`: the keys that encrypt secret parameters.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use oxbatch_core::secret::KeyRing;

use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::settings::secrets::keys;

/// Arguments of `secrets`.
#[derive(Debug, Args)]
pub(crate) struct SecretsArgs {
    #[command(subcommand)]
    command: SecretsCommand,
}

/// The work on keys.
#[derive(Debug, Subcommand)]
enum SecretsCommand {
    /// Make a key file that its owner alone can read, for engine.secrets_key_file
    Key {
        /// The file
        file: PathBuf,
        /// Put a new key before those of the file: it encrypts from now on, and the others still decrypt
        #[arg(long)]
        rotate: bool,
    },
}

/// Runs the command.
pub(crate) fn run(arguments: &SecretsArgs) -> Result<Exit, CliError> {
    let SecretsCommand::Key { file, rotate } = &arguments.command;
    let key = KeyRing::new_line().map_err(|source| CliError::Random { source })?;
    let problem = |problem: String| CliError::KeyFile { problem };
    if *rotate {
        keys(file).map_err(problem)?;
        put_before(file, &key).map_err(|error| problem(unwritable(file, &error)))?;
    } else {
        make(file, &key).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => problem(format!(
                "the file '{}' exists: --rotate adds a key to it, and what was encrypted with the old one stays readable",
                file.display()
            )),
            _ => problem(unwritable(file, &error)),
        })?;
    }
    let made = keys(file).map_err(problem)?;
    output::line(format!("{} encrypts with key {}; the same file is for all nodes", file.display(), made.id()))?;
    Ok(Exit::Completed)
}

fn unwritable(file: &Path, error: &io::Error) -> String {
    format!("the key file '{}' cannot be written: {error}", file.display())
}

/// A new file that nobody else can read, also while it is made.
fn make(file: &Path, content: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut made = options.open(file)?;
    made.write_all(content.as_bytes())?;
    made.write_all(b"\n")?;
    made.sync_all()
}

/// Puts a key before the content of a file, which is there as a whole at each moment.
fn put_before(file: &Path, key: &str) -> io::Result<()> {
    let before = std::fs::read(file)?;
    // A file of 32 bytes is a key, too, and has to become a line.
    let lines = match before.len() {
        32 => before.iter().map(|byte| format!("{byte:02x}")).collect(),
        _ => String::from_utf8_lossy(&before).into_owned(),
    };
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    make(&beside, &format!("{key}\n{}", lines.trim_end()))?;
    std::fs::rename(&beside, file)?;
    match file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}
