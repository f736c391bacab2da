//! `man`: the manual pages of the program, one of each command.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::cli::Cli;
use crate::completion::program_name;
use crate::error::CliError;
use crate::exit::Exit;

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder that the pages are written to
    folder: PathBuf,
}

/// Runs the command.
pub(crate) fn run(arguments: &ManArgs) -> Result<Exit, CliError> {
    // Under the name by which it was called: a service of one's own has pages of its own.
    let command = Cli::command().name(program_name());
    let written =
        std::fs::create_dir_all(&arguments.folder).and_then(|()| clap_mangen::generate_to(command, &arguments.folder));
    written.map_err(|source| CliError::Output { source })?;
    Ok(Exit::Completed)
}
