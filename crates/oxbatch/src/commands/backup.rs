//! `backup`: a copy of the SQLite database, also while services work on it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use oxbatch_core::repository::RepositoryError;
use oxbatch_storage::SqliteRepository;
use serde::Serialize;

use crate::database::Access;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output;
use crate::program::Program;

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// New file that the copy is written to
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct BackupView {
    file: String,
    bytes: u64,
}

/// Runs the command.
pub(crate) async fn run(program: &Program, arguments: BackupArgs) -> Result<Exit, CliError> {
    let BackupArgs { file, json } = arguments;
    let operator = program.operator(Access::Read).await?;
    let repository = Arc::clone(operator.repository());
    let path = file.clone();
    // A signal ends the process: what is left is a file that is no backup by its name, and the next one removes it.
    let done = tokio::task::spawn_blocking(move || match repository.as_any().downcast_ref::<SqliteRepository>() {
        Some(sqlite) => sqlite.backup(&path).map_err(CliError::from),
        None => Err(CliError::BackupOfServer { location: repository.location() }),
    });
    let bytes = done.await.map_err(|error| {
        CliError::from(RepositoryError::Database { operation: "back the database up", source: Box::new(error) })
    })??;
    let view = BackupView { file: file.display().to_string(), bytes };
    match json {
        true => output::json(&view)?,
        false => output::line(format!("{}: {}", view.file, output::megabytes(bytes)))?,
    }
    Ok(Exit::Completed)
}
