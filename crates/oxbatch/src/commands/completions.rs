//! `completions`: the script that completes commands and flags in a shell.

use std::ffi::OsStr;
use std::path::Path;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Runs the command.
pub(crate) fn run(arguments: &CompletionsArgs) -> Result<Exit, CliError> {
    // Under the name by which it was called: a service of one's own has one of its own.
    let called = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&called).file_stem().and_then(OsStr::to_str).unwrap_or("oxbatch").to_owned();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), name, &mut script);
    output::write(&script)?;
    Ok(Exit::Completed)
}
