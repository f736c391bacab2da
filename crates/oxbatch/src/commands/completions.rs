//! `completions`: the script by which a shell asks this program for completions.

use std::path::PathBuf;

use clap::Args;
use clap_complete::env::Shells;

use crate::completion::{VARIABLE, program_name};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    shell: String,
}

/// Runs the command.
pub(crate) fn run(arguments: &CompletionsArgs) -> Result<Exit, CliError> {
    let shells = Shells::builtins();
    // The command line takes no other.
    let Some(shell) = shells.completer(&arguments.shell) else { return Ok(Exit::Usage) };
    // Under the name by which it was called: a service of one's own has one of its own.
    let name = program_name();
    let mut script = Vec::new();
    let written = shell.write_registration(VARIABLE, &name, &name, &called(), &mut script);
    written.map_err(|source| CliError::Output { source })?;
    output::write(&script)?;
    Ok(Exit::Completed)
}

/// The command that the script calls: a path that was typed relative to the working directory holds in any other as
/// well.
fn called() -> String {
    let called = PathBuf::from(std::env::args_os().next().unwrap_or_default());
    let path = match (called.components().count() > 1, std::env::current_dir()) {
        (true, Ok(folder)) => folder.join(called),
        _ => called,
    };
    path.to_string_lossy().into_owned()
}
